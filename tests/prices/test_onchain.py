"""Prices from a real chain: a feed and a pool, each of which can be wrong in every way that one can."""

import json
from typing import Any

import pytest
from jatevo_testing.chain import TestChain

from jatevo.adapters.prices.configuration import sources_from
from jatevo.domain.prices import PICO_PER_USD, Failing, Heard, NoObservation, Observation
from jatevo.domain.ticks import price_at
from jatevo_local.ports import free_port

CENT = PICO_PER_USD // 100
WINDOW_S = 1800
LIQUIDITY = 10**24


def now_of(chain: TestChain) -> int:
    return chain.node.now_unix_s()


async def heard(chain: TestChain, row: dict[str, Any], *, now: int | None = None) -> Heard:
    rows = json.dumps([{"rpc": [chain.url], "chain_id": chain.chain_id, **row}])
    [source] = sources_from(rows, {"ssm:/jatevo/prices/node": chain.url}.get)
    return await source.observe(now_of(chain) if now is None else now)


async def failing(chain: TestChain, row: dict[str, Any], *, now: int | None = None) -> Failing:
    said = await heard(chain, row, now=now)
    assert isinstance(said, NoObservation), said
    return said.failing


class Feed:
    """An aggregator, and the row that configures it."""

    def __init__(self, chain: TestChain, decimals: int = 8) -> None:
        self.chain = chain
        self.address = chain.node.deploy("aggregator", "JTVO / USD", decimals)
        self.row: dict[str, Any] = {"kind": "aggregator", "address": self.address}

    def publish(self, answer: int, updated_at: int = 0) -> None:
        self.chain.node.send("aggregator", self.address, "publish", answer, updated_at)


class Market:
    """A token, a quote token and a pool of the two."""

    def __init__(self, chain: TestChain, *, token_first: bool, quote_decimals: int = 6) -> None:
        self.chain = chain
        tokens = [chain.token(decimals=18).address, chain.token(decimals=quote_decimals).address]
        self.token, self.quote = tokens
        pair = tokens if token_first else tokens[::-1]
        self.pool = chain.node.deploy("pool", *pair, 3000)
        self.row: dict[str, Any] = {"kind": "uniswap_v3", "pool": self.pool, "token": self.token, "quote_usd": "1.00"}

    def at(self, tick: int, liquidity: int = LIQUIDITY) -> None:
        self.chain.node.send("pool", self.pool, "set", tick, 2**96, liquidity)

    def wait(self, seconds: int) -> None:
        self.chain.node.mine(at_unix_s=now_of(self.chain) + seconds)


@pytest.mark.parametrize(("decimals", "answer"), [(8, 10**6), (18, 10**16), (0, 7)])
async def test_a_feeds_answer_is_read_with_its_decimals(chain: TestChain, decimals: int, answer: int) -> None:
    feed = Feed(chain, decimals)
    feed.publish(answer)
    said = await heard(chain, feed.row)
    assert isinstance(said, Observation), said
    assert said.price_pico_usd == answer * PICO_PER_USD // 10**decimals
    assert said.as_of_unix_s == now_of(chain)


@pytest.mark.parametrize("answer", [0, -(10**6)])
async def test_a_feed_without_a_positive_answer_has_none(chain: TestChain, answer: int) -> None:
    feed = Feed(chain)
    feed.publish(answer)
    assert await failing(chain, feed.row) is Failing.IMPLAUSIBLE


async def test_a_feed_is_as_old_as_its_round(chain: TestChain) -> None:
    feed = Feed(chain)
    feed.publish(10**6, now_of(chain) - 5000)
    said = await heard(chain, feed.row)
    assert isinstance(said, Observation)
    assert now_of(chain) - said.as_of_unix_s >= 5000
    assert said.max_age_s == 3600
    feed.publish(10**6, now_of(chain) + 10_000)
    assert await failing(chain, feed.row) is Failing.TOO_OLD


async def test_a_feed_without_a_round_or_no_feed_at_all_is_refused(chain: TestChain) -> None:
    feed = Feed(chain)
    assert await failing(chain, feed.row) is Failing.REFUSED
    nobody = {"kind": "aggregator", "address": "0x" + "12" * 20}
    assert await failing(chain, nobody) is Failing.MALFORMED
    token = {"kind": "aggregator", "address": chain.token().address}
    assert await failing(chain, token) in {Failing.MALFORMED, Failing.REFUSED}


async def test_the_next_node_is_asked_when_one_fails(chain: TestChain) -> None:
    feed = Feed(chain)
    feed.publish(10**6)
    dead = f"http://127.0.0.1:{free_port()}"
    assert isinstance(await heard(chain, {**feed.row, "rpc": [dead, "ssm:/jatevo/prices/node"]}), Observation)
    assert await failing(chain, {**feed.row, "rpc": [dead]}) is Failing.UNREACHABLE


async def test_a_node_that_is_stuck_or_of_another_chain_is_no_quiet_market(chain: TestChain) -> None:
    feed = Feed(chain)
    feed.publish(10**6)
    assert await failing(chain, feed.row, now=now_of(chain) + 301) is Failing.TOO_OLD
    assert await failing(chain, {**feed.row, "chain_id": 1}) is Failing.MISCONFIGURED


@pytest.mark.parametrize("token_first", [True, False])
@pytest.mark.parametrize("quote_decimals", [6, 18])
async def test_a_pools_mean_is_the_price_whichever_side_the_token_is_on(
    chain: TestChain, *, token_first: bool, quote_decimals: int
) -> None:
    market = Market(chain, token_first=token_first, quote_decimals=quote_decimals)
    tick = (-1 if token_first else 1) * (46054 if quote_decimals == 18 else 322_378)  # a cent, by either decimals
    market.at(tick)
    market.wait(WINDOW_S + 1)
    said = await heard(chain, market.row | {"min_liquidity_usd": "1"})
    assert isinstance(said, Observation), said
    assert abs(said.price_pico_usd - CENT) < CENT // 1000
    per_token = price_at(tick) if token_first else 1 / price_at(tick)
    exact = per_token * 10**18 / 10**quote_decimals * PICO_PER_USD
    assert said.price_pico_usd == exact.numerator // exact.denominator


async def test_one_block_moves_a_mean_by_its_share_of_the_window_only(chain: TestChain) -> None:
    market = Market(chain, token_first=True, quote_decimals=18)
    market.at(-46054)
    market.wait(WINDOW_S)
    market.at(0)  # a hundred times the price
    before = await heard(chain, market.row)
    assert isinstance(before, Observation)
    assert abs(before.price_pico_usd - CENT) < CENT // 1000
    market.wait(12)
    after = await heard(chain, market.row)
    assert isinstance(after, Observation)
    assert before.price_pico_usd < after.price_pico_usd < CENT * 104 // 100


async def test_a_pool_without_enough_behind_it_or_behind_it_lately_is_too_thin(chain: TestChain) -> None:
    market = Market(chain, token_first=True, quote_decimals=18)
    market.at(-46054, liquidity=10**21)  # a hundred dollars stand against a trade
    market.wait(WINDOW_S)
    assert await failing(chain, market.row) is Failing.TOO_THIN
    market.at(-46054, liquidity=10**27)  # for this one block
    assert await failing(chain, market.row) is Failing.TOO_THIN
    market.wait(60)
    assert await failing(chain, market.row) is Failing.TOO_THIN


async def test_a_pool_that_cannot_look_back_far_enough_is_refused(chain: TestChain) -> None:
    market = Market(chain, token_first=True)
    market.at(-322_378)
    market.wait(WINDOW_S - 60)
    assert await failing(chain, market.row) is Failing.REFUSED


async def test_a_pool_of_other_tokens_or_of_the_token_with_itself_is_misconfigured(chain: TestChain) -> None:
    market, other = Market(chain, token_first=True), chain.token().address
    market.at(-322_378)
    market.wait(WINDOW_S)
    assert await failing(chain, market.row | {"token": other}) is Failing.MISCONFIGURED
    itself = chain.node.deploy("pool", market.token, market.token, 3000)
    assert await failing(chain, market.row | {"pool": itself}) is Failing.MISCONFIGURED


async def test_the_quote_asset_may_be_priced_by_a_feed_that_must_be_fresh(chain: TestChain) -> None:
    market, feed = Market(chain, token_first=True, quote_decimals=18), Feed(chain)
    market.at(-124_344)  # a token is worth 0.000003985 ether
    feed.publish(2500 * 10**8)
    market.wait(WINDOW_S)
    row = {name: value for name, value in market.row.items() if name != "quote_usd"} | {"quote_feed": feed.address}
    said = await heard(chain, row)
    assert isinstance(said, Observation), said
    assert said.price_pico_usd == price_at(-124_344) * 2500 * PICO_PER_USD // 1
    assert abs(said.price_pico_usd - CENT) < CENT // 200
    market.wait(3600)
    assert await failing(chain, row) is Failing.TOO_OLD
