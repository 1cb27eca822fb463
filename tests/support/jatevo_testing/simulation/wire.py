"""
The wire between handlers and the engine: every call stops here until it is delivered, and may suffer on its way.

Faults are what HTTP brings, so that the product's own sorting of errors is part of what is tested.
"""

import asyncio
from collections.abc import Callable, Mapping
from contextvars import ContextVar
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any

from botocore.exceptions import ClientError

from jatevo.adapters.dynamodb.client import (
    Answer,
    ConditionRefused,
    DynamoClient,
    TransactionRefused,
    accepted,
    unanswered,
)
from jatevo.adapters.http1.errors import NoAnswerInTime, NothingSent
from jatevo.application.ports import OutcomeUnknown

REGISTRY = "registry"
_WRITES = frozenset({"update_item", "put_item", "transact_write_items", REGISTRY})


class Fault(StrEnum):
    """What may happen to a call."""

    NONE = "delivered"
    THROTTLED = "throttled"
    UNREACHABLE = "unreachable"
    CONFLICT = "transaction conflict"
    LOST_BEFORE = "lost before it was applied"
    LOST_AFTER = "applied, its answer lost"
    LATE = "no answer, applied later"
    TWICE = "applied twice"
    ECHO = "applied, and once more later"


_ANY_CALL = (Fault.THROTTLED, Fault.UNREACHABLE, Fault.LOST_BEFORE)
_WRITE = (*_ANY_CALL, Fault.CONFLICT, Fault.LOST_AFTER, Fault.LATE)
_REPEATABLE = (*_WRITE, Fault.TWICE, Fault.ECHO)


@dataclass
class Handler:
    """One strand of work in one process: a request, an operator's change, a sweep."""

    name: str
    process: str
    dead: bool = False
    attempted: list[str] = field(default_factory=list)
    """Reservation ids of the request under way."""
    unknown: list[str] = field(default_factory=list)
    """Those of them whose attempt got no answer."""
    request: Any = None
    """The request under way, for who knows what it may ask."""

    @property
    def kind(self) -> str:
        """What sort of work it is: the first word of its name."""
        return self.name.partition("@")[0].partition(" ")[0]

    def begins_anew(self) -> None:
        """Another request is under way now."""
        self.attempted.clear()
        self.unknown.clear()


CURRENT: ContextVar[Handler] = ContextVar("handler")


@dataclass(eq=False)
class Call:
    """A request to the engine, under way. `arguments` are None for calls that do not go through `DynamoClient`."""

    handler: Handler
    operation: str
    once: bool
    arguments: Mapping[str, Any] | None
    send: Callable[[], Any]
    answer: asyncio.Future[Any]

    @property
    def faults(self) -> tuple[Fault, ...]:
        if self.operation not in _WRITES:
            return _ANY_CALL
        return _WRITE if self.once else _REPEATABLE

    @property
    def puts(self) -> Mapping[str, Any] | None:
        """The item that a transaction begins with putting, if that is what it does."""
        if self.operation != "transact_write_items" or self.arguments is None:
            return None
        put: Mapping[str, Any] = self.arguments["TransactItems"][0].get("Put", {})
        item: Mapping[str, Any] | None = put.get("Item")
        return item

    def __str__(self) -> str:
        arguments = self.arguments or {}
        key = " ".join(str(value) for part in arguments.get("Key", {}).values() for value in part.values())
        return f"{self.handler.name}: {self.operation} {key} {arguments.get('UpdateExpression', '')[:60]}"


class Wire:
    """Calls that wait for delivery, and writes that will land although nobody waits for them any more."""

    def __init__(self) -> None:
        self.waiting: list[Call] = []
        self.late: list[Call] = []
        self.finding: AssertionError | None = None
        """What an auditor found wrong with a call: kept, because whoever makes the call may catch it."""

    def audited(self, look: Callable[[], None]) -> None:
        """Let an auditor look at something that is about to happen."""
        try:
            look()
        except AssertionError as error:
            self.finding = self.finding or error
            raise

    async def post(
        self, operation: str, send: Callable[[], Any], *, once: bool = False, arguments: Mapping[str, Any] | None = None
    ) -> Any:
        """Wait until the call is delivered, and return or raise what became of it."""
        handler = CURRENT.get()
        if handler.dead:
            raise asyncio.CancelledError
        answer = asyncio.get_running_loop().create_future()
        self.waiting.append(Call(handler, operation, once, arguments, send, answer))
        return await answer

    def deliver(self, call: Call, fault: Fault) -> None:
        """Let `fault` happen to a call, and answer it."""
        self.waiting.remove(call)
        try:
            answer = self._suffer(call, fault)
        except Exception as error:
            if isinstance(error, AssertionError):
                raise
            if not call.answer.done():
                call.answer.set_exception(error)
        else:
            if not call.answer.done():
                call.answer.set_result(answer)

    def land(self, call: Call) -> None:
        """Apply a write whose sender has long stopped waiting."""
        self.late.remove(call)
        _quietly(call)

    def drop(self, handler: Handler, *, sent: Callable[[], bool]) -> None:
        """Forget a killed handler's calls; one that was `sent` still lands."""
        for call in [call for call in self.waiting if call.handler is handler]:
            self.waiting.remove(call)
            if call.operation in _WRITES and sent():
                self.late.append(call)

    def _suffer(self, call: Call, fault: Fault) -> Any:
        if fault in (Fault.NONE, Fault.ECHO):
            if fault is Fault.ECHO:
                self.late.append(call)
            return call.send()
        if fault is Fault.TWICE:
            _quietly(call)
            return call.send()
        if fault is Fault.LOST_AFTER:
            _quietly(call)
        if fault is Fault.LATE:
            self.late.append(call)
        return accepted(_fault(fault, call))


def _quietly(call: Call) -> None:
    try:
        call.send()
    except AssertionError:
        raise
    except Exception:  # noqa: BLE001, S110 - nobody gets this answer
        pass


def _fault(fault: Fault, call: Call) -> Answer:
    """Return what a call gets instead of its answer, or raise that it gets none."""
    if fault is Fault.UNREACHABLE:
        raise unanswered(NothingSent())
    if fault is Fault.THROTTLED:
        return _refusal("ProvisionedThroughputExceededException")
    if fault is Fault.CONFLICT and call.operation == "transact_write_items":
        others = [{"Code": "None"}] * (len((call.arguments or {})["TransactItems"]) - 1)
        reasons = [{"Code": "TransactionConflict"}, *others]
        return _refusal("TransactionCanceledException", CancellationReasons=reasons)
    if fault is Fault.CONFLICT:
        return _refusal("TransactionConflictException")
    raise unanswered(NoAnswerInTime())


def _refusal(code: str, **more: Any) -> Answer:
    return Answer(400, {"__type": f"com.amazonaws.dynamodb.v20120810#{code}", **more})


def _sent(method: Callable[..., Mapping[str, Any]], arguments: Mapping[str, Any]) -> Mapping[str, Any]:
    """Send a call through the engine's own client, and take its refusals as the product takes them."""
    try:
        return method(**arguments)
    except ClientError as error:
        said: Any = error.response
        more = {name: said[name] for name in ("Item", "CancellationReasons") if name in said}
        return accepted(_refusal(said["Error"]["Code"], **more))


class Listener:
    """What wants to know of calls: when they are made, and in which order the engine took them."""

    def asked(self, handler: Handler, operation: str, arguments: Mapping[str, Any], *, once: bool) -> None: ...

    def unanswered(self, handler: Handler, arguments: Mapping[str, Any], *, once: bool) -> None: ...

    def told(self, handler: Handler, arguments: Mapping[str, Any], item: Any) -> None: ...

    def applied(self, operation: str, arguments: Mapping[str, Any], answer: Mapping[str, Any]) -> None: ...

    def refused(self, handler: Handler, operation: str, arguments: Mapping[str, Any], item: Any) -> None: ...


class WiredClient(DynamoClient):
    """A `DynamoClient` over the wire. Every write of a window brings back its image, for the listener to check."""

    def __init__(self, wire: Wire, engine: Any, windows_table: str, listener: Listener) -> None:
        # The parent's own connections are not made: everything goes over the wire.
        self._wire = wire
        self._engine = engine
        self._windows_table = windows_table
        self._listener = listener

    async def once(self, operation: str, **arguments: Any) -> Mapping[str, Any]:
        return await self._post(operation, arguments, once=True)

    async def retried(self, operation: str, **arguments: Any) -> Mapping[str, Any]:
        return await self._post(operation, arguments, once=False)

    async def _post(self, operation: str, arguments: dict[str, Any], *, once: bool) -> Mapping[str, Any]:
        handler = CURRENT.get()
        self._wire.audited(lambda: self._listener.asked(handler, operation, arguments, once=once))
        if operation == "update_item" and arguments["TableName"] == self._windows_table:
            arguments = {**arguments, "ReturnValues": "ALL_NEW"}

        def send() -> Mapping[str, Any]:
            return self._sent(handler, operation, arguments)

        try:
            answer: Mapping[str, Any] = await self._wire.post(operation, send, once=once, arguments=arguments)
        except OutcomeUnknown:
            self._listener.unanswered(handler, arguments, once=once)
            raise
        except ConditionRefused as refused:
            self._listener.told(handler, arguments, refused.item)
            raise
        return answer

    def _sent(self, handler: Handler, operation: str, arguments: Mapping[str, Any]) -> Mapping[str, Any]:
        try:
            answer = _sent(getattr(self._engine, operation), arguments)
        except ConditionRefused as refused:
            self._listener.refused(handler, operation, arguments, refused.item)
            raise
        except TransactionRefused as refused:
            self._listener.refused(handler, operation, arguments, refused.reasons)
            raise
        if operation in _WRITES:
            self._listener.applied(operation, arguments, answer)
        return answer
