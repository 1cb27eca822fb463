"""A client whose request is cancelled, at any moment of settling, cannot stop the settling."""

import asyncio
import json
from collections.abc import MutableMapping
from typing import Any

import pytest
from jatevo_testing.upstream import ScriptedUpstream, answering, usage
from jatevo_testing.world import World

from jatevo.adapters.http import asgi
from jatevo.application.ports import StoreUnavailable
from jatevo.domain.windows import unbalanced_nano_usd

CHARGE = 10 * 1_000 + 20 * 2_000


@pytest.mark.parametrize("stream", [True, False])
@pytest.mark.parametrize("moment", ["decide", "settle"])
async def test_a_client_cancelled_while_settling_is_charged_once_and_nothing_stays_held(
    world: World, upstream: ScriptedUpstream, monkeypatch: pytest.MonkeyPatch, moment: str, *, stream: bool
) -> None:
    upstream.script = answering("hello there", usage(10, 20))
    customer = world.customer(margin_bps=0)
    reached, go_on = asyncio.Event(), asyncio.Event()
    store = world.gateway.ledger if moment == "decide" else world.gateway.windows
    whole = getattr(store, moment)

    async def held_up(*arguments: Any, **more: Any) -> Any:
        reached.set()
        await go_on.wait()
        return await whole(*arguments, **more)

    monkeypatch.setattr(store, moment, held_up)
    client = asyncio.create_task(world.chat(customer, max_tokens=100, stream=stream))
    await reached.wait()
    client.cancel()
    with pytest.raises(asyncio.CancelledError):
        await client
    go_on.set()
    await world.app.drain()

    [entry] = await world.ledger(customer)
    assert entry.figures.charge_nano_usd == CHARGE
    window = await world.window(customer)
    assert not window.open
    assert (window.settled_nano_usd, window.requests_left) == (CHARGE, 10)
    assert unbalanced_nano_usd(window) == 0


async def test_a_client_cancelled_before_the_upstream_answers_leaves_nothing_held(
    world: World, upstream: ScriptedUpstream
) -> None:
    asked, go_on = asyncio.Event(), asyncio.Event()
    whole = answering("hello there", usage(10, 20))

    async def slow(request: Any, connection: Any) -> None:
        asked.set()
        await go_on.wait()
        await whole(request, connection)

    upstream.script = slow
    customer = world.customer(margin_bps=0)
    client = asyncio.create_task(world.chat(customer, max_tokens=100))
    await asked.wait()
    client.cancel()
    with pytest.raises(asyncio.CancelledError):
        await client
    go_on.set()
    await world.app.drain()

    [entry] = await world.ledger(customer)
    assert entry.figures.charge_nano_usd == CHARGE
    assert not (await world.window(customer)).open


async def test_a_client_that_does_not_read_that_the_store_failed_ends_the_request_in_order(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def down(*_: object) -> None:
        raise StoreUnavailable("not now")

    async def receive() -> dict[str, Any]:
        return {"type": "http.request", "body": b"{}", "more_body": False}

    async def send(message: MutableMapping[str, Any]) -> None:
        if message["type"] == "http.response.body":
            await asyncio.Event().wait()

    monkeypatch.setattr(asgi, "READ_PATIENCE_S", 0.01)
    monkeypatch.setattr(world.gateway.access, "authenticate", down)
    scope = {"type": "http", "method": "POST", "path": "/v1/chat/completions", "headers": []}
    await world.app(scope, receive, send)


async def test_a_stream_that_its_client_stops_reading_is_given_up_and_settled(
    world: World, upstream: ScriptedUpstream, monkeypatch: pytest.MonkeyPatch
) -> None:
    upstream.script = answering("hello there", usage(10, 20))
    customer = world.customer(margin_bps=0)
    body = json.dumps({"model": "test-model", "messages": [{"role": "user", "content": "hi"}], "stream": True})
    messages = [{"type": "http.request", "body": body.encode(), "more_body": False}]

    async def receive() -> dict[str, Any]:
        if not messages:
            await asyncio.Event().wait()
        return messages.pop()

    async def send(message: MutableMapping[str, Any]) -> None:
        if message["type"] == "http.response.body":
            await asyncio.Event().wait()

    monkeypatch.setattr(asgi, "READ_PATIENCE_S", 0.01)
    headers = [(name.encode(), value.encode()) for name, value in customer.headers.items()]
    scope = {"type": "http", "method": "POST", "path": "/v1/chat/completions", "headers": headers}
    await world.app(scope, receive, send)
    await world.app.drain()

    [entry] = await world.ledger(customer)
    assert entry.figures.charge_nano_usd == CHARGE
    assert not (await world.window(customer)).open
