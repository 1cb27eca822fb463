"""From an event to what an app sees of the request."""

import base64
import json
from typing import Any

import pytest
from jatevo_testing.lambda_stream import answer_of, event_of, taken_apart

from jatevo_local.lambda_api import Api, LambdaFunction
from jatevo_local.lambda_api.calls import Failure
from lambda_response_stream.events import stage_prefix


async def test_a_request_arrives_whole(zoo: LambdaFunction) -> None:
    seen = await answer_of(
        zoo, "/echo?a=1&a=2&b=%20x", b'{"k": "\xc3\xa9"}', headers={"content-type": "application/json", "X-Own": "yes"}
    )
    assert seen["method"] == "POST"
    assert seen["path"] == "/echo"
    assert seen["query"] == "a=1&a=2&b=+x"
    assert base64.b64decode(seen["body"]) == b'{"k": "\xc3\xa9"}'
    assert seen["more_body"] is False
    headers = dict(seen["headers"])
    assert headers["x-own"] == "yes"
    assert headers["x-forwarded-proto"] == "https"


async def test_a_binary_body_arrives_as_it_was_sent(zoo: LambdaFunction) -> None:
    body = bytes(range(256))
    event = event_of("/echo", body, api=Api(binary=("application/zstd",)), headers={"content-type": "application/zstd"})
    assert event["isBase64Encoded"] is True
    _, payload = await taken_apart(await zoo.invoke(event))
    assert base64.b64decode(json.loads(b"".join(payload))["body"]) == body


async def test_the_stage_is_the_root_path_and_not_part_of_the_path(zoo: LambdaFunction) -> None:
    seen = await answer_of(zoo, "/echo")
    assert (seen["root_path"], seen["path"]) == ("/prod", "/echo")


async def test_a_stage_named_like_the_first_segment_of_the_path_gives_way_to_routing(zoo: LambdaFunction) -> None:
    event = event_of("/echo", api=Api(stage="echo"))
    _, payload = await taken_apart(await zoo.invoke(event))
    seen = json.loads(b"".join(payload))
    assert (seen["root_path"], seen["path"]) == ("", "/echo")


async def test_an_http_api_has_its_stage_in_the_path(zoo: LambdaFunction) -> None:
    context = {
        "http": {"method": "PUT", "path": "/dev/echo", "sourceIp": "192.0.2.1"},
        "stage": "dev",
        "domainName": "abc.execute-api.us-east-1.amazonaws.com",
    }
    event = {
        "version": "2.0",
        "rawPath": "/dev/echo",
        "rawQueryString": "q=1",
        "headers": {"x-a": "b"},
        "cookies": ["a=1", "b=2"],
        "requestContext": context,
        "body": "hi",
        "isBase64Encoded": False,
    }
    _, payload = await taken_apart(await zoo.invoke(event))
    seen = json.loads(b"".join(payload))
    assert (seen["method"], seen["root_path"], seen["path"], seen["query"]) == ("PUT", "/dev", "/echo", "q=1")
    assert dict(seen["headers"])["cookie"] == "a=1; b=2"


@pytest.mark.parametrize(
    ("path", "full", "prefix"),
    [
        ("/v1/x", "/prod/v1/x", "/prod"),
        ("/v1/x", "/v1/x", ""),
        ("/", "/prod/", "/prod"),
        ("/v1/x", "/other", ""),
        (None, None, ""),
    ],
)
def test_the_prefix_of_a_rest_event_is_what_the_public_path_has_more(
    path: str | None, full: str | None, prefix: str
) -> None:
    assert stage_prefix({"path": path, "requestContext": {"path": full}}) == prefix


@pytest.mark.parametrize("stage", ["$default", None])
def test_a_function_url_has_no_prefix(stage: str | None) -> None:
    assert stage_prefix({"version": "2.0", "requestContext": {"stage": stage, "domainName": "x.on.aws"}}) == ""


@pytest.mark.parametrize(
    ("event", "kind"),
    [
        (b"not json", "Runtime.MalformedEvent"),
        (b'{"resource": ' + b"[" * 100_000, "Runtime.MalformedEvent"),
        (b"[1]", "Runtime.UnsupportedEvent"),
        (b"{}", "Runtime.UnsupportedEvent"),
        (b'{"source": "aws.events", "detail": {}}', "Runtime.UnsupportedEvent"),
        (b'{"resource": "/", "requestContext": {}}', "Runtime.MalformedEvent"),
        (b'{"version": "2.0", "requestContext": {}}', "Runtime.MalformedEvent"),
        (b'{"version": "2.0", "requestContext": 7}', "Runtime.MalformedEvent"),
    ],
)
async def test_an_event_that_is_no_request_is_an_error_and_the_next_is_served(
    zoo: LambdaFunction, event: bytes, kind: str
) -> None:
    failure = await zoo.invoke(event)
    assert isinstance(failure, Failure)
    assert failure.kind == kind
    assert (await answer_of(zoo, "/echo"))["path"] == "/echo"


async def test_a_body_that_is_no_base64_is_a_malformed_event(zoo: LambdaFunction) -> None:
    event: dict[str, Any] = event_of("/echo") | {"body": "x", "isBase64Encoded": True}
    failure = await zoo.invoke(event)
    assert isinstance(failure, Failure)
    assert failure.kind == "Runtime.MalformedEvent"
