"""
From a Lambda event to an ASGI scope and body, by Mangum's handlers: API Gateway REST (v1), HTTP API and function URL
(v2).

Mangum is imported when the environment is initialised, not with this module. What it leaves out is added here: the
stage prefix as `root_path`, the deadline, and the state of the lifespan.
"""

import json
from collections.abc import Callable, MutableMapping
from typing import TYPE_CHECKING, Any, NamedTuple

from lambda_response_stream.context import LambdaContext
from lambda_response_stream.errors import InitError, InvocationError

if TYPE_CHECKING:
    from mangum.types import LambdaHandler

type Scope = MutableMapping[str, Any]
type Event = dict[str, Any]
type RawHeaders = list[tuple[bytes, bytes]]
type Parse = Callable[[Event, Any], "LambdaHandler"]


class Request(NamedTuple):
    """
    One HTTP request. `multi_value`: whoever asks understands `multiValueHeaders`. `classic` turns a whole response
    into the proxy JSON of its event's kind.
    """

    scope: Scope
    body: bytes
    multi_value: bool
    classic: Callable[[int, RawHeaders, bytes], dict[str, Any]]


def event_parser() -> Parse:
    """Import Mangum's handlers. Raises InitError without them."""
    try:
        from mangum.adapter import DEFAULT_TEXT_MIME_TYPES  # noqa: PLC0415
        from mangum.handlers.api_gateway import APIGateway, HTTPGateway  # noqa: PLC0415
    except ImportError as error:
        raise InitError("Runtime.ImportModuleError", f"Mangum, which parses the events, is missing: {error}") from error
    config: Any = {"api_gateway_base_path": "/", "text_mime_types": DEFAULT_TEXT_MIME_TYPES, "exclude_headers": []}

    def parse(event: Event, context: Any) -> "LambdaHandler":
        handlers: tuple[type[LambdaHandler], ...] = (HTTPGateway, APIGateway)
        for handler in handlers:
            if handler.infer(event, context, config):
                return handler(event, context, config)
        raise InvocationError(
            "Runtime.UnsupportedEvent", "this function serves HTTP events of API Gateway and function URLs only"
        )

    return parse


def read_event(parse: Parse, raw: bytes, context: LambdaContext, state: dict[str, Any] | None) -> Request:
    """Raises InvocationError for an event that is no HTTP request, or not a whole one."""
    try:
        event = json.loads(raw)
        handler = parse(event if isinstance(event, dict) else {}, context)
        scope, body = handler.scope, handler.body
        prefix = stage_prefix(event)
    except InvocationError:
        raise
    except (ValueError, LookupError, TypeError, AttributeError, RecursionError) as error:
        message = f"the event is malformed: {type(error).__name__}: {error}"
        raise InvocationError("Runtime.MalformedEvent", message) from error
    _complete(scope, prefix, context, state)
    return Request(scope, body, _is_rest(event), _classic(handler))


def stage_prefix(event: Event) -> str:
    """
    The part of the public path that comes before the app's own: "/prod" under API Gateway's default address.

    A REST event has it in `requestContext.path` only, an HTTP API's in both paths.
    """
    context = event["requestContext"]
    if not _is_rest(event):
        named = context.get("stage") not in {None, "$default"}
        default_address = str(context.get("domainName", "")).endswith(".amazonaws.com")
        return f"/{context['stage']}" if named and default_address else ""
    full, own = str(context.get("path") or ""), str(event.get("path") or "")
    return full[: -len(own)].rstrip("/") if own and full.endswith(own) else ""


def _is_rest(event: Event) -> bool:
    return event.get("version") != "2.0"


def _complete(scope: Scope, prefix: str, context: LambdaContext, state: dict[str, Any] | None) -> None:
    path = scope["path"]
    inside = f"{path}/".startswith(f"{prefix}/")
    if not _is_rest(scope["aws.event"]) and prefix and inside:
        path = scope["path"] = path[len(prefix) :] or "/"
        inside = f"{path}/".startswith(f"{prefix}/")
    # Frameworks cut a `root_path` off a path that begins with it. Where the app's own path does, routing comes first.
    scope["root_path"] = "" if inside else prefix
    scope["asgi"] = {"version": "3.0", "spec_version": "2.4"}
    scope["extensions"] = {
        "lambda.invocation": {"request_id": context.aws_request_id, "deadline_ms": context.deadline_ms}
    }
    if state is not None:
        scope["state"] = state.copy()


def _classic(handler: "LambdaHandler") -> Callable[[int, RawHeaders, bytes], dict[str, Any]]:
    def classic(status: int, headers: RawHeaders, body: bytes) -> dict[str, Any]:
        # Headers are Latin-1; Mangum takes them for UTF-8.
        as_utf8 = [[bytes(part).decode("latin-1").encode() for part in pair] for pair in headers]
        return handler({"status": status, "headers": as_utf8, "body": body})

    return classic
