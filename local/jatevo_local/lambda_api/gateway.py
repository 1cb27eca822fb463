"""
The front: an HTTP server that does with requests and answers what an API Gateway REST API does.

Guarantees: a client that leaves is invisible to the function, whose answer is taken to its end; a streamed answer is
relayed piece by piece, and when it fails on its way the transfer is broken off, so that no client takes it for whole.
Connections are kept alive; a request on one comes after the answer to the one before.
"""

import asyncio
from collections.abc import AsyncIterator, Sequence
from types import TracebackType
from typing import Self

from jatevo_local.lambda_api import answers
from jatevo_local.lambda_api.answers import BadAnswer, Start, StreamedAnswer
from jatevo_local.lambda_api.calls import BrokenStream, Call, Failure, Reply
from jatevo_local.lambda_api.client import Client
from jatevo_local.lambda_api.http1 import BadRequest, Body, Head, read_head
from jatevo_local.lambda_api.rest_event import MOST_EVENT_BYTES, Api, event_bytes, rest_event
from jatevo_local.lambda_api.routes import Route
from jatevo_local.ports import LOOPBACK

MOST_BODY_BYTES = 10 * 1024 * 1024


class RestApi:
    """Serves `routes`, the first that matches, under the stage's prefix."""

    def __init__(self, routes: Sequence[Route], api: Api | None = None, port: int = 0) -> None:
        self._routes = routes
        self._api = api or Api()
        self._port = port
        self._server: asyncio.Server | None = None
        self._serving: set[asyncio.Task[None]] = set()

    @property
    def url(self) -> str:
        """With the stage's prefix."""
        return f"http://{LOOPBACK}:{self._port}/{self._api.stage}"

    async def start(self) -> None:
        self._server = await asyncio.start_server(self._connected, LOOPBACK, self._port)
        self._port = self._server.sockets[0].getsockname()[1]

    async def stop(self) -> None:
        assert self._server is not None
        self._server.close()
        for task in self._serving:
            task.cancel()
        await asyncio.gather(*self._serving, return_exceptions=True)
        await self._server.wait_closed()

    async def __aenter__(self) -> Self:
        await self.start()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.stop()

    def _connected(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.ensure_future(self._serve(reader, writer))
        self._serving.add(task)
        task.add_done_callback(self._serving.discard)

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            while (head := await read_head(reader)) is not None:
                if not await self._one(head, reader, writer):
                    break
        except (BadRequest, asyncio.IncompleteReadError, ValueError):
            Client(writer, "GET").refuse(answers.BAD_REQUEST)
        except ConnectionError:
            pass
        finally:
            writer.close()

    async def _one(self, head: Head, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> bool:
        """Answer one request; return whether the connection can take another."""
        client = Client(writer, head.method)
        if head.get("expect").lower() == "100-continue":
            writer.write(b"HTTP/1.1 100 Continue\r\n\r\n")
        body = await Body(reader, head).whole(MOST_BODY_BYTES)
        if body is None:
            client.refuse(answers.TOO_LARGE)
            return False
        path = head.target.partition("?")[0]
        prefix = f"/{self._api.stage}"
        if not f"{path}/".startswith(f"{prefix}/"):
            client.refuse(answers.FORBIDDEN)
            return True
        for route in self._routes:
            match = route.match(head.method, path[len(prefix) :] or "/")
            if match is not None:
                source_ip = writer.get_extra_info("peername")[0]
                event = event_bytes(rest_event(self._api, match, head, body, source_ip))
                await _Exchange(self._api, route, head, client).run(event)
                return not client.broken
        client.refuse(answers.NO_ROUTE)
        return True


class _Exchange:
    """One request on its way through a function."""

    def __init__(self, api: Api, route: Route, head: Head, client: Client) -> None:
        self._api = api
        self._route = route
        self._head = head
        self._client = client

    async def run(self, event: bytes) -> None:
        """Answer the client within the gateway's patience. The function's own answer is taken to its end either way."""
        if len(event) > MOST_EVENT_BYTES:
            self._client.refuse(answers.TOO_LARGE)
            return
        call = Call(event)
        await self._route.function.start(call)
        answering = asyncio.ensure_future(self._answer(call))
        try:
            done, _ = await asyncio.wait([answering], timeout=self._route.timeout_s)
            if not done:
                self._client.give_up(answers.TIMED_OUT)
            await answering
        finally:
            answering.cancel()

    async def _answer(self, call: Call) -> None:
        outcome = await call.outcome
        if isinstance(outcome, Failure):
            self._client.refuse(answers.BROKEN)
        elif outcome.streamed != self._route.streamed:
            await outcome.discard()  # either kind of answer is nonsense where the other is expected
            self._client.refuse(answers.BROKEN)
        elif outcome.streamed:
            await self._stream(StreamedAnswer(outcome))
        else:
            await self._buffer(outcome)

    async def _buffer(self, reply: Reply) -> None:
        try:
            start, body = answers.whole_answer(await reply.whole(), self._api.binary, self._head.get("accept"))
        except (BadAnswer, BrokenStream):
            self._client.refuse(answers.BROKEN)
            return
        self._client.whole(Start(start.status, answers.gateway_headers(start.headers)), body)

    async def _stream(self, answer: StreamedAnswer) -> None:
        """Relay an answer. Its status counts only with the first byte of payload: without one, it is lost."""
        try:
            start = await answer.start()
            start = Start(start.status, answers.gateway_headers(start.headers))
            async for piece in self._patiently(answer.payload()):
                await self._client.send(piece, start)
        except (BadAnswer, BrokenStream):
            self._client.give_up(answers.BROKEN)
            await answer.discard()
            return
        self._client.end(Start(200, answers.gateway_headers([])))

    async def _patiently(self, payload: AsyncIterator[bytes]) -> AsyncIterator[bytes]:
        """Give the client up when the function is silent for too long."""
        while True:
            asking = asyncio.ensure_future(anext(payload, None))
            done, _ = await asyncio.wait([asking], timeout=self._route.idle_timeout_s)
            if not done:
                self._client.give_up(answers.TIMED_OUT)
            piece = await asking
            if piece is None:
                return
            yield piece
