"""
The Runtime API that one execution environment speaks to, at least as strict as Lambda's.

Beside what is documented: a response or an error for anything but the call under way is refused, and so is an error
after a response has begun. Restoring from a snapshot answers at once: no snapshot can be taken here.
"""

import asyncio
import time
from collections.abc import Callable

from jatevo_local.lambda_api.calls import Call, Reply, failure_of
from jatevo_local.lambda_api.http1 import BadRequest, Body, Head, read_head, whole_response
from jatevo_local.ports import LOOPBACK

_RUNTIME = "/2018-06-01/runtime"
_MOST_ERROR_BYTES = 1_000_000


class RuntimeApi:
    """
    Gives one call at a time to the process that asks for the next. `on_next` is told when it does: it is idle then, and
    what it was given before is done with.
    """

    def __init__(self, *, function_arn: str, timeout_s: float, on_next: Callable[[], None]) -> None:
        self._function_arn = function_arn
        self._timeout_s = timeout_s
        self._on_next = on_next
        self._waiting: asyncio.Queue[Call] = asyncio.Queue()
        self._server: asyncio.Server | None = None
        self._serving: set[asyncio.Task[None]] = set()
        self.current: Call | None = None
        self.deadline_s: float | None = None
        """Unix time at which the call under way is killed."""
        self.init_error: bytes | None = None
        self.init_error_kind = ""
        self.requests: list[Head] = []
        """Every request, for tests."""

    async def start(self) -> str:
        """Return the address."""
        self._server = await asyncio.start_server(self._connected, LOOPBACK, 0)
        host, port = self._server.sockets[0].getsockname()
        return f"{host}:{port}"

    async def stop(self) -> None:
        if self._server is not None:
            self._server.close()
            for task in self._serving:
                task.cancel()
            await asyncio.gather(*self._serving, return_exceptions=True)
            await self._server.wait_closed()

    def give(self, call: Call) -> None:
        self._waiting.put_nowait(call)

    @property
    def has_calls(self) -> bool:
        """A call waits for the process to ask."""
        return not self._waiting.empty()

    def take_back(self) -> Call | None:
        """Return the call that the process has, or was about to get."""
        if self.current is None and not self._waiting.empty():
            return self._waiting.get_nowait()
        return self.current

    def _connected(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.ensure_future(self._serve(reader, writer))
        self._serving.add(task)
        task.add_done_callback(self._serving.discard)

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            head = await read_head(reader)
            if head is not None:
                self.requests.append(head)
                await self._answer(head, Body(reader, head), writer)
                await writer.drain()
        except (BadRequest, ConnectionError, asyncio.IncompleteReadError) as error:
            writer.write(whole_response(400, [], str(error).encode()))
        finally:
            writer.close()

    async def _answer(self, head: Head, body: Body, writer: asyncio.StreamWriter) -> None:
        path = head.target.removeprefix(_RUNTIME)
        if (head.method, path) == ("GET", "/invocation/next"):
            await self._next(writer)
        elif (head.method, path) == ("GET", "/restore/next"):
            writer.write(whole_response(200, [], b""))
        elif (head.method, path) in {("POST", "/init/error"), ("POST", "/restore/error")}:
            self.init_error_kind = head.get("lambda-runtime-function-error-type")
            self.init_error = await body.whole(_MOST_ERROR_BYTES)
            writer.write(whole_response(202, [], b'{"status":"OK"}'))
        elif head.method == "POST" and path.startswith("/invocation/"):
            await self._outcome(path.split("/")[2:], head, body, writer)
        else:
            writer.write(whole_response(404, [], b""))

    async def _next(self, writer: asyncio.StreamWriter) -> None:
        self.current = self.deadline_s = None
        self._on_next()
        call = await self._waiting.get()
        self.current = call
        self.deadline_s = time.time() + self._timeout_s
        headers = [
            ("Content-Type", "application/json"),
            ("Lambda-Runtime-Aws-Request-Id", call.id),
            ("Lambda-Runtime-Deadline-Ms", str(int(self.deadline_s * 1000))),
            ("Lambda-Runtime-Invoked-Function-Arn", self._function_arn),
            ("Lambda-Runtime-Trace-Id", call.trace_id),
            ("Lambda-Runtime-Invocation-Id", f"attempt-of-{call.id}"),
        ]
        writer.write(whole_response(200, headers, call.event))

    async def _outcome(self, parts: list[str], head: Head, body: Body, writer: asyncio.StreamWriter) -> None:
        call = self.current
        if call is None or len(parts) != 2 or parts[0] != call.id:
            raise BadRequest("InvalidRequestID")
        if head.get("lambda-runtime-invocation-id") != f"attempt-of-{call.id}":
            raise BadRequest("InvalidInvocationID")
        if call.outcome.done():
            raise BadRequest("InvalidStateTransition: the response has begun")
        if parts[1] == "response":
            reply = Reply({name.lower(): value for name, value in head.headers}, body)
            call.settle(reply)
            await reply.over.wait()
        else:
            kind = head.get("lambda-runtime-function-error-type")
            call.settle(failure_of(kind, await body.whole(_MOST_ERROR_BYTES) or b""))
        writer.write(whole_response(202, [], b'{"status":"OK"}'))
