"""A response is kept whole once it is settled, or not at all, whatever breaks; and its client is told which."""

import json
from typing import Any

import httpx
import pytest
from jatevo_testing.bench import check_books
from jatevo_testing.served import served
from jatevo_testing.streams import DONE, HELLO, event, sending
from jatevo_testing.upstream import ScriptedUpstream, answering, usage
from jatevo_testing.world import Customer, World

from jatevo.adapters.dynamodb.responses import DynamoResponses
from jatevo.application.conversations import Conversation
from jatevo.application.ports import OutcomeUnknown, StoreUnavailable
from jatevo.application.responses import ResponseRecord, TooLargeToKeep

CALL = event(
    {
        "choices": [
            {
                "index": 0,
                "delta": {
                    "tool_calls": [{"index": 0, "id": "c", "function": {"name": "look_up", "arguments": '{"ci'}}]
                },
                "finish_reason": None,
            }
        ]
    }
)
TOOL = {"type": "function", "name": "look_up", "parameters": {"type": "object", "properties": {}}}


async def streamed(world: World, customer: Customer, **body: Any) -> tuple[list[dict[str, Any]], bool]:
    """Return the events of a streamed response, and whether its transfer ended in order."""
    sent = {"model": "test-model", "input": "hello", "max_output_tokens": 100, "stream": True, **body}
    data, whole = b"", True
    async with (
        served(world.app) as url,
        httpx.AsyncClient(base_url=url) as client,
        client.stream("POST", "/v1/responses", json=sent, headers=customer.headers) as answer,
    ):
        assert answer.status_code == 200
        try:
            async for piece in answer.aiter_bytes():
                data += piece
        except httpx.RemoteProtocolError:
            whole = False
    lines = [line.removeprefix(b"data: ") for line in data.splitlines() if line.startswith(b"data: {")]
    return [json.loads(line) for line in lines], whole


async def whole(world: World, customer: Customer, **body: Any) -> dict[str, Any]:
    sent = {"model": "test-model", "input": "hello", "max_output_tokens": 100, **body}
    answer = await world.client.post("/v1/responses", json=sent, headers=customer.headers)
    assert answer.status_code == 200, answer.text
    found: dict[str, Any] = answer.json()
    return found


def stored(world: World) -> list[Any]:
    found: list[Any] = world.dynamodb.scan(TableName=world.names.responses, ConsistentRead=True)["Items"]
    return found


@pytest.mark.parametrize(
    "script",
    [
        sending(HELLO, then="hang_up"),
        sending(CALL, then="hang_up"),
        sending(HELLO, CALL, then="hang_up"),
        sending(HELLO, event({"error": {"message": "secret"}}), DONE),
    ],
)
async def test_what_broke_off_is_told_charged_and_not_kept(
    world: World, upstream: ScriptedUpstream, script: Any
) -> None:
    upstream.script = script
    customer = world.customer()
    events, in_order = await streamed(world, customer, tools=[TOOL])
    assert not in_order
    assert events[-1]["type"] == "response.failed"
    assert events[-1]["response"]["status"] == "failed"
    [entry] = await world.ledger(customer)
    assert 0 < entry.figures.charge_nano_usd <= entry.reserved_nano_usd
    check_books(await world.window(customer), [entry])
    assert stored(world) == []
    gone = await world.client.post(
        "/v1/responses",
        json={"model": "test-model", "input": "x", "previous_response_id": events[0]["response"]["id"]},
        headers=customer.headers,
    )
    assert gone.json()["error"]["code"] == "previous_response_not_found"


@pytest.mark.parametrize("error", [StoreUnavailable("down"), OutcomeUnknown("lost"), TooLargeToKeep("large")])
@pytest.mark.parametrize("stream", [False, True])
async def test_an_answer_that_cannot_be_kept_is_given_and_says_so(
    world: World, upstream: ScriptedUpstream, monkeypatch: pytest.MonkeyPatch, error: Exception, *, stream: bool
) -> None:
    async def failing(_: DynamoResponses, __: ResponseRecord) -> None:
        raise error

    monkeypatch.setattr(DynamoResponses, "put", failing)
    upstream.script = answering("hello", usage(10, 20))
    customer = world.customer()
    if stream:
        events, _ = await streamed(world, customer)
        assert events[-1]["type"] == "response.completed"
        response = events[-1]["response"]
    else:
        response = await whole(world, customer)
    assert (response["status"], response["store"]) == ("completed", False)
    assert len(await world.ledger(customer)) == 1
    assert stored(world) == []


async def test_a_conversation_deleted_under_way_keeps_nothing_of_the_turn(
    world: World, upstream: ScriptedUpstream
) -> None:
    customer = world.customer()
    histories = world.gateway.histories()
    made = "conv_" + "a" * 24
    await histories.conversations.create(Conversation(made, customer.account.id, 0, {}), [])

    async def deleting(asked: Any, connection: Any) -> None:
        await histories.conversations.delete(customer.account.id, made)
        await answering("hello", usage(10, 20))(asked, connection)

    upstream.script = deleting
    response = await whole(world, customer, conversation=made)
    assert (response["status"], response["store"]) == ("completed", False)
    [left] = stored(world)
    assert not left.keys() & {"document", "metadata"}


async def test_an_account_of_which_nothing_is_kept_keeps_no_response(world: World, upstream: ScriptedUpstream) -> None:
    upstream.script = answering("hello", usage(10, 20))
    world.apply_catalogue(base_url=upstream.base_url, zdr={"x-zero-retention": "true"})
    customer = world.customer()
    sent = {"model": "test-model", "input": "hello"}
    headers = customer.headers | {"x-jatevo-zdr": "true"}
    answer = await world.client.post("/v1/responses", json=sent, headers=headers)
    assert answer.status_code == 200, answer.text
    assert answer.json()["store"] is False
    assert stored(world) == []
