"""
`JATEVO_PRICE_SOURCES` → sources: a JSON list, one object each, checked field by field.

=============  ==================================  ============================================================
kind           required                            may have
=============  ==================================  ============================================================
geckoterminal  `network`, `token`                  `pools`, `quotes`, `min_liquidity_usd`, `min_age_s`, `min_trades`,
                                                   `url`
dexscreener    `chain`, `token`                    the same
coingecko      `platform`, `token`                 `min_volume_usd`, `api_key`, `plan` (`demo`, `pro`), `url`
aggregator     `address`                           `rpc`, `chain_id`, `block_max_age_s`
uniswap_v3     `pool`, `token`                     the same, `window_s`, `min_liquidity_usd`, and one of
                                                   `quote_usd`, `quote_feed` (with `quote_feed_max_age_s`)
=============  ==================================  ============================================================

Every one may have `name` and `max_age_s`. `rpc` is a list of addresses or of references to secrets that hold them;
without it and `chain_id`, a source is on the gateway's own EVM chain. Amounts are decimal strings.
"""

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from decimal import Decimal, InvalidOperation
from typing import Any
from urllib.parse import urlsplit

from jatevo.adapters.prices.indexers import CoinGecko, DexScreener, GeckoTerminal, SecretLookup
from jatevo.adapters.prices.onchain import MIN_WINDOW_S, Aggregator, EvmNodes, QuoteAsset, UniswapV3
from jatevo.adapters.prices.pools import MIN_POOL_AGE_S, MIN_TRADES_A_DAY, PoolRules
from jatevo.application.prices import PriceSource
from jatevo.domain.prices import PriceError, parse_price

MOST_SOURCES = 16
INDEXER_MAX_AGE_S = 900
FEED_MAX_AGE_S = 3600
_LOOPBACK = ("127.0.0.1", "localhost", "::1")
_SOLANA_QUOTES = (
    "So11111111111111111111111111111111111111112",
    "EPjFWdd5AufqSSqeM2qN1xzybapC8G4wEGGkZwyTDt1v",
    "Es9vMFrzaCERmJfrF4H2FYD4KCoNkY11McCe8BenwNYB",
)
"""SOL, USDC and USDT: a pool against a token of an attacker's own is worth whatever the attacker says."""


@dataclass(frozen=True, slots=True)
class EvmDefaults:
    """The chain of sources that name none."""

    rpc_urls: tuple[str, ...] = ()
    chain_id: int | None = None


NO_DEFAULTS = EvmDefaults()


class SourcesError(ValueError):
    """The configuration of the sources cannot be used; the text is one line that says what is wrong."""


def sources_from(text: str, secret: SecretLookup, evm: EvmDefaults = NO_DEFAULTS) -> list[PriceSource]:
    """Return the sources of a configuration; none when it is empty. Raises SourcesError."""
    if not text.strip():
        return []
    try:
        rows = json.loads(text)
    except ValueError as error:
        raise SourcesError(f"it is no JSON: {error}") from error
    if not isinstance(rows, list) or len(rows) > MOST_SOURCES:
        raise SourcesError(f"it is no list of at most {MOST_SOURCES} sources")
    sources = [_source(number, row, secret, evm) for number, row in enumerate(rows, start=1)]
    names = [source.name for source in sources]
    if len(set(names)) != len(names):
        raise SourcesError(f"two sources have one name: {', '.join(names)}")
    return sources


def _source(number: int, row: Any, secret: SecretLookup, evm: EvmDefaults) -> PriceSource:
    fields = _Fields(f"source {number}", row, evm)
    kind = fields.text("kind")
    if kind not in _KINDS:
        raise fields.wrong("kind", f"must be one of {', '.join(_KINDS)}")
    source = _KINDS[kind](fields, secret)
    fields.nothing_left()
    return source


class _Fields:
    """The fields of one source, each taken once."""

    def __init__(self, where: str, row: Any, evm: EvmDefaults) -> None:
        self._where = where
        self.evm = evm
        if not isinstance(row, dict):
            raise SourcesError(f"{where} is no object")
        self._left: dict[str, Any] = dict(row)

    def wrong(self, name: str, why: str) -> SourcesError:
        return SourcesError(f"{self._where}: {name} {why}")

    def nothing_left(self) -> None:
        if self._left:
            raise self.wrong(min(self._left), "is not known here")

    def text(self, name: str, default: str | None = None) -> str:
        value = self._left.pop(name, default)
        if not isinstance(value, str) or (not value and default is None) or len(value) > 1000:
            raise self.wrong(name, "must be a text")
        return value

    def texts(self, name: str, default: tuple[str, ...] | None = None) -> tuple[str, ...]:
        value = self._left.pop(name, default)
        value = [value] if isinstance(value, str) else value
        if not isinstance(value, (list, tuple)) or not all(isinstance(one, str) and one for one in value):
            raise self.wrong(name, "must be a list of texts")
        if not value and default is None:
            raise self.wrong(name, "must not be empty")
        return tuple(value)

    def count(self, name: str, default: int | None = None, *, low: int = 0) -> int:
        value = self._left.pop(name, default)
        if isinstance(value, bool) or not isinstance(value, int) or not low <= value < 2**53:
            raise self.wrong(name, f"must be a whole number from {low}")
        return value

    def usd(self, name: str, default: str) -> Decimal:
        value = self.text(name, default)
        try:
            amount = Decimal(value)
        except InvalidOperation as error:
            raise self.wrong(name, 'must be a decimal string such as "10000"') from error
        if not amount.is_finite() or not 0 < amount < 10**12:
            raise self.wrong(name, "must be more than 0")
        return amount

    def url(self, default: str) -> str:
        value = self.text("url", default).rstrip("/")
        parts = urlsplit(value)
        if parts.scheme == "https" or (parts.scheme == "http" and parts.hostname in _LOOPBACK):
            return value
        raise self.wrong("url", "must begin with https://")

    def evm_address(self, name: str) -> str:
        value = self.text(name)
        if len(value) != 42 or not value.startswith("0x") or not set(value[2:].lower()) <= set("0123456789abcdef"):
            raise self.wrong(name, "must be an address such as 0x…, 40 hexadecimal digits")
        return value


def _pool_rules(fields: _Fields, chain: str) -> PoolRules:
    return PoolRules(
        token=fields.text("token"),
        quotes=frozenset(fields.texts("quotes", _SOLANA_QUOTES if chain == "solana" else ())),
        pools=frozenset(fields.texts("pools", ())),
        min_depth_usd=fields.usd("min_liquidity_usd", "10000"),
        min_age_s=fields.count("min_age_s", MIN_POOL_AGE_S),
        min_trades_a_day=fields.count("min_trades", MIN_TRADES_A_DAY),
    )


def _gecko_terminal(fields: _Fields, _secret: SecretLookup) -> PriceSource:
    network = fields.text("network")
    return GeckoTerminal(
        name=fields.text("name", "geckoterminal"),
        network=network,
        rules=_pool_rules(fields, network),
        max_age_s=fields.count("max_age_s", INDEXER_MAX_AGE_S, low=1),
        url=fields.url("https://api.geckoterminal.com"),
    )


def _dex_screener(fields: _Fields, _secret: SecretLookup) -> PriceSource:
    chain = fields.text("chain")
    return DexScreener(
        name=fields.text("name", "dexscreener"),
        chain=chain,
        rules=_pool_rules(fields, chain),
        max_age_s=fields.count("max_age_s", INDEXER_MAX_AGE_S, low=1),
        url=fields.url("https://api.dexscreener.com"),
    )


def _coin_gecko(fields: _Fields, secret: SecretLookup) -> PriceSource:
    plan = fields.text("plan", "demo")
    if plan not in {"demo", "pro"}:
        raise fields.wrong("plan", "must be demo or pro")
    own = "https://pro-api.coingecko.com" if plan == "pro" else "https://api.coingecko.com"
    return CoinGecko(
        name=fields.text("name", "coingecko"),
        platform=fields.text("platform"),
        token=fields.text("token"),
        max_age_s=fields.count("max_age_s", INDEXER_MAX_AGE_S, low=1),
        secret=secret,
        min_volume_usd=fields.usd("min_volume_usd", "1000"),
        key_header=f"x-cg-{plan}-api-key",
        api_key=fields.text("api_key", ""),
        url=fields.url(own),
    )


def _nodes(fields: _Fields, secret: SecretLookup) -> EvmNodes:
    return EvmNodes(
        urls=fields.texts("rpc", fields.evm.rpc_urls or None),
        chain_id=fields.count("chain_id", fields.evm.chain_id, low=1),
        secret=secret,
        block_max_age_s=fields.count("block_max_age_s", 300, low=1),
    )


def _aggregator(fields: _Fields, secret: SecretLookup) -> PriceSource:
    return Aggregator(
        name=fields.text("name", "aggregator"),
        nodes=_nodes(fields, secret),
        address=fields.evm_address("address"),
        max_age_s=fields.count("max_age_s", FEED_MAX_AGE_S, low=1),
    )


def _uniswap_v3(fields: _Fields, secret: SecretLookup) -> PriceSource:
    return UniswapV3(
        name=fields.text("name", "uniswap_v3"),
        nodes=_nodes(fields, secret),
        pool=fields.evm_address("pool"),
        token=fields.evm_address("token"),
        quote=_quote_asset(fields),
        max_age_s=fields.count("max_age_s", INDEXER_MAX_AGE_S, low=1),
        window_s=fields.count("window_s", MIN_WINDOW_S, low=MIN_WINDOW_S),
        min_depth_usd=int(fields.usd("min_liquidity_usd", "50000")),
    )


def _quote_asset(fields: _Fields) -> QuoteAsset:
    feed, usd = fields.text("quote_feed", ""), fields.text("quote_usd", "")
    if bool(feed) == bool(usd):
        raise fields.wrong("quote_usd", "or quote_feed is needed, and only one of them")
    max_age_s = fields.count("quote_feed_max_age_s", FEED_MAX_AGE_S, low=1)
    if feed:
        return QuoteAsset(feed=feed, feed_max_age_s=max_age_s)
    try:
        return QuoteAsset(pico_usd=parse_price(usd))
    except PriceError as error:
        raise fields.wrong("quote_usd", str(error)) from error


_KINDS: Mapping[str, Callable[[_Fields, SecretLookup], PriceSource]] = {
    "geckoterminal": _gecko_terminal,
    "dexscreener": _dex_screener,
    "coingecko": _coin_gecko,
    "aggregator": _aggregator,
    "uniswap_v3": _uniswap_v3,
}
