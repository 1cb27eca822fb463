"""What Lambda hears when an app fails: an error before the first byte, trailers after it."""

import base64
import json

import pytest
from jatevo_testing.lambda_stream import answer_of, event_of, taken_apart, until

from jatevo_local.lambda_api import LambdaFunction
from jatevo_local.lambda_api.calls import Failure, Reply


async def trailers_of(function: LambdaFunction, path: str) -> tuple[list[bytes], str, dict[str, object]]:
    """The payload, and the error's type and body from the trailers."""
    reply = await function.invoke(event_of(path))
    _, payload = await taken_apart(reply)
    assert isinstance(reply, Reply)
    raw = reply.trailers["lambda-runtime-function-error-body"]
    assert len(raw) < 4096
    return payload, reply.trailers["lambda-runtime-function-error-type"], json.loads(base64.b64decode(raw))


@pytest.mark.parametrize(
    ("path", "message"),
    [("/fail-at-once", "before anything"), ("/fail-after-start", "before the first byte")],
)
async def test_a_failure_before_the_first_byte_is_an_invocation_error(
    zoo: LambdaFunction, path: str, message: str
) -> None:
    failure = await zoo.invoke(event_of(path))
    assert isinstance(failure, Failure)
    assert failure.kind == failure.detail["errorType"] == "ValueError"
    assert failure.detail["errorMessage"] == message
    assert any("zoo.py" in frame for frame in failure.detail["stackTrace"])


async def test_an_app_that_answers_nothing_is_an_invocation_error(zoo: LambdaFunction) -> None:
    failure = await zoo.invoke(event_of("/silent"))
    assert isinstance(failure, Failure)
    assert failure.kind == "Runtime.IncompleteResponse"


async def test_headers_of_the_wrong_type_are_an_invocation_error(zoo: LambdaFunction) -> None:
    failure = await zoo.invoke(event_of("/bad-header"))
    assert isinstance(failure, Failure)
    assert failure.kind == "TypeError"


async def test_a_failure_midway_ends_the_stream_with_both_trailers(zoo: LambdaFunction) -> None:
    payload, kind, error = await trailers_of(zoo, "/fail-midway")
    assert payload == [b"so far so good"]
    assert kind == error["errorType"] == "ValueError"
    assert str(error["errorMessage"]).startswith("the upstream broke")


async def test_an_error_in_any_script_fits_into_the_trailers(zoo: LambdaFunction) -> None:
    _, kind, error = await trailers_of(zoo, "/fail-midway-in-signs")
    assert kind == "Unknown"  # a header takes no such name; the body does
    assert str(error["errorType"]).startswith("\u6771")
    assert str(error["errorMessage"]).startswith("\U0001f680")


async def test_returning_before_the_end_is_a_failure_midway(zoo: LambdaFunction) -> None:
    payload, kind, _ = await trailers_of(zoo, "/incomplete")
    assert payload == [b"half"]
    assert kind == "Runtime.IncompleteResponse"


async def test_a_whole_response_has_no_trailers(zoo: LambdaFunction) -> None:
    reply = await zoo.invoke(event_of("/kinds"))
    await taken_apart(reply)
    assert isinstance(reply, Reply)
    assert reply.trailers == {}


async def test_a_failure_after_the_end_is_logged_and_changes_nothing(zoo: LambdaFunction) -> None:
    reply = await zoo.invoke(event_of("/fail-after-the-end"))
    _, payload = await taken_apart(reply)
    assert isinstance(reply, Reply)
    assert (payload, reply.trailers) == ([b"whole"], {})
    await until(lambda: "too late to matter" in zoo.log())


async def test_after_any_failure_the_same_environment_serves_on(zoo: LambdaFunction) -> None:
    before = await answer_of(zoo, "/status")
    for path in ("/fail-at-once", "/fail-midway", "/incomplete", "/silent", "/fail-after-the-end"):
        reply = await zoo.invoke(event_of(path))
        if isinstance(reply, Reply):
            await reply.discard()
    after = await answer_of(zoo, "/status")
    assert after["pid"] == before["pid"]
    assert after["served"] == before["served"] + 6
