"""SDKs in processes of their own: what each made of the same upstream, and that the ledger says the same of it."""

import json
from typing import Any

from jatevo_testing.clients import AGENTS_PYTHON, HERE, Shop, said
from jatevo_testing.tool_scripts import calling
from jatevo_testing.upstream import Asked, Connection

WEATHER = {"city": "Bern", "degrees": 7}


async def by_prompt(asked: Asked, connection: Connection) -> None:
    """Do what the last thing the user said asks for."""
    last = [message for message in asked.body["messages"] if message["role"] == "user"][-1]
    wish = last["content"] if isinstance(last["content"], str) else last["content"][0]["text"]
    script = {
        "hello": said("hello there"),
        "parse": said(json.dumps(WEATHER)),
        "tool": calling("look_up", {"city": "Bern"}),
    }[wish]
    await script(asked, connection)


def flat(told: dict[str, Any]) -> list[tuple[int, ...]]:
    """Return the usage that a client counted, request by request."""
    counted: list[tuple[int, ...]] = []
    for part in told.values():
        usage = part.get("usage", [])
        several = usage if usage and isinstance(usage[0], list) else [usage] * bool(usage)
        counted += [tuple(one) for one in several]
    return counted


async def test_openais_sdk_for_javascript(shop: Shop) -> None:
    shop.upstream.script = by_prompt
    told = await shop.say(shop.node, "openai_sdk.mjs", "scripted")
    assert told["plain"]["text"] == "hello there"
    assert told["stream"]["text"] == told["stream"]["final"] == "hello there "
    assert told["parse"]["parsed"] == WEATHER
    assert (told["tool"]["arguments"], told["tool"]["text"].strip()) == ({"city": "Bern"}, "it says: rain")
    assert told["unknown"] == {
        "status": 400,
        "code": "previous_response_not_found",
        "param": "previous_response_id",
    }
    assert flat(told) == shop.charged()
    assert len(shop.charged()) == 5


async def test_vercels_ai_sdk(shop: Shop) -> None:
    shop.upstream.script = by_prompt
    told = await shop.say(shop.node, "ai_sdk.mjs", "scripted")
    assert told["plain"]["text"] == "hello there"
    assert told["stream"]["text"] == "hello there "
    assert told["parse"]["parsed"] == WEATHER
    assert told["tool"]["text"].strip() == "it says: rain in Bern"
    assert told["later"]["text"] == "hello there"
    assert [message["role"] for message in shop.upstream.asked[-1].body["messages"]] == [
        "user",
        "assistant",
        "tool",
        "assistant",
        "user",
    ], "what the SDK refers to by id is there"
    assert flat(told) == shop.charged()
    assert len(shop.charged()) == 6


async def test_openais_agents_sdk(shop: Shop) -> None:
    shop.upstream.script = by_prompt
    told = await shop.say(str(AGENTS_PYTHON), str(HERE / "agents_sdk.py"), "scripted")
    assert told["plain"]["text"].strip() == told["stream"]["text"].strip() == "it says: rain in Bern"
    assert told["stream"]["events"] == ["agent_updated_stream_event", "raw_response_event", "run_item_stream_event"]
    assert told["later"]["text"] == "hello there"
    assert flat(told) == shop.charged()
    assert len(shop.charged()) == 5


async def test_the_real_model_through_every_sdk(shop: Shop) -> None:
    """One plain answer each, which the SDK and the ledger count alike."""
    for model in ("smollm2", "smollm2-native"):
        told = await shop.say(shop.node, "hello.mjs", model)
        assert told["openai"]["text"]
        assert told["vercel"]["text"]
        assert flat(told) == shop.charged()[-2:]
