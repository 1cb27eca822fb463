"""
Indexers over HTTP: GeckoTerminal, DexScreener, CoinGecko. By contract or mint address, never by symbol.

Shapes: `GET /api/v2/networks/{network}/tokens/{address}/pools` (api.geckoterminal.com),
`GET /token-pairs/v1/{chain}/{address}` (docs.dexscreener.com), `GET /api/v3/simple/token_price/{platform}`
(docs.coingecko.com). The first two list pools, of which ours are chosen (`pools`); CoinGecko aggregates by itself.
"""

import asyncio
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from decimal import Decimal
from fractions import Fraction
from typing import Any
from urllib.parse import quote

from jatevo.adapters.prices.failures import SourceFailed, as_value
from jatevo.adapters.prices.http import Answer, get_json
from jatevo.adapters.prices.numbers import decimal, instant, listed, member, price, whole
from jatevo.adapters.prices.pools import Pool, PoolRules, price_of, same
from jatevo.adapters.secrets import SecretUnavailable
from jatevo.domain.prices import Failing, Heard, Observation

MOST_POOLS = 200


@dataclass(frozen=True, slots=True)
class GeckoTerminal:
    """GeckoTerminal's list of a token's pools."""

    name: str
    network: str
    rules: PoolRules
    max_age_s: int
    url: str = "https://api.geckoterminal.com"

    async def observe(self, now_unix_s: int) -> Heard:
        return await as_value(self.name, lambda: self._observe(now_unix_s))

    async def _observe(self, now_unix_s: int) -> Heard:
        path = f"/api/v2/networks/{_part(self.network)}/tokens/{_part(self.rules.token)}/pools"
        answer = await get_json(self.url + path, now_unix_s, {})
        pools = _pools(member(answer.document, "data"), self._pool)
        return _observation(self.name, answer, price_of(pools, self.rules, now_unix_s), self.max_age_s)

    def _pool(self, row: Any) -> Pool:
        figures, trades = member(row, "attributes"), member(row, "attributes", "transactions", "h24")
        return Pool(
            address=str(member(figures, "address")),
            base=self._address(member(row, "relationships", "base_token", "data", "id")),
            quote=self._address(member(row, "relationships", "quote_token", "data", "id")),
            price_usd=decimal(member(figures, "base_token_price_usd"), "base_token_price_usd"),
            depth_usd=decimal(member(figures, "reserve_in_usd"), "reserve_in_usd"),
            made_at_unix_s=instant(member(figures, "pool_created_at"), "pool_created_at"),
            trades_a_day=_trades(trades),
        )

    def _address(self, token_id: Any) -> str:
        """GeckoTerminal writes `solana_9VY2…`."""
        return str(token_id).removeprefix(f"{self.network}_")


@dataclass(frozen=True, slots=True)
class DexScreener:
    """DexScreener's list of a token's pairs."""

    name: str
    chain: str
    rules: PoolRules
    max_age_s: int
    url: str = "https://api.dexscreener.com"

    async def observe(self, now_unix_s: int) -> Heard:
        return await as_value(self.name, lambda: self._observe(now_unix_s))

    async def _observe(self, now_unix_s: int) -> Heard:
        path = f"/token-pairs/v1/{_part(self.chain)}/{_part(self.rules.token)}"
        answer = await get_json(self.url + path, now_unix_s, {})
        pools = _pools(answer.document, self._pool)
        return _observation(self.name, answer, price_of(pools, self.rules, now_unix_s), self.max_age_s)

    def _pool(self, row: Any) -> Pool:
        if member(row, "chainId") != self.chain:
            raise SourceFailed(Failing.MALFORMED, "a pair of another chain")
        return Pool(
            address=str(member(row, "pairAddress")),
            base=str(member(row, "baseToken", "address")),
            quote=str(member(row, "quoteToken", "address")),
            price_usd=decimal(member(row, "priceUsd"), "priceUsd"),
            depth_usd=_depth_by_quote(row),
            made_at_unix_s=whole(member(row, "pairCreatedAt"), "pairCreatedAt") // 1000,
            trades_a_day=_trades(member(row, "txns", "h24")),
        )


type SecretLookup = Callable[[str], str | None]
"""Returns the secret that a reference names; see `jatevo.adapters.secrets.Secrets`."""


@dataclass(frozen=True, slots=True)
class CoinGecko:
    """CoinGecko's own average over markets. `key_header` and `api_key` (a reference) only where a plan has a key."""

    name: str
    platform: str
    token: str
    max_age_s: int
    secret: SecretLookup = field(repr=False)
    min_volume_usd: Decimal = Decimal(1_000)
    key_header: str = "x-cg-demo-api-key"
    api_key: str = ""
    url: str = "https://api.coingecko.com"

    async def observe(self, now_unix_s: int) -> Heard:
        return await as_value(self.name, lambda: self._observe(now_unix_s))

    async def _observe(self, now_unix_s: int) -> Heard:
        key = await asyncio.to_thread(self._key)
        answer = await get_json(
            f"{self.url}/api/v3/simple/token_price/{_part(self.platform)}",
            now_unix_s,
            key,
            contract_addresses=self.token,
            vs_currencies="usd",
            include_24hr_vol="true",
            include_last_updated_at="true",
            precision="full",
        )
        figures = self._figures(answer.document)
        if decimal(member(figures, "usd_24h_vol"), "usd_24h_vol") < self.min_volume_usd:
            raise SourceFailed(Failing.TOO_THIN, "less was traded in a day than is asked for")
        updated = min(answer.as_of_unix_s, whole(member(figures, "last_updated_at"), "last_updated_at"))
        usd = Fraction(decimal(member(figures, "usd"), "usd"))
        return Observation(self.name, price(usd), updated, self.max_age_s)

    def _figures(self, document: Any) -> Mapping[str, Any]:
        if not isinstance(document, dict):
            raise SourceFailed(Failing.MALFORMED, "the answer is no object")
        for address, figures in document.items():
            if same(address, self.token) and isinstance(figures, dict) and figures:
                return figures
        raise SourceFailed(Failing.UNKNOWN_TOKEN, "there is no price for this address")

    def _key(self) -> dict[str, str]:
        if not self.api_key:
            return {}
        try:
            secret = self.secret(self.api_key)
        except SecretUnavailable as error:
            raise SourceFailed(Failing.MISCONFIGURED, str(error)) from error
        if not secret:
            raise SourceFailed(Failing.MISCONFIGURED, "its key is not there")
        return {self.key_header: secret}


def _observation(name: str, answer: Answer, usd: Fraction, max_age_s: int) -> Observation:
    return Observation(name, price(usd), answer.as_of_unix_s, max_age_s)


def _pools(rows: Any, read: Callable[[Any], Pool]) -> list[Pool]:
    """
    Return the pools of a list that can be read. Anybody may open a pool with anything odd in it, and that must not
    silence the others. Raises SourceFailed when not one can be read.
    """
    pools: list[Pool] = []
    failed: SourceFailed | None = None
    for row in listed(rows, "the list of pools")[:MOST_POOLS]:
        try:
            pools.append(read(row))
        except SourceFailed as failure:
            failed = failure
    if not pools and failed is not None:
        raise failed
    return pools


def _depth_by_quote(row: Any) -> Decimal:
    """
    Return twice what the quote side of a pair is worth, or what is reported if that is less. The base side proves
    nothing: whoever opens a pool says what his own tokens are worth in it.
    """
    native = decimal(member(row, "priceNative"), "priceNative")
    if native <= 0:
        raise SourceFailed(Failing.IMPLAUSIBLE, "priceNative is not positive")
    quote_usd = decimal(member(row, "priceUsd"), "priceUsd") / native
    quoted = 2 * decimal(member(row, "liquidity", "quote"), "liquidity.quote") * quote_usd
    return min(quoted, decimal(member(row, "liquidity", "usd"), "liquidity.usd"))


def _trades(counts: Any) -> int:
    return whole(member(counts, "buys"), "buys") + whole(member(counts, "sells"), "sells")


def _part(text: str) -> str:
    return quote(text, safe="")
