"""What indexers say is read exactly, of the right pools only; whatever else they do is a reason, never a price."""

import json
import time
from typing import Any

import httpx
import pytest
from jatevo_testing.price_apis import DAY_S, SOL, TOKEN, Market, PriceApis

from jatevo.adapters.prices import http
from jatevo.adapters.prices.configuration import sources_from
from jatevo.application.prices import PriceSource
from jatevo.domain.prices import Failing, Heard, NoObservation, Observation

POOLED: list[dict[str, Any]] = [
    {"kind": "geckoterminal", "network": "solana", "token": TOKEN},
    {"kind": "dexscreener", "chain": "solana", "token": TOKEN},
]
COINGECKO: dict[str, Any] = {"kind": "coingecko", "platform": "solana", "token": TOKEN}
EVERY = [*POOLED, COINGECKO]
CENT = 10**10


def source_at(apis: PriceApis, row: dict[str, Any], **more: Any) -> PriceSource:
    rows = [{**row, "url": apis.url, **more}]
    [source] = sources_from(json.dumps(rows), {"ssm:/jatevo/prices/coingecko": "secret-key"}.get)
    return source


async def heard(apis: PriceApis, row: dict[str, Any], **more: Any) -> Heard:
    return await source_at(apis, row, **more).observe(int(time.time()))


async def failing(apis: PriceApis, row: dict[str, Any], **more: Any) -> Failing:
    said = await heard(apis, row, **more)
    assert isinstance(said, NoObservation), said
    return said.failing


@pytest.mark.parametrize("row", EVERY, ids=lambda row: row["kind"])
@pytest.mark.parametrize(
    ("text", "pico"),
    [("0.01", CENT), ("0.0000051234567891239", 5_123_456), ("123.4567", 123_456_700_000_000), ("5.12e-05", 51_200_000)],
)
async def test_a_price_is_read_to_the_last_digit(apis: PriceApis, row: dict[str, Any], text: str, pico: int) -> None:
    apis.markets = [Market(price=text)]
    said = await heard(apis, row)
    assert isinstance(said, Observation), said
    assert said.price_pico_usd == pico
    assert said.source == row["kind"]
    assert 0 <= time.time() - said.as_of_unix_s < 60
    [(path, _)] = apis.asked
    assert TOKEN in path


@pytest.mark.parametrize("row", POOLED, ids=lambda row: row["kind"])
async def test_pools_quoted_in_the_token_or_in_something_unknown_are_dropped(
    apis: PriceApis, row: dict[str, Any]
) -> None:
    own = Market(price="195.0", base=SOL, quote=TOKEN, depth="99999999")
    fake = Market(price="50.0", quote="FakeFakeFakeFakeFakeFakeFakeFakeFakeFakeFak", depth="99999999")
    apis.markets = [own, fake, Market(price="0.01")]
    said = await heard(apis, row)
    assert isinstance(said, Observation)
    assert said.price_pico_usd == CENT
    apis.markets = [own, fake, Market(price="77.0", base=TOKEN, quote=TOKEN)]
    assert await failing(apis, row) is Failing.UNKNOWN_TOKEN


@pytest.mark.parametrize("row", POOLED, ids=lambda row: row["kind"])
@pytest.mark.parametrize("pool", [Market(depth="9999.99"), Market(age_s=2 * DAY_S), Market(trades=9)])
async def test_pools_that_are_shallow_young_or_idle_do_not_count(
    apis: PriceApis, row: dict[str, Any], pool: Market
) -> None:
    apis.markets = [pool]
    assert await failing(apis, row) is Failing.TOO_THIN


@pytest.mark.parametrize("row", POOLED, ids=lambda row: row["kind"])
async def test_a_pumped_thin_pool_beside_a_deep_one_moves_nothing(apis: PriceApis, row: dict[str, Any]) -> None:
    apis.markets = [Market(price="9.0", depth="20000"), Market(price="0.01"), Market(price="8.0", depth="30000")]
    said = await heard(apis, row)
    assert isinstance(said, Observation)
    assert said.price_pico_usd == CENT


async def test_a_pool_of_an_attackers_own_tokens_at_his_own_price_is_not_deep(apis: PriceApis) -> None:
    """He deposits tokens alone, says that each is worth a dollar, and trades with himself."""
    apis.markets = [Market(), Market(price="1.00", depth="90000000", quoted="3")]
    said = await heard(apis, POOLED[1])
    assert isinstance(said, Observation)
    assert said.price_pico_usd == CENT


@pytest.mark.parametrize("row", POOLED, ids=lambda row: row["kind"])
async def test_only_named_pools_count_where_any_are_named(apis: PriceApis, row: dict[str, Any]) -> None:
    apis.markets = [Market(), Market(price="1.00", depth="90000000")]
    named = "pool0" if row["kind"] == "geckoterminal" else "pair0"
    said = await heard(apis, row, pools=[named])
    assert isinstance(said, Observation)
    assert said.price_pico_usd == CENT
    assert await failing(apis, row, pools=["another"]) is Failing.UNKNOWN_TOKEN


@pytest.mark.parametrize("row", POOLED, ids=lambda row: row["kind"])
async def test_an_odd_pool_does_not_silence_the_others(apis: PriceApis, row: dict[str, Any]) -> None:
    odd = [Market(price=None), Market(price="NaN"), Market(price="1e999999999"), Market(price="nothing")]
    apis.markets = [*odd, Market()]
    said = await heard(apis, row)
    assert isinstance(said, Observation)
    apis.markets = odd[3:]
    assert await failing(apis, row) is Failing.MALFORMED


@pytest.mark.parametrize("row", EVERY, ids=lambda row: row["kind"])
@pytest.mark.parametrize("text", ["0", "-0.01", "1e-30", "1e15"])
async def test_a_price_that_can_be_none_is_none(apis: PriceApis, row: dict[str, Any], text: str) -> None:
    apis.markets = [Market(price=text)]
    assert await failing(apis, row) is Failing.IMPLAUSIBLE


@pytest.mark.parametrize("row", EVERY, ids=lambda row: row["kind"])
@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"<html>busy</html>",
        b"null",
        b'"text"',
        b"17",
        b"NaN",
        b"{",
        b'{"data": 5}',
        b"[5]",
        b'[{"chainId": "solana"}]',
        b'{"data": [{"attributes": null}]}',
        b'{"' + TOKEN.encode() + b'": {"usd": "x"}}',
        b'{"' + TOKEN.encode() + b'": {"usd": ' + b"9" * 5000 + b"}}",
        b"[" * 100_000,
        b"\xff\xfe",
    ],
)
async def test_garbage_is_no_price(apis: PriceApis, row: dict[str, Any], body: bytes) -> None:
    apis.body = lambda: body
    assert await failing(apis, row) in {Failing.MALFORMED, Failing.UNKNOWN_TOKEN}


@pytest.mark.parametrize("row", EVERY, ids=lambda row: row["kind"])
async def test_nothing_known_is_no_price(apis: PriceApis, row: dict[str, Any]) -> None:
    apis.markets = []
    assert await failing(apis, row) is Failing.UNKNOWN_TOKEN


@pytest.mark.parametrize("row", EVERY, ids=lambda row: row["kind"])
async def test_errors_redirects_and_floods_are_refused(apis: PriceApis, row: dict[str, Any]) -> None:
    for status in (302, 404, 429, 500):
        apis.status, apis.headers = status, {"location": f"{apis.url}/elsewhere"}
        assert await failing(apis, row) is Failing.REFUSED
    assert len(apis.asked) == 4
    apis.status, apis.headers = 200, {}
    apis.body = lambda: b" " * (http.MAX_BYTES + 1)
    assert await failing(apis, row) is Failing.REFUSED


@pytest.mark.parametrize("row", EVERY, ids=lambda row: row["kind"])
async def test_one_that_hangs_is_given_up(
    apis: PriceApis, row: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(http, "_TIMEOUT", httpx.Timeout(0.2))
    apis.hang = True
    assert await failing(apis, row) is Failing.TIMEOUT


@pytest.mark.parametrize("row", EVERY, ids=lambda row: row["kind"])
async def test_one_that_is_gone_is_unreachable(apis: PriceApis, row: dict[str, Any]) -> None:
    assert await failing(apis, row, url="http://127.0.0.1:9") is Failing.UNREACHABLE


@pytest.mark.parametrize("row", EVERY, ids=lambda row: row["kind"])
@pytest.mark.parametrize("headers", [{"age": "3600"}, {"date": "Mon, 23 Nov 2020 12:00:00 GMT"}])
async def test_an_answer_from_an_old_cache_is_as_old_as_it_says(
    apis: PriceApis, row: dict[str, Any], headers: dict[str, str]
) -> None:
    apis.headers = headers
    said = await heard(apis, row)
    assert isinstance(said, Observation)
    assert time.time() - said.as_of_unix_s >= 3600


async def test_coingecko_says_itself_how_old_a_price_is_and_how_much_is_traded(apis: PriceApis) -> None:
    apis.updated_ago_s = 2000
    said = await heard(apis, COINGECKO)
    assert isinstance(said, Observation)
    assert time.time() - said.as_of_unix_s >= 2000
    apis.volume = "999.99"
    assert await failing(apis, COINGECKO) is Failing.TOO_THIN


async def test_a_key_goes_where_it_belongs_and_nowhere_else(apis: PriceApis) -> None:
    assert isinstance(await heard(apis, COINGECKO, api_key="ssm:/jatevo/prices/coingecko", plan="pro"), Observation)
    [(path, headers)] = apis.asked
    assert headers["x-cg-pro-api-key"] == "secret-key"
    assert "secret-key" not in path
    assert "secret-key" not in repr(source_at(apis, COINGECKO, api_key="ssm:/jatevo/prices/coingecko"))
    assert await failing(apis, COINGECKO, api_key="ssm:/jatevo/prices/none") is Failing.MISCONFIGURED
