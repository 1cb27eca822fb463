"""
What was built, running: functions as processes with their layers and nothing else, AWS as their roles see it.

`cloud` is made once for a file: a stack, its engine behind `Aws`, and a scripted upstream.
"""

import json
import secrets
import subprocess
import time
from collections.abc import AsyncIterator

import httpx
import pytest
from jatevo_testing.aws import Aws, serving
from jatevo_testing.chain import TestChain, TestToken
from jatevo_testing.cloud import Cloud
from jatevo_testing.owners import SITE
from jatevo_testing.price_apis import TOKEN, price_apis
from jatevo_testing.roles import permissions
from jatevo_testing.solana import SolanaStandIn, solana_node
from jatevo_testing.tables import fresh_tables
from jatevo_testing.upstream import ScriptedUpstream
from jatevo_testing.world import MODEL

from jatevo_local import built
from jatevo_local.built_stack import built_stack
from jatevo_local.engine import PROJECT

POOL_KEY = "secret-pool-key"


@pytest.fixture(scope="module")
def anyio_backend() -> str:
    return "asyncio"


@pytest.fixture(scope="module")
async def cloud(dynoxide: str, chain: TestChain, tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Cloud]:
    token = secrets.token_urlsafe(32)
    kept = {
        "/jatevo/operator-token": token,
        "/jatevo/pools/main": POOL_KEY,
        "/jatevo/public-url": SITE,
        "/jatevo/prices/coingecko": "secret-price-key",
        "/jatevo/chains/oracle": "http://127.0.0.1:9",
    }
    functions = built.functions()
    with fresh_tables(dynoxide) as names:
        prefix = names.windows.removesuffix("-windows")
        aws = Aws(dynoxide, prefix, {name: permissions(name) for name in functions}, kept)
        with serving(aws), price_apis() as prices, solana_node(SolanaStandIn(time=lambda: int(time.time()))) as node:
            coin = chain.token()
            kept |= {"/jatevo/chains/evm": chain.url, "/jatevo/chains/solana": node.url}
            environments = {name: aws.environment(name) for name in functions}
            short = {
                "JATEVO_UPSTREAM_DEADLINE_S": "3",
                "JATEVO_RESERVATION_GRACE_S": "1",
                "JATEVO_DIRECTORY_KEEP_MS": "1000",
            }
            environments["InferenceFunction"] |= short
            for reader in ("AccountFunction", "AdminFunction", "HoldingsSnapshotFunction", "HoldingsRefreshFunction"):
                environments[reader] |= chain_settings(coin, node)
            environments["PriceOracleFunction"]["JATEVO_PRICE_SOURCES"] = price_sources(prices.url)
            async with (
                ScriptedUpstream() as upstream,
                built_stack(environments, tmp_path_factory.mktemp("lambda")) as stack,
                httpx.AsyncClient(base_url=stack.url, timeout=30) as client,
                httpx.AsyncClient(
                    base_url=f"{stack.url}/admin/v1", headers={"authorization": f"Bearer {token}"}, timeout=30
                ) as admin,
            ):
                document = {
                    "pools": [{"id": "main", "base_url": upstream.base_url, "api_key": "ssm:/jatevo/pools/main"}],
                    "models": [MODEL],
                }
                answer = await admin.put("/catalog", json={"document": document})
                assert answer.status_code == 200, answer.text
                yield Cloud(stack, aws, names, upstream, admin, client, prices, coin, node)


def chain_settings(token: TestToken, node: SolanaStandIn) -> dict[str, str]:
    """Return the settings of what reads two chains, each by an address that is a secret."""
    return {
        "JATEVO_EVM_TOKEN": f"eip155:{token.chain.chain_id}/erc20:{token.address}",
        "JATEVO_EVM_RPC_URLS": "ssm:/jatevo/chains/evm",
        "JATEVO_EVM_CONFIRMATIONS": "0",
        "JATEVO_SOLANA_TOKEN": str(node.token),
        "JATEVO_SOLANA_RPC_URLS": "ssm:/jatevo/chains/solana",
        "JATEVO_CHAIN_LAG_S": "0",
    }


def price_sources(url: str) -> str:
    """Return three sources at a stand-in, one of which has a key; and one on a chain whose node is kept as a secret."""
    solana = {"token": TOKEN, "url": url}
    key = {"api_key": "ssm:/jatevo/prices/coingecko"}
    return json.dumps(
        [
            {"kind": "geckoterminal", "network": "solana", **solana},
            {"kind": "dexscreener", "chain": "solana", **solana},
            {"kind": "coingecko", "platform": "solana", **solana, **key},
            {"kind": "aggregator", "address": "0x" + "1" * 40, "chain_id": 1, "rpc": ["ssm:/jatevo/chains/oracle"]},
        ]
    )


@pytest.fixture(autouse=True, scope="session")
def what_is_built_is_what_is_written() -> None:
    """Nothing stale is tested; `make test` has built already."""
    done = subprocess.run([str(PROJECT / "scripts" / "build")], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
