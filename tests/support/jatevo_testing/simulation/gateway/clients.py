"""
Clients: they speak HTTP to the app, as ASGI has it. They stream or not, leave early, read slowly, or stop reading.
"""

import asyncio
import json
from collections.abc import Callable, MutableMapping
from dataclasses import dataclass, field
from typing import Any

from jatevo_testing.simulation.chance import Chance
from jatevo_testing.simulation.gateway.goods import MODELS
from jatevo_testing.simulation.gateway.lambdas import Lambda

CHAT, RESPONSES, CODEX = "/v1/chat/completions", "/v1/responses", "/backend-api/codex/responses"


@dataclass
class Question:
    """One request, and how its client behaves. Seconds None: never."""

    account_id: str
    secret: str
    path: str
    body: dict[str, Any]
    asked_at_ms: int = 0
    leaves_after_s: float | None = None
    reads_each_s: float = 0.0
    left: bool = False

    @property
    def dawdles(self) -> bool:
        """Whether it reads so slowly that it may be taken for one that has left."""
        return self.reads_each_s > 0

    @property
    def stream(self) -> bool:
        return bool(self.body.get("stream"))

    @property
    def responses(self) -> bool:
        return self.path != CHAT

    @property
    def include_usage(self) -> bool:
        return bool(self.body.get("stream_options"))

    @property
    def capped(self) -> bool:
        return "max_tokens" in self.body or "max_output_tokens" in self.body


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


def question(chance: Chance, account_id: str, secret: str, *, lanes: bool) -> Question:
    """Return some request."""
    responses = chance.happens(0.2)
    text = "x" * chance.choice((1, 8, 40, 120, 400))
    lane = chance.choice(("", "", "quick/")) if lanes else ""
    body: dict[str, Any] = {"model": lane + chance.choice(MODELS), "stream": chance.choice((False, True))}
    cap = chance.choice((None, None, 1, 10, 40, 100))
    if responses:
        body |= {"input": text, "store": False, **({} if cap is None else {"max_output_tokens": max(16, cap)})}
    else:
        body |= {"messages": [{"role": "user", "content": text}], **({} if cap is None else {"max_tokens": cap})}
        if chance.happens(0.1):
            body["n"] = 2
        if body["stream"] and chance.happens(0.7):
            body["stream_options"] = {"include_usage": True}
    asked = Question(account_id, secret, chance.choice((RESPONSES, CODEX)) if responses else CHAT, body)
    if chance.happens(0.2):
        asked.leaves_after_s = chance.choice((0, 0.2, 0.6, 1, 5, 30))
    if chance.happens(0.05):
        asked.reads_each_s = chance.choice((0.5, 5, 25, 60))
    return asked


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
            await process.app(self._scope(one_at_a_time=process.one_at_a_time), self._receive, self._send)
        finally:
            leaving.cancel()
        return self.answered

    async def _leave(self) -> None:
        if self._question.leaves_after_s is not None:
            await asyncio.sleep(self._question.leaves_after_s)
            self._question.left = True
            self._gone.set()

    def _scope(self, *, one_at_a_time: bool) -> dict[str, Any]:
        headers = [(b"authorization", f"Bearer {self._question.secret}".encode())]
        return {
            "type": "http",
            "method": "POST",
            "path": self._question.path,
            "headers": headers,
            "client": ("198.51.100.7", 4711),
            "extensions": {"lambda.invocation": {}} if one_at_a_time else {},
        }

    async def _receive(self) -> dict[str, Any]:
        if not self._asked:
            self._asked = True
            return {"type": "http.request", "body": json.dumps(self._question.body).encode(), "more_body": False}
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
