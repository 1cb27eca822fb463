"""The oracle as built, with its layers and nothing else: it reads a real chain."""

import json
from collections.abc import Iterator
from pathlib import Path

import pytest
from jatevo_testing.chain import TestChain, running_chain
from jatevo_testing.rie import under_rie

from jatevo.adapters.dynamodb.schema import TableNames
from jatevo_local import built
from jatevo_local.engine import AWS_ENVIRONMENT


@pytest.fixture
def chain(tmp_path: Path) -> Iterator[TestChain]:
    with running_chain(tmp_path / "chain") as running:
        yield running


def test_a_feed_on_a_chain_makes_the_price(chain: TestChain, dynoxide: str, tables: TableNames, tmp_path: Path) -> None:
    feed = chain.node.deploy("aggregator", "JTVO / USD", 8)
    chain.node.send("aggregator", feed, "publish", 10**6, 0)
    source = {"kind": "aggregator", "rpc": [chain.url], "chain_id": chain.chain_id, "address": feed}
    environment = {
        **AWS_ENVIRONMENT,
        "JATEVO_DYNAMODB_ENDPOINT": dynoxide,
        "JATEVO_TABLE_PREFIX": tables.windows.removesuffix("-windows"),
        "JATEVO_PRICE_SOURCES": json.dumps([source]),
        "JATEVO_PRICE_RULES": "quorum=1,sustain_s=0",
    }
    with under_rie(built.functions()["PriceOracleFunction"], environment, tmp_path) as lambda_:
        report = lambda_.invoke({})
    assert report.pop("age_s") >= 0
    assert report == {"reason": "sustained", "state": "ok", "price_pico_usd": 10**10, "agreed": 1, "asked": 1}
