"""
One invocation from its event to its end.

An app answers, or fails, or is overtaken by its deadline. Then, `deadline_margin_ms` before Lambda would kill the
function, the response is ended as failed, the app sees `http.disconnect`, and most of the margin is left to it for
putting things in order. An app that still runs at the end of it is cancelled. A termination signal does the same.

The app's call is waited for even after its response is complete, so work that must not be frozen belongs into it.
"""

import asyncio
import logging
import os
from collections.abc import Awaitable, Callable
from typing import Any, NamedTuple

from lambda_response_stream.answers import BufferedAnswer, StreamedAnswer
from lambda_response_stream.context import LambdaContext
from lambda_response_stream.errors import InvocationError, report
from lambda_response_stream.events import Parse, Scope, read_event
from lambda_response_stream.exchange import Exchange, Message
from lambda_response_stream.runtime_api import Invocation, RuntimeApi

type Receive = Callable[[], Awaitable[Message]]
type Send = Callable[[Message], Awaitable[None]]
type App = Callable[[Scope, Receive, Send], Awaitable[None]]

_log = logging.getLogger(__name__)

_SEND_PATIENCE = 0.3
"""The part of the margin after which a send that does not return is cancelled."""
_CANCELLED_AT = 0.2
"""The part of the margin that is left when an app that ignores its deadline is cancelled."""


class Service(NamedTuple):
    """What serves invocations. `stopping` is done when the environment is told to end."""

    app: App
    api: RuntimeApi
    parse: Parse
    state: dict[str, Any] | None
    stopping: asyncio.Future[None]
    buffered: bool
    deadline_margin_ms: int

    async def serve(self, invocation: Invocation) -> None:
        """Answer one invocation. Raises nothing that the app did."""
        _trace(invocation.trace_id)
        context = LambdaContext(invocation)
        try:
            request = read_event(self.parse, invocation.event, context, self.state)
        except InvocationError as error:
            _log.error("%s", report(error).line)
            await self.api.invocation_error(invocation, report(error))
            return
        kind = BufferedAnswer if self.buffered else StreamedAnswer
        exchange = Exchange(request.body, kind(self.api, invocation, request))
        await _Run(self, request.scope, exchange, context).to_its_end()


class _Run:
    """An app at work on one request."""

    def __init__(self, service: Service, scope: Scope, exchange: Exchange, context: LambdaContext) -> None:
        self._service = service
        self._exchange = exchange
        self._context = context
        # Where little time was given, half of it at most is kept back.
        self._margin_ms = min(service.deadline_margin_ms, context.get_remaining_time_in_millis() // 2)
        self._task = asyncio.ensure_future(_call(service.app, scope, exchange))

    async def to_its_end(self) -> None:
        await self._wait(until_ms=self._margin_ms, also=self._service.stopping)
        if not self._task.done():
            await self._overtake()
        elif not self._exchange.complete:
            await self._fail(self._failure())
        elif (error := _error_of(self._task)) is not None:
            _log.error("the app failed after its response was complete", exc_info=error)

    def _failure(self) -> BaseException:
        """Why the app's call has ended without a complete response."""
        error = _error_of(self._task)
        if error is not None:
            _log.error("the app failed", exc_info=error)
            return error
        return InvocationError("Runtime.IncompleteResponse", "the app returned before its response was complete")

    async def _overtake(self) -> None:
        """Time is up. End the response, and see the app to its end."""
        cancelled_at_ms = int(self._margin_ms * _CANCELLED_AT)
        self._exchange.disconnect()
        if await self._is_stuck():
            self._task.cancel()
            await self._wait(until_ms=cancelled_at_ms)
        if not self._exchange.complete:
            await self._fail(self._overtaken_by())
        await self._wait(until_ms=cancelled_at_ms)
        if not self._task.done():
            _log.error("the app did not return in time and is cancelled")
            self._task.cancel()
            await self._wait(until_ms=cancelled_at_ms // 2)
        elif (error := _error_of(self._task)) is not None and not isinstance(error, OSError):
            _log.error("the app failed while it was being ended", exc_info=error)

    async def _is_stuck(self) -> bool:
        """Whether nobody reads: a reader that is only slow still gets what was sent, and with it the error."""
        try:
            async with asyncio.timeout(self._margin_ms * _SEND_PATIENCE / 1000):
                await self._exchange.sent()
        except TimeoutError:
            return True
        return False

    def _overtaken_by(self) -> InvocationError:
        if self._service.stopping.done():
            return InvocationError("Runtime.Terminated", "the execution environment is being shut down")
        return InvocationError(
            "Runtime.DeadlineNear", f"the response was not complete {self._margin_ms} ms before the function's timeout"
        )

    async def _fail(self, error: BaseException) -> None:
        described = report(error)
        if isinstance(error, InvocationError):
            _log.error("%s", described.line)
        timeout_s = self._context.get_remaining_time_in_millis() / 1000
        try:
            async with asyncio.timeout(timeout_s):
                await self._exchange.fail(described)
        except TimeoutError:
            _log.error("Lambda takes no more of the response")

    async def _wait(self, *, until_ms: int, also: asyncio.Future[None] | None = None) -> None:
        """Wait for the app, no longer than until `until_ms` before the deadline."""
        left_s = max(0, self._context.get_remaining_time_in_millis() - until_ms) / 1000
        await asyncio.wait([self._task, *([also] if also else [])], timeout=left_s, return_when="FIRST_COMPLETED")


async def _call(app: App, scope: Scope, exchange: Exchange) -> None:
    await app(scope, exchange.receive, exchange.send)


def _error_of(task: asyncio.Future[None]) -> BaseException | None:
    if task.cancelled():
        return asyncio.CancelledError("the app cancelled itself")
    return task.exception()


def _trace(trace_id: str) -> None:
    """Where tracing libraries look for it."""
    if trace_id:
        os.environ["_X_AMZN_TRACE_ID"] = trace_id
    else:
        os.environ.pop("_X_AMZN_TRACE_ID", None)
