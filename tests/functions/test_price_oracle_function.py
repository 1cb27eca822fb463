"""The oracle's Lambda handler: any number of invocations in one process, over real sources and a real engine."""

import json
import logging
from collections.abc import Iterator

import pytest
from jatevo_testing.chain import TestChain
from jatevo_testing.price_apis import TOKEN, Market, PriceApis, price_apis

from jatevo.adapters.dynamodb.schema import TableNames
from jatevo.bootstrap import Gateway, Settings, SettingsError
from jatevo.domain.prices import Observation
from jatevo_price_oracle import handler

EVENT = {"source": "aws.scheduler", "detail-type": "Scheduled Event"}


@pytest.fixture
def apis(dynoxide: str, tables: TableNames, monkeypatch: pytest.MonkeyPatch) -> Iterator[PriceApis]:
    with price_apis() as apis:
        monkeypatch.setenv("JATEVO_DYNAMODB_ENDPOINT", dynoxide)
        monkeypatch.setenv("JATEVO_TABLE_PREFIX", tables.windows.removesuffix("-windows"))
        monkeypatch.setenv("JATEVO_PRICE_SOURCES", sources(apis.url))
        monkeypatch.setenv("JATEVO_PRICE_RULES", "sustain_s=0")
        handler.gateway.cache_clear()
        yield apis
        handler.gateway().close()
        handler.gateway.cache_clear()


def sources(url: str) -> str:
    return json.dumps(
        [
            {"kind": "geckoterminal", "network": "solana", "token": TOKEN, "url": url},
            {"kind": "dexscreener", "chain": "solana", "token": TOKEN, "url": url},
            {"kind": "coingecko", "platform": "solana", "token": TOKEN, "url": url},
        ]
    )


def test_each_invocation_decides_by_what_the_sources_say_then(apis: PriceApis) -> None:
    first = handler.lambda_handler(EVENT, None)
    assert first == {"reason": "sustained", "state": "ok", "price_pico_usd": 10**10} | {
        "agreed": 3,
        "asked": 3,
        "age_s": 0,
    }
    apis.markets = [Market(price="0.0099")]
    second = handler.lambda_handler(EVENT, None)
    assert (second["reason"], second["price_pico_usd"]) == ("moved", 99 * 10**8)
    apis.status = 500
    assert handler.lambda_handler(EVENT, None)["state"] == "frozen"


def test_a_run_is_logged_and_a_price_that_is_kept_for_long_warns(
    apis: PriceApis, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO, logger="jatevo_price_oracle")
    apis.status = 500
    handler.lambda_handler(EVENT, None)
    handler.lambda_handler(EVENT, None)
    [record, _] = [record for record in caplog.records if record.name == "jatevo_price_oracle.handler"]
    assert record.levelno == logging.WARNING
    assert vars(record)["fields"]["state"] == "stale"


def gateway(**settings: str) -> Gateway:
    return Gateway(Settings(**settings), {})  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("settings", "said"),
    [
        ({"price_sources": "{"}, "JATEVO_PRICE_SOURCES: it is no JSON"),
        ({"price_sources": "{}"}, "it is no list"),
        ({"price_sources": "[5]"}, "source 1 is no object"),
        ({"price_sources": '[{"kind": "oracle"}]'}, "source 1: kind must be one of"),
        ({"price_sources": '[{"kind": "coingecko"}]'}, "source 1: platform must be a text"),
        ({"price_sources": '[{"kind": "coingecko", "platform": "a", "token": "b", "x": 1}]'}, "x is not known here"),
        ({"price_sources": '[{"kind": "coingecko", "platform": "a", "token": "b", "url": "http://a"}]'}, "url must"),
        ({"price_sources": '[{"kind": "dexscreener", "chain": "a", "token": "b"}]'}, "can never be a quorum of 2"),
        (
            {"price_sources": json.dumps([{"kind": "dexscreener", "chain": "a", "token": "b"}] * 2)},
            "two sources have one name",
        ),
        (
            {"price_sources": '[{"kind": "aggregator", "rpc": "http://127.0.0.1", "chain_id": 1, "address": "0x1"}]'},
            "address must be an address",
        ),
        (
            {
                "price_sources": json.dumps(
                    [{"kind": "uniswap_v3", "rpc": ["x"], "chain_id": 1, "pool": "0x" + "1" * 40, "token": "JTVO"}]
                )
            },
            "token must be an address",
        ),
        ({"price_rules": "quorum=0"}, "JATEVO_PRICE_RULES: quorum must be"),
    ],
)
def test_a_wrong_setting_is_one_clear_line(settings: dict[str, str], said: str) -> None:
    made = gateway(**settings)
    try:
        with pytest.raises(SettingsError, match=said) as raised:
            made.price_updates()
        assert "\n" not in str(raised.value)
    finally:
        made.close()


def test_a_mean_over_less_than_half_an_hour_is_refused() -> None:
    row = {"kind": "uniswap_v3", "rpc": ["x"], "chain_id": 1, "pool": "0x" + "1" * 40, "token": "0x" + "2" * 40}
    made = gateway(price_sources=json.dumps([{**row, "quote_usd": "1.00", "window_s": 1799}]))
    with pytest.raises(SettingsError, match="window_s must be a whole number from 1800"):
        made.price_updates()
    made.close()


async def test_a_source_that_names_no_chain_is_on_that_of_the_token(chain: TestChain) -> None:
    feed = chain.node.deploy("aggregator", "JTVO / USD", 8)
    chain.node.send("aggregator", feed, "publish", 10**6, 0)
    source = {"kind": "aggregator", "address": feed, "block_max_age_s": 10**9}
    made = gateway(
        price_sources=json.dumps([source]),
        price_rules="quorum=1",
        evm_token=f"eip155:{chain.chain_id}/erc20:0x{'1' * 40}",
        evm_rpc_urls=chain.url,
    )
    [asked] = made.price_updates()._sources
    said = await asked.observe(chain.node.now_unix_s())
    made.close()
    assert isinstance(said, Observation), said
    assert said.price_pico_usd == 10**10
