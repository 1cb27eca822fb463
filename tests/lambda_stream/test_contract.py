"""What an app may rely on: ASGI's messages, the lifespan, one event loop, the context, and work after the end."""

from jatevo_testing.lambda_stream import answer_of, event_of, taken_apart, until

from jatevo_local.lambda_api import LambdaFunction
from jatevo_local.lambda_api.calls import Reply


async def test_receive_blocks_after_the_body_until_the_response_is_complete(zoo: LambdaFunction) -> None:
    assert await answer_of(zoo, "/receive-blocks") == {"first": "http.request", "blocked": True}
    await until(lambda: "after the end receive gives http.disconnect" in zoo.log())


async def test_messages_out_of_order_and_two_sends_at_once_are_refused(zoo: LambdaFunction) -> None:
    reply = await zoo.invoke(event_of("/misuse"))
    _, payload = await taken_apart(reply)
    assert b"".join(payload[1:]).decode() == (
        '["http.response.body does not belong here", "http.response.start does not belong here", '
        '"http.response.trailers does not belong here", '
        '"http.response.body was sent while another send is under way; await one before the next"]'
    )
    await until(lambda: "http.response.body was sent after the response was complete" in zoo.log())


async def test_the_lifespan_starts_once_and_its_state_is_in_every_scope(zoo: LambdaFunction) -> None:
    for _ in range(2):
        assert (await answer_of(zoo, "/echo"))["state"] == {"started": True}
    assert zoo.log().count("startup") == zoo.cold_starts


async def test_one_event_loop_serves_all_invocations(zoo: LambdaFunction) -> None:
    first, second = [await answer_of(zoo, "/status") for _ in range(2)]
    assert first["loop"] == second["loop"]
    assert first["pid"] == second["pid"]


async def test_the_context_tells_the_deadline(zoo: LambdaFunction) -> None:
    seen = await answer_of(zoo, "/context")
    assert 9000 < seen["remaining_ms"] <= 10_000
    assert seen["function"] == "zoo"
    assert seen["arn"].endswith(":function:zoo")
    assert seen["extension"]["request_id"] == seen["request_id"]
    assert seen["extension"]["deadline_ms"] > 1_700_000_000_000
    assert seen["trace"].startswith("Root=1-")
    assert seen["stage"] == "prod"


async def test_work_in_the_apps_call_is_waited_for_after_its_response(zoo: LambdaFunction) -> None:
    before = (await answer_of(zoo, "/status"))["state"].get("worked", 0)
    await taken_apart(await zoo.invoke(event_of("/work-after")))
    assert (await answer_of(zoo, "/status"))["state"]["worked"] == before + 1


async def test_tasks_left_running_are_not_waited_for_but_live_on(zoo: LambdaFunction) -> None:
    await taken_apart(await zoo.invoke(event_of("/task-after")))
    await taken_apart(await zoo.invoke(event_of("/work-after")))  # time enough for the task, in another invocation
    assert (await answer_of(zoo, "/status"))["state"]["leftover"] == "finished"


async def test_the_root_logger_writes_one_record_a_line_with_the_requests_id(zoo: LambdaFunction) -> None:
    reply = await zoo.invoke(event_of("/log"))
    assert isinstance(reply, Reply)
    await reply.discard()
    await until(lambda: "[WARNING]" in zoo.log())
    line = next(line for line in zoo.log().split("\n") if line.startswith("[WARNING]"))
    _, _, request_id, message = line.split("\t")
    assert (len(request_id), message) == (36, "two\rlines")
