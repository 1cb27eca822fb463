"""
What is measured: the stub alone, and this gateway over it, each in processes of its own.

`laboratory` starts the engine and the stub; the others take what it yields.
"""

import os
import sys
import tempfile
from collections.abc import AsyncIterator, Callable, Iterator, Mapping, Sequence
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from jatevo_testing.tables import fresh_tables
from jatevo_testing.world import Customer, World

from jatevo.bootstrap import Settings
from jatevo_local.built_stack import built_stack
from jatevo_local.engine import AWS_ENVIRONMENT, start_dynoxide
from jatevo_local.ports import accepts_connections, free_port
from jatevo_local.processes import Child, Children, Program

_HERE = Path(__file__).parent
_MODEL: dict[str, Any] = {
    "id": "bench",
    "context_window": 1_000_000,
    "max_output_tokens": 16_384,
    "default_output_tokens": 512,
    "price": {"input": "1.00", "cached_input": "0.10", "output": "2.00"},
    "routes": [{"pool": "stub", "model": "stub"}],
}


@dataclass(frozen=True, slots=True)
class Subject:
    """Something that serves chat completions at `url`. `pids`: the processes whose CPU and memory are its own."""

    name: str
    url: str
    model: str
    pids: Callable[[], Sequence[int]]
    headers: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Laboratory:
    """An engine with tables, a stub, and a customer whom nothing will stop."""

    children: Children
    logs: Path
    stub_url: str
    stub: Child
    customer: Customer
    environment: Mapping[str, str]
    """Of a gateway: where its tables are."""

    def start(self, name: str, argv: Sequence[str], port: int, **environment: str) -> Child:
        """Start a program and wait until it listens; `argv` follows the name of this Python."""
        return self.children.start(
            Program(
                name,
                [sys.executable, *argv],
                ready=lambda: accepts_connections(port),
                environment={**self.environment, **environment},
            )
        )


@contextmanager
def laboratory() -> Iterator[Laboratory]:
    os.environ.update(AWS_ENVIRONMENT)
    with tempfile.TemporaryDirectory() as folder, Children(Path(folder), say=print) as children:
        endpoint, port = start_dynoxide(children, free_port()).endpoint_url, free_port()
        stub = children.start(
            Program(
                "stub", [sys.executable, str(_HERE / "stub.py"), str(port)], ready=lambda: accepts_connections(port)
            )
        )
        with fresh_tables(endpoint) as names:
            prefix = names.windows.removesuffix("-windows")
            world = World(endpoint, prefix, Settings())
            base_url = f"http://127.0.0.1:{port}/v1"
            world.put_catalogue(
                {"pools": [{"id": "stub", "base_url": base_url, "api_key": "env:POOL_KEY"}], "models": [_MODEL]}
            )
            customer = world.customer(requests=10**9, budget_nano_usd=10**17, concurrency=1000)
            environment = {
                **AWS_ENVIRONMENT,
                "JATEVO_DYNAMODB_ENDPOINT": endpoint,
                "JATEVO_TABLE_PREFIX": prefix,
                "POOL_KEY": "x",
            }
            yield Laboratory(children, Path(folder), base_url, stub, customer, environment)
            world.gateway.close()
            world.dynamodb.close()


def bare(lab: Laboratory) -> Subject:
    """Return the stub itself, which everything else is compared with."""
    return Subject("stub alone", f"{lab.stub_url}/chat/completions", "stub", lambda: [lab.stub.pid])


def on_uvicorn(lab: Laboratory) -> Subject:
    """Start the inference function's app on uvicorn."""
    port = free_port()
    child = lab.start("gateway", [str(_HERE / "serve_inference.py"), str(port)], port)
    url = f"http://127.0.0.1:{port}/v1/chat/completions"
    return Subject("Jatevo", url, "bench", lambda: [child.pid], lab.customer.headers)


def relay(lab: Laboratory, writes: int) -> Subject:
    """Start what passes bytes on, with so many writes to DynamoDB for each request, and does nothing else."""
    port = free_port()
    argv = [str(_HERE / "serve_relay.py"), str(port)]
    child = lab.start(f"relay-{writes}", argv, port, STUB=lab.stub_url, WRITES=str(writes))
    name = f"a relay, {writes} writes" if writes else "a relay alone"
    return Subject(name, f"http://127.0.0.1:{port}/v1/chat/completions", "stub", lambda: [child.pid])


@asynccontextmanager
async def as_built(lab: Laboratory) -> AsyncIterator[Subject]:
    """
    Start what `make build` made, under the local Lambda. API Gateway's part runs in this process and is not counted.
    """
    async with built_stack({"": lab.environment}, lab.logs, most_environments=1) as stack:
        function = stack.functions["InferenceFunction"]

        def pids() -> list[int]:
            return [environment.pid for environment in function.environments]

        url = f"{stack.url}/v1/chat/completions"
        yield Subject("Jatevo under Lambda's loop", url, "bench", pids, lab.customer.headers)
