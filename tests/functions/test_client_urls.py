"""An address in a request is the pool's to fetch, or nobody's: the gateway never connects to where a client says."""

from typing import Any

import pytest
from jatevo_testing.raw_server import answer, raw_server, saying
from jatevo_testing.upstream import ScriptedUpstream
from jatevo_testing.world import MODEL, World

SEES: dict[str, Any] = MODEL | {
    "price": {**MODEL["price"], "image_input": "1.00"},
    "estimate": {"image_tokens": 100},
}


def asked(route: str, url: str) -> dict[str, Any]:
    if route == "/v1/messages":
        part: dict[str, Any] = {"type": "image", "source": {"type": "url", "url": url}}
        return {"model": "test-model", "max_tokens": 5, "messages": [{"role": "user", "content": [part]}]}
    if route == "/v1/responses":
        part = {"type": "input_image", "image_url": url, "detail": "auto"}
        return {"model": "test-model", "input": [{"type": "message", "role": "user", "content": [part]}]}
    part = {"type": "image_url", "image_url": {"url": url}}
    return {"model": "test-model", "messages": [{"role": "user", "content": [part]}]}


@pytest.mark.parametrize("route", ["/v1/chat/completions", "/v1/responses", "/v1/messages"])
async def test_an_image_s_address_is_not_fetched_here(world: World, upstream: ScriptedUpstream, route: str) -> None:
    world.apply_catalogue(SEES, base_url=upstream.base_url)
    customer = world.customer()
    async with raw_server(saying(answer(b"x"))) as target:
        url = f"http://127.0.0.1:{target.port}/latest/meta-data/x.png"
        got = await world.client.post(route, json=asked(route, url), headers=customer.headers)
        assert got.status_code == 200, got.text
        assert target.connections == 0
    assert url in str(upstream.asked[-1]), "it is the pool's to fetch"
