"""
Sources on an EVM chain, by web3: a Chainlink-style aggregator and the time-weighted price of a Uniswap v3 pool.

All of a source's reads are of one block, by one node; the next node is tried when one fails. A block that is old, or of
another chain than the configured one, is no answer: a node that is stuck must not look like a quiet market. web3 is
imported with the first call, and calls run in a thread.
"""

import asyncio
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from fractions import Fraction
from typing import Any

from jatevo.adapters.prices.failures import SourceFailed, as_value
from jatevo.adapters.prices.numbers import price
from jatevo.adapters.prices.pools import same
from jatevo.adapters.secrets import SecretUnavailable
from jatevo.domain.prices import PICO_PER_USD, Failing, Heard, Observation
from jatevo.domain.ticks import depth_in_quote, mean_liquidity, mean_tick, price_at

MIN_WINDOW_S = 1800
"""Half an hour: holding a pool's price for so long costs what its arbitrageurs take."""
_NODE_TIMEOUT_S = 5
_MOST_DECIMALS = 36
_BLOCK_MAX_AGE_S = 300

type SecretLookup = Callable[[str], str | None]


@dataclass(frozen=True, slots=True)
class EvmNodes:
    """
    How a chain is asked. `urls`: addresses, or references to secrets that hold one or several, comma separated.

    `block_max_age_s`: how old the latest block may be.
    """

    urls: tuple[str, ...]
    chain_id: int
    secret: SecretLookup = field(repr=False)
    block_max_age_s: int = _BLOCK_MAX_AGE_S

    async def ask[T](self, read: "Callable[[Block], T]", now_unix_s: int) -> T:
        """Return what `read` finds in the latest block of the first node that answers. Raises SourceFailed."""
        return await asyncio.to_thread(self._ask, read, now_unix_s)

    def _ask[T](self, read: "Callable[[Block], T]", now_unix_s: int) -> T:
        failed = SourceFailed(Failing.MISCONFIGURED, "no node is configured")
        for url in self._addresses():
            try:
                return read(self._block(url, now_unix_s))
            except SourceFailed as failure:
                failed = failure
        raise failed

    def _addresses(self) -> list[str]:
        found: list[str] = []
        for url in self.urls:
            try:
                value = url if "://" in url else self.secret(url)
            except SecretUnavailable as error:
                raise SourceFailed(Failing.MISCONFIGURED, str(error)) from error
            found += [one.strip() for one in (value or "").split(",") if one.strip()]
        return found

    def _block(self, url: str, now_unix_s: int) -> "Block":
        from web3 import HTTPProvider, Web3  # noqa: PLC0415 - half a second, only where a chain is read

        web3 = Web3(HTTPProvider(url, request_kwargs={"timeout": _NODE_TIMEOUT_S, "allow_redirects": False}))
        chain_id = _call(lambda: web3.eth.chain_id)
        if chain_id != self.chain_id:
            raise SourceFailed(Failing.MISCONFIGURED, f"the node is of chain {chain_id}, not {self.chain_id}")
        block = _call(lambda: web3.eth.get_block("latest"))
        if now_unix_s - block["timestamp"] > self.block_max_age_s:
            raise SourceFailed(Failing.TOO_OLD, "the node's latest block is old")
        return Block(web3, block["number"], block["timestamp"])


@dataclass(frozen=True, slots=True)
class Block:
    """One block of a chain, as one node has it."""

    web3: Any
    number: int
    at_unix_s: int

    def call(self, address: str, function: Mapping[str, Any], *arguments: Any) -> Any:
        """Return what a contract's function returned at this block. Raises SourceFailed."""
        contract = self.web3.eth.contract(self.web3.to_checksum_address(address), abi=[function])
        bound = contract.get_function_by_name(function["name"])(*arguments)
        return _call(lambda: bound.call(block_identifier=self.number))


@dataclass(frozen=True, slots=True)
class Aggregator:
    """A Chainlink-style feed of US dollars for one whole unit. `max_age_s`: its heartbeat and some more."""

    name: str
    nodes: EvmNodes
    address: str
    max_age_s: int

    async def observe(self, now_unix_s: int) -> Heard:
        return await as_value(self.name, lambda: self._observe(now_unix_s))

    async def _observe(self, now_unix_s: int) -> Heard:
        usd, updated_at = await self.nodes.ask(lambda block: answer_of(block, self.address), now_unix_s)
        return Observation(self.name, price(usd), updated_at, self.max_age_s)


def answer_of(block: Block, address: str) -> tuple[Fraction, int]:
    """Return a feed's answer in US dollars and when it was given. Raises SourceFailed."""
    round_id, answer, _, updated_at, answered_in = block.call(address, _LATEST_ROUND)
    decimals = block.call(address, _DECIMALS)
    if answer <= 0 or decimals > _MOST_DECIMALS:
        raise SourceFailed(Failing.IMPLAUSIBLE, f"the answer is {answer}")
    if updated_at == 0 or answered_in < round_id or updated_at > block.at_unix_s:
        raise SourceFailed(Failing.TOO_OLD, "the round is not complete, or answered in an earlier one")
    return Fraction(answer, 10**decimals), int(updated_at)


@dataclass(frozen=True, slots=True)
class QuoteAsset:
    """What a pool's other token is worth: `pico_usd` of one whole unit, or what a feed says."""

    pico_usd: int = PICO_PER_USD
    feed: str = ""
    feed_max_age_s: int = 3600

    def usd(self, block: Block) -> Fraction:
        """Return US dollars for one whole unit. Raises SourceFailed."""
        if not self.feed:
            return Fraction(self.pico_usd, PICO_PER_USD)
        usd, updated_at = answer_of(block, self.feed)
        if block.at_unix_s - updated_at > self.feed_max_age_s:
            raise SourceFailed(Failing.TOO_OLD, "the feed of the quote asset is old")
        return usd


@dataclass(frozen=True, slots=True)
class UniswapV3:
    """The time-weighted mean price of a token over `window_s`, from a pool's own observations."""

    name: str
    nodes: EvmNodes
    pool: str
    token: str
    quote: QuoteAsset
    max_age_s: int
    window_s: int = MIN_WINDOW_S
    min_depth_usd: int = 50_000
    """What stands against a trade, on the quote side, on average over the window and now."""

    async def observe(self, now_unix_s: int) -> Heard:
        return await as_value(self.name, lambda: self._observe(now_unix_s))

    async def _observe(self, now_unix_s: int) -> Heard:
        usd, at = await self.nodes.ask(self._price, now_unix_s)
        return Observation(self.name, price(usd), at, self.max_age_s)

    def _price(self, block: Block) -> tuple[Fraction, int]:
        token0, token1 = block.call(self.pool, _TOKEN0), block.call(self.pool, _TOKEN1)
        first = same(token0, self.token)
        other = token1 if first else token0
        if not (first or same(token1, self.token)) or same(other, self.token):
            raise SourceFailed(Failing.MISCONFIGURED, "it is no pool of the token against another one")
        per_token, depth = self._mean(block, token_is_first=first)
        unit, quote_unit = 10 ** _decimals(block, self.token), 10 ** _decimals(block, other)
        quote_usd = self.quote.usd(block)
        if Fraction(depth, quote_unit) * quote_usd < self.min_depth_usd:
            raise SourceFailed(Failing.TOO_THIN, "less stands against a trade than is asked for")
        return per_token * unit / quote_unit * quote_usd, block.at_unix_s

    def _mean(self, block: Block, *, token_is_first: bool) -> tuple[Fraction, int]:
        """Return the mean price in base units of the quote, and the lesser of mean and present depth."""
        ticks, per_liquidity = self._readings(block)
        try:
            ratio = price_at(mean_tick(ticks[0], ticks[1], self.window_s))
        except ValueError as error:
            raise SourceFailed(Failing.MALFORMED, "the mean tick is out of range") from error
        liquidity = block.call(self.pool, _LIQUIDITY)
        mean = mean_liquidity(per_liquidity[0], per_liquidity[1], self.window_s)
        per_token = ratio if token_is_first else 1 / ratio
        return per_token, depth_in_quote(min(liquidity, liquidity if mean is None else mean), per_token)

    def _readings(self, block: Block) -> tuple[Sequence[int], Sequence[int]]:
        """Return what the pool had counted when the window began and now."""
        ticks, per_liquidity = block.call(self.pool, _OBSERVE, [self.window_s, 0])
        if len(ticks) != 2 or len(per_liquidity) != 2:
            raise SourceFailed(Failing.MALFORMED, "the pool answers for other instants than were asked")
        return ticks, per_liquidity


def _decimals(block: Block, token: str) -> int:
    decimals = int(block.call(token, _DECIMALS))
    if decimals > _MOST_DECIMALS:
        raise SourceFailed(Failing.MALFORMED, f"{decimals} decimals")
    return decimals


def _call[T](ask: Callable[[], T]) -> T:
    """Return the answer of a node, its failures sorted: web3 raises what its transport and its decoder raise."""
    from requests import RequestException, Timeout  # noqa: PLC0415 - web3's transport
    from web3.exceptions import ContractLogicError, Web3Exception  # noqa: PLC0415 - as above

    try:
        return ask()
    except Timeout as error:
        raise SourceFailed(Failing.TIMEOUT, "the node does not answer") from error
    except RequestException as error:
        raise SourceFailed(Failing.UNREACHABLE, type(error).__name__) from error
    except ContractLogicError as error:
        raise SourceFailed(Failing.REFUSED, "the contract refused: no such data, or not so far back") from error
    except (Web3Exception, ValueError, TypeError, KeyError, OverflowError) as error:
        raise SourceFailed(Failing.MALFORMED, type(error).__name__) from error


def _view(name: str, inputs: Sequence[str], outputs: Sequence[str]) -> Mapping[str, Any]:
    return {
        "type": "function",
        "name": name,
        "stateMutability": "view",
        "inputs": [{"name": "", "type": kind} for kind in inputs],
        "outputs": [{"name": "", "type": kind} for kind in outputs],
    }


_LATEST_ROUND = _view("latestRoundData", [], ["uint80", "int256", "uint256", "uint256", "uint80"])
_DECIMALS = _view("decimals", [], ["uint8"])
_TOKEN0 = _view("token0", [], ["address"])
_TOKEN1 = _view("token1", [], ["address"])
_LIQUIDITY = _view("liquidity", [], ["uint128"])
_OBSERVE = _view("observe", ["uint32[]"], ["int56[]", "uint160[]"])
