"""
ASGI's lifespan: one startup when the environment is initialised, one shutdown when it ends.

An app that does not know the protocol, and raises or returns instead, is served without it.
"""

import asyncio
import logging
from typing import Any

from lambda_response_stream.errors import InitError
from lambda_response_stream.exchange import Message
from lambda_response_stream.invocation import App

_log = logging.getLogger(__name__)

_SHUTDOWN_S = 1.5
"""Lambda gives a function about two seconds from its termination signal."""


class Lifespan:
    """The lifespan of one app. `state` is what it wants in every scope, None where it has no lifespan."""

    def __init__(self, app: App) -> None:
        self.app = app
        self._said: asyncio.Queue[str] = asyncio.Queue()
        self._heard: asyncio.Queue[Message] = asyncio.Queue()
        self._task: asyncio.Task[None] | None = None
        self.state: dict[str, Any] | None = {}

    async def startup(self) -> None:
        """Raises InitError when the app says that it cannot start."""
        self._task = asyncio.create_task(self._run())
        heard = await self._ask("startup")
        if heard is None:
            self.state = None
        elif heard["type"] == "lifespan.startup.failed":
            raise InitError("Runtime.StartupFailed", _last_line(str(heard.get("message", ""))))

    async def shutdown(self) -> None:
        """Never raises: the environment ends either way."""
        if self._task is None or self._task.done():
            return
        try:
            async with asyncio.timeout(_SHUTDOWN_S):
                await self._ask("shutdown")
        except TimeoutError:
            _log.error("the app did not shut down in time")

    async def _ask(self, what: str) -> Message | None:
        """Return the app's answer, None when its call ends without one."""
        assert self._task is not None
        self._said.put_nowait(what)
        answer = asyncio.ensure_future(self._heard.get())
        await asyncio.wait([answer, self._task], return_when=asyncio.FIRST_COMPLETED)
        if answer.done():
            return answer.result()
        answer.cancel()
        return None

    async def _run(self) -> None:
        scope = {"type": "lifespan", "asgi": {"version": "3.0", "spec_version": "2.0"}, "state": self.state}
        try:
            await self.app(scope, self._receive, self._send)
        except Exception as error:  # noqa: BLE001 - this is how an app says that it knows no lifespan
            _log.debug("the app has no lifespan: %r", error)

    async def _receive(self) -> Message:
        return {"type": f"lifespan.{await self._said.get()}"}

    async def _send(self, message: Message) -> None:
        self._heard.put_nowait(message)


def _last_line(text: str) -> str:
    lines = [line.strip() for line in text.splitlines() if line.strip()]
    return lines[-1] if lines else "the app's startup failed"
