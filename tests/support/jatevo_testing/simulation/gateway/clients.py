"""
Clients: they speak HTTP to the app, as ASGI has it. They stream or not, leave early, read slowly, or stop reading.
"""

import asyncio
import json
from collections.abc import Callable, MutableMapping
from dataclasses import dataclass, field
from typing import Any

from jatevo_testing.simulation.gateway.lambdas import Lambda
from jatevo_testing.simulation.gateway.questions import Question


@dataclass
class Answered:
    """What a client got so far."""

    status: int | None = None
    headers: dict[str, str] = field(default_factory=dict)
    body: bytearray = field(default_factory=bytearray)
    complete: bool = False

    @property
    def seen(self) -> bytes:
        """Everything that a client can read."""
        return json.dumps(self.headers).encode() + bytes(self.body)

    @property
    def reservation_id(self) -> str:
        return self.headers["x-request-id"].removeprefix("req_")

    def events(self) -> list[str]:
        """Return the data of a stream's events."""
        frames = self.body.decode().split("\n\n")
        lines = [line for frame in frames for line in frame.split("\n") if line.startswith("data: ")]
        return [line.removeprefix("data: ") for line in lines]


class Client:
    """One client with one question. `told`: called when it is told that it is refused, however slowly it reads."""

    def __init__(self, question: Question, told: Callable[[], None]) -> None:
        self._question = question
        self._told = told
        self._asked = False
        self._gone = asyncio.Event()
        self.answered = Answered()

    async def ask(self, process: Lambda) -> Answered:
        """Ask, and read the answer to its end, or until the client leaves."""
        leaving = asyncio.get_running_loop().create_task(self._leave())
        try:
            app = process.app if self._question.method == "POST" else process.account_app
            await app(self._scope(one_at_a_time=process.one_at_a_time), self._receive, self._send)
        finally:
            leaving.cancel()
        return self.answered

    async def _leave(self) -> None:
        if self._question.leaves_after_s is not None:
            await asyncio.sleep(self._question.leaves_after_s)
            self._question.left = True
            self._gone.set()

    def _scope(self, *, one_at_a_time: bool) -> dict[str, Any]:
        question = self._question
        key = b"x-api-key" if question.messages else b"authorization"
        token = f"{'' if question.messages else 'Bearer '}{question.secret}".encode()
        return {
            "type": "http",
            "http_version": "1.1",
            "method": question.method,
            "path": question.path,
            "query_string": b"",
            "headers": [] if question.visitor else [(key, token)],
            "client": (question.address, 4711),
            "extensions": {"lambda.invocation": {}} if one_at_a_time else {},
        }

    async def _receive(self) -> dict[str, Any]:
        if not self._asked:
            self._asked = True
            body = b"" if self._question.body is None else json.dumps(self._question.body).encode()
            return {"type": "http.request", "body": body, "more_body": False}
        await self._gone.wait()
        return {"type": "http.disconnect"}

    async def _send(self, message: MutableMapping[str, Any]) -> None:
        if self._gone.is_set():
            return
        if message.get("status", 200) != 200:
            self._told()
        if self._question.reads_each_s:
            await asyncio.sleep(self._question.reads_each_s)
        if message["type"] == "http.response.start":
            self.answered.status = message["status"]
            self.answered.headers = {name.decode(): value.decode() for name, value in message["headers"]}
        else:
            self.answered.body += message.get("body", b"")
            self.answered.complete = not message.get("more_body", False)
