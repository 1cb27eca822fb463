"""
What every client here meets: `make run`'s gateway, with the real model, and scripted upstreams of both kinds.

`tests/clients` is no part of `make test`: `make test-clients` installs its clients and runs it.
"""

import subprocess
from collections.abc import AsyncIterator, Iterator
from typing import Any

import pytest
from jatevo_testing.clients import SCRIPTED, Shop
from jatevo_testing.stack import Stack, start
from jatevo_testing.upstream import ScriptedUpstream

from jatevo_local.demo import Admin
from jatevo_local.engine import PROJECT
from jatevo_local.ports import free_port


@pytest.fixture(scope="module")
def anyio_backend() -> str:
    return "asyncio"


@pytest.fixture(scope="session")
def node() -> str:
    """The Node that the clients run on, with them installed."""
    done = subprocess.run([str(PROJECT / "scripts" / "clients")], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout.strip()


@pytest.fixture(scope="session")
def stack(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stack]:
    running = start(free_port(), tmp_path_factory.mktemp("stack"))
    assert running.process.poll() is None, running.printed
    yield running
    running.stop()


@pytest.fixture(scope="session")
def admin(stack: Stack) -> Iterator[Admin]:
    made = Admin(stack.url, stack.admin_token)
    yield made
    made.close()


@pytest.fixture(scope="module")
async def scripted(admin: Admin) -> AsyncIterator[ScriptedUpstream]:
    """A scripted upstream, and the stack's catalogue with models of it; one for a module, whose event loop it keeps."""
    async with ScriptedUpstream() as upstream:
        admin.ask("PUT", "/catalog", {"document": catalogue(admin, upstream)})
        yield upstream


def catalogue(admin: Admin, upstream: ScriptedUpstream) -> dict[str, Any]:
    """Return the stack's own catalogue, and besides: its model spoken to in both formats, and a scripted one."""
    document: dict[str, Any] = admin.ask("GET", "/catalog")["document"]
    own = {"local-responses", "scripted"}
    # However busy the machine is: a pool that is given up for its slowness is no matter of these tests.
    pools = [{**pool, "first_byte_s": 600} for pool in document["pools"] if pool["id"] not in own]
    models = [model for model in document["models"] if model["id"] not in {"smollm2-native", "scripted"}]
    pool = next(pool for pool in pools if pool["id"] == "local")
    model = next(model for model in models if model["id"] == "smollm2")
    model["default_output_tokens"] = 64  # the small model talks for as long as it is let
    there = model["routes"][0]["model"]
    return {
        **document,
        "pools": [
            *pools,
            {**pool, "id": "local-responses", "wire": ["responses"]},
            {"id": "scripted", "base_url": upstream.base_url},
        ],
        "models": [
            *models,
            {**model, "id": "smollm2-native", "routes": [{"pool": "local-responses", "model": there}]},
            {**SCRIPTED, "id": "scripted", "routes": [{"pool": "scripted", "model": "any"}]},
        ],
    }


@pytest.fixture
def shop(stack: Stack, admin: Admin, node: str, scripted: ScriptedUpstream) -> Shop:
    """The gateway, with a fresh account."""
    scripted.asked.clear()
    made = Shop(stack, scripted, admin, node)
    made.customer()
    return made
