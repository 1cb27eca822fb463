"""An ASGI app that behaves, well or badly, as its path says. Runs in a process of its own, under the loop."""

import asyncio
import base64
import inspect
import json
import logging
import os
import random
from collections.abc import Awaitable, Callable
from typing import Any

type Scope = dict[str, Any]
type Message = dict[str, Any]
type Receive = Callable[[], Awaitable[Message]]
type Send = Callable[[Message], Awaitable[None]]

LEFTOVERS: list[asyncio.Future[None]] = []
STATE: dict[str, Any] = {"served": 0}


def say(*words: object) -> None:
    print(*words, flush=True)  # noqa: T201 - a function's log


async def app(scope: Scope, receive: Receive, send: Send) -> None:
    if scope["type"] == "lifespan":
        await lifespan(scope, receive, send)
        return
    STATE["served"] += 1
    name = scope["path"].strip("/").replace("-", "_").replace("/", "_")
    await BEHAVIOURS.get(name, unknown)(scope, receive, send)


def create_app() -> Callable[[Scope, Receive, Send], Awaitable[None]]:
    return app


async def lifespan(scope: Scope, receive: Receive, send: Send) -> None:
    await receive()
    say("startup")
    scope["state"]["started"] = True
    await send({"type": "lifespan.startup.complete"})
    await receive()
    say("shutdown")
    await send({"type": "lifespan.shutdown.complete"})


def start(status: int = 200, *headers: tuple[bytes, bytes]) -> Message:
    return {"type": "http.response.start", "status": status, "headers": [*headers, (b"content-type", b"text/plain")]}


def body(data: object, *, more: bool = True) -> Message:
    return {"type": "http.response.body", "body": data, "more_body": more}


async def answer_json(send: Send, value: object) -> None:
    await send({"type": "http.response.start", "status": 200, "headers": [(b"content-type", b"application/json")]})
    await send(body(json.dumps(value).encode(), more=False))


async def unknown(scope: Scope, receive: Receive, send: Send) -> None:
    await send(start(404))
    await send(body(b"nothing here", more=False))


async def echo(scope: Scope, receive: Receive, send: Send) -> None:
    message = await receive()
    await answer_json(
        send,
        {
            "method": scope["method"],
            "path": scope["path"],
            "root_path": scope["root_path"],
            "query": scope["query_string"].decode(),
            "headers": [[name.decode(), value.decode()] for name, value in scope["headers"]],
            "body": base64.b64encode(message["body"]).decode(),
            "more_body": message["more_body"],
            "state": scope.get("state"),
        },
    )


async def context(scope: Scope, receive: Receive, send: Send) -> None:
    lambda_context = scope["aws.context"]
    await answer_json(
        send,
        {
            "remaining_ms": lambda_context.get_remaining_time_in_millis(),
            "request_id": lambda_context.aws_request_id,
            "function": lambda_context.function_name,
            "arn": lambda_context.invoked_function_arn,
            "extension": scope["extensions"]["lambda.invocation"],
            "trace": os.environ["_X_AMZN_TRACE_ID"],
            "stage": scope["aws.event"]["requestContext"]["stage"],
        },
    )


async def chunks(scope: Scope, receive: Receive, send: Send) -> None:
    """Sends pieces of the sizes that the body lists."""
    sizes = json.loads((await receive())["body"])
    await send(start())
    for number, size in enumerate(sizes):
        await send(body(random.Random(number).randbytes(size), more=number < len(sizes) - 1))


async def kinds(scope: Scope, receive: Receive, send: Send) -> None:
    await send(start())
    await send(body(bytearray(b"bytearray ")))
    await send(body(memoryview(b"memoryview ")))
    await send({"type": "http.response.body", "more_body": True})
    await send({"type": "http.response.body", "body": b"bytes"})


async def slow(scope: Scope, receive: Receive, send: Send) -> None:
    await send(start())
    for number in range(5):
        await send(body(b"%d" % number))
        await asyncio.sleep(0.1)
    await send(body(b"", more=False))


async def empty(scope: Scope, receive: Receive, send: Send) -> None:
    await send(start(202, (b"content-length", b"0"), (b"x-kept", b"yes")))
    await send(body(b"", more=False))


async def empty_in_pieces(scope: Scope, receive: Receive, send: Send) -> None:
    await send(start(201))
    await send(body(b""))
    await send(body(b""))
    await send(body(b"", more=False))


async def no_content(scope: Scope, receive: Receive, send: Send) -> None:
    await send({"type": "http.response.start", "status": 204})
    await send({"type": "http.response.body"})


async def with_length(scope: Scope, receive: Receive, send: Send) -> None:
    await send(start(200, (b"content-length", b"10")))
    if scope["method"] == "HEAD":
        await send(body(b"", more=False))
        return
    await send(body(b"01234"))
    await send(body(b"56789", more=False))


async def headers(scope: Scope, receive: Receive, send: Send) -> None:
    await send(
        start(
            200,
            (b"set-cookie", b"a=1; Path=/"),
            (b"set-cookie", b"b=2; Path=/"),
            (b"x-many", b"one"),
            (b"X-Many", b"two"),
            (b"x-latin", "caf\u00e9".encode("latin-1")),
            (b"connection", b"close"),
            (b"transfer-encoding", b"chunked"),
            (b"date", b"Thu, 01 Jan 1970 00:00:00 GMT"),
            (b"www-authenticate", b"Bearer"),
        )
    )
    await send(body(b"ok", more=False))


async def fail_at_once(scope: Scope, receive: Receive, send: Send) -> None:
    raise ValueError("before anything")


async def fail_after_start(scope: Scope, receive: Receive, send: Send) -> None:
    await send(start())
    raise ValueError("before the first byte")


async def fail_midway(scope: Scope, receive: Receive, send: Send) -> None:
    await send(start())
    await send(body(b"so far so good"))
    raise ValueError("the upstream broke " + "x" * 3_000)


async def fail_midway_in_signs(scope: Scope, receive: Receive, send: Send) -> None:
    """With a name and a text that take far more bytes than characters."""
    await send(start())
    await send(body(b"so far so good"))
    raise type("\u6771" * 500, (Exception,), {})("\U0001f680" * 3_000)


async def fail_after_the_end(scope: Scope, receive: Receive, send: Send) -> None:
    await send(start())
    await send(body(b"whole", more=False))
    raise ValueError("too late to matter")


async def incomplete(scope: Scope, receive: Receive, send: Send) -> None:
    await send(start())
    await send(body(b"half"))


async def silent(scope: Scope, receive: Receive, send: Send) -> None:
    return


async def quiet(scope: Scope, receive: Receive, send: Send) -> None:
    """Says something, then waits for the client to leave, and takes its time to put things in order."""
    await receive()
    await send(start())
    await send(body(b"first"))
    message = await receive()
    await asyncio.sleep(0.1)
    say("put in order after", message["type"])


async def quiet_before(scope: Scope, receive: Receive, send: Send) -> None:
    await receive()
    await receive()
    say("gave up before the first byte")


async def flood(scope: Scope, receive: Receive, send: Send) -> None:
    await send(start())
    while True:
        await send(body(b"x" * 100))


async def heavy(scope: Scope, receive: Receive, send: Send) -> None:
    """More than any socket buffers, for a client that does not read."""
    await send(start())
    sent = 0
    try:
        for _ in range(1000):
            await send(body(b"x" * 1_000_000))
            sent += 1
    finally:
        say("heavy sent", sent)


async def shielded(scope: Scope, receive: Receive, send: Send) -> None:
    """Sends from where no cancellation comes."""
    await send(start())
    LEFTOVERS.append(asyncio.ensure_future(send(body(b"x" * 100_000_000))))
    await asyncio.shield(LEFTOVERS[-1])


async def stubborn(scope: Scope, receive: Receive, send: Send) -> None:
    await send(start())
    await send(body(b"here"))
    try:
        await asyncio.sleep(60)
    except asyncio.CancelledError:
        say("cancelled in the end")
        raise


async def late_send(scope: Scope, receive: Receive, send: Send) -> None:
    await receive()
    await send(start())
    await send(body(b"first"))
    await receive()
    try:
        await send(body(b"never arrives", more=False))
    except OSError as error:
        say("send raised", type(error).__name__)


async def receive_blocks(scope: Scope, receive: Receive, send: Send) -> None:
    first = await receive()
    waiting = asyncio.ensure_future(receive())
    await asyncio.sleep(0.1)
    blocked = not waiting.done()
    await answer_json(send, {"first": first["type"], "blocked": blocked})
    say("after the end receive gives", (await waiting)["type"])


async def work_after(scope: Scope, receive: Receive, send: Send) -> None:
    await send(start())
    await send(body(b"done", more=False))
    await asyncio.sleep(0.2)
    STATE["worked"] = STATE.get("worked", 0) + 1


async def task_after(scope: Scope, receive: Receive, send: Send) -> None:
    async def later() -> None:
        await asyncio.sleep(0.05)
        STATE["leftover"] = "finished"

    LEFTOVERS.append(asyncio.ensure_future(later()))
    await send(start())
    await send(body(b"done", more=False))


async def status(scope: Scope, receive: Receive, send: Send) -> None:
    await answer_json(
        send, {"served": STATE["served"], "pid": os.getpid(), "loop": id(asyncio.get_running_loop()), "state": STATE}
    )


async def misuse(scope: Scope, receive: Receive, send: Send) -> None:
    """Does what an app must not, and tells what it got for it."""
    refusals = []

    async def refused(message: Message) -> None:
        try:
            await send(message)
        except RuntimeError as error:
            refusals.append(str(error))

    await refused(body(b"too early"))
    await send(start())
    await refused(start())
    await refused({"type": "http.response.trailers"})
    first = asyncio.ensure_future(send(body(b"x" * 30_000_000)))
    await asyncio.sleep(0)
    await refused(body(b"meanwhile"))
    await first
    await send(body(json.dumps(refusals).encode(), more=False))
    await refused(body(b"too late"))
    say(refusals[-1])


async def bad_header(scope: Scope, receive: Receive, send: Send) -> None:
    await send({"type": "http.response.start", "status": 200, "headers": [("not", "bytes")]})
    await send(body(b"x", more=False))


async def log(scope: Scope, receive: Receive, send: Send) -> None:
    logging.getLogger("zoo").warning("two\nlines")
    await answer_json(send, {})


BEHAVIOURS = {name: value for name, value in globals().items() if inspect.iscoroutinefunction(value)}
