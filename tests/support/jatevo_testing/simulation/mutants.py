"""
Known bugs, each planted by one small patch at one named seam of the product.

They show that the simulation would find them: a mutant that is not caught says that the auditor is blind there.
"""

import asyncio
import re
from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager
from dataclasses import replace
from typing import Any
from unittest import mock

from jatevo.adapters.dynamodb import windows as windows_module
from jatevo.adapters.dynamodb.responses import DynamoResponses
from jatevo.adapters.dynamodb.windows import DynamoWindows
from jatevo.adapters.wire.chat_answer import ChatFormat
from jatevo.adapters.wire.responses_request import ResponsesRequest, inference_request
from jatevo.application import playground
from jatevo.application.entitlements import Entitlements
from jatevo.application.exchange import InferenceRequest
from jatevo.application.holdings import Claim
from jatevo.application.inference import Inference
from jatevo.application.ports import OutcomeUnknown
from jatevo.application.reservations import Reservations
from jatevo.application.responses import Resolved, ResponseRecord
from jatevo.application.settling import Settling
from jatevo.application.sweeper import Sweeper
from jatevo.domain import ids, money
from jatevo.domain.accounts import Account, ApiKey
from jatevo.domain.refusals import Refusal
from jatevo.domain.windows import Window
from jatevo_inference import endpoints
from jatevo_testing.simulation.wire import WiredClient

type Plant = Callable[[], AbstractContextManager[None]]
MUTANTS: dict[str, Plant] = {}


def mutant(plant: Callable[[], Iterator[None]]) -> Plant:
    """Register a bug under its function's name."""
    made = contextmanager(plant)
    MUTANTS[plant.__name__.replace("_", "-")] = made
    return made


@mutant
def skip_a_condition() -> Iterator[None]:
    """A hold is taken whether or not the budget has room for it."""
    whole = windows_module._reserve_condition

    def without_budget(*, requests: bool, money: bool) -> str:
        return whole(requests=requests, money=False)

    with mock.patch.object(windows_module, "_reserve_condition", without_budget):
        yield


@mutant
def apply_before_the_ledger() -> Iterator[None]:
    """Windows are settled first, and the decision is stored afterwards."""

    async def settle(self: Settling, reservation: Any, verdict: Any, timings: Any, further: Any = ()) -> Any:
        holds = (*reservation.holds, *further)
        entry = self._entry(reservation, holds, verdict, timings)
        await self._apply(reservation.id, holds, entry, reservation.expires_at_unix_s)
        return await self._until(reservation.expires_at_unix_s, lambda: self._ledger.decide(entry))

    with mock.patch.object(Settling, "settle", settle):
        yield


@mutant
def reuse_an_id_after_a_lost_answer() -> Iterator[None]:
    """An attempt whose answer was lost is made again with the same id, and not released before."""
    give_back, fresh = Reservations._give_back, ids.reservation_id
    lost: list[str] = []

    async def keep(self: Reservations, draft: Any, stopped: Any) -> None:
        if isinstance(stopped, OutcomeUnknown):
            lost.append(draft.id)
        else:
            await give_back(self, draft, stopped)

    def again(now_ms: int, bits: int) -> str:
        return lost.pop() if lost else fresh(now_ms, bits)

    with (
        mock.patch.object(Reservations, "_give_back", keep),
        mock.patch.object(ids, "reservation_id", again),
    ):
        yield


@mutant
def let_the_client_retry_a_reserve() -> Iterator[None]:
    """The store's client sends a request again that was to be sent once."""
    once = WiredClient.once

    async def twice(self: WiredClient, operation: str, **arguments: Any) -> Mapping[str, Any]:
        try:
            return await once(self, operation, **arguments)
        except OutcomeUnknown:
            return await once(self, operation, **arguments)

    with mock.patch.object(WiredClient, "once", twice):
        yield


@mutant
def remove_sweep_at_while_entries_are_open() -> Iterator[None]:
    """The sweeper takes a window out of its index though something is open in it."""

    async def schedule(self: DynamoWindows, window: Window, at_unix_s: int | None) -> None:
        await self._client.retried(
            "update_item",
            TableName=self._table,
            Key={"owner": {"S": window.key.owner}, "period": {"S": window.key.period}},
            UpdateExpression="REMOVE #sweep_at",
            ExpressionAttributeNames={"#sweep_at": "sweep_at"},
        )

    with mock.patch.object(DynamoWindows, "schedule_sweep", schedule):
        yield


@mutant
def open_a_window_from_a_stale_entitlement() -> Iterator[None]:
    """A window is opened with the limits that were read, whether or not they are still in force."""
    whole = DynamoWindows.open

    async def unchecked(self: DynamoWindows, window: Window, account_version: Any, *, key_digest: Any = None) -> None:
        await whole(self, window, None)

    with mock.patch.object(DynamoWindows, "open", unchecked):
        yield


@mutant
def expire_before_the_handlers_deadline() -> Iterator[None]:
    """The sweeper ends reservations a minute early."""
    now = Sweeper._now

    def early(self: Sweeper) -> int:
        return now(self) + 60

    with mock.patch.object(Sweeper, "_now", early):
        yield


@mutant
def cancel_settlement_with_the_client() -> Iterator[None]:
    """What serves a client ends when its client leaves."""
    start = Inference._detached

    def attached(self: Inference, work: Any) -> Any:
        serving, task = asyncio.current_task(), start(self, work)
        if serving is not None:
            serving.add_done_callback(lambda _: task.cancel())
        return task

    with mock.patch.object(Inference, "_detached", attached):
        yield


@mutant
def drop_the_cap_upstream() -> Iterator[None]:
    """An upstream is asked without the cap that was reserved."""
    whole = ChatFormat.upstream_body

    def uncapped(self: ChatFormat, *arguments: Any, **more: Any) -> Mapping[str, Any]:
        body = whole(self, *arguments, **more)
        return {name: value for name, value in body.items() if not re.fullmatch(r"max_\w*tokens", name)}

    with mock.patch.object(ChatFormat, "upstream_body", uncapped):
        yield


@mutant
def round_down() -> Iterator[None]:
    """A charge is rounded down."""
    with mock.patch.object(money, "_ceil_div", lambda numerator, denominator: numerator // denominator):
        yield


@mutant
def count_a_wallet_for_two_accounts() -> Iterator[None]:
    """A wallet counts for whoever it belongs to now, also if it has counted for somebody else today."""

    def belongs_to(self: Claim, account_id: str, day: str) -> bool:
        return self.account_id == account_id

    with mock.patch.object(Claim, "belongs_to", belongs_to):
        yield


@mutant
def serve_another_accounts_response() -> Iterator[None]:
    """What is stored is found by its id alone, whoever asks for it."""
    put, get = DynamoResponses.put, DynamoResponses.get
    whose: dict[str, str] = {}

    async def noted(self: DynamoResponses, record: ResponseRecord) -> None:
        whose[record.id] = record.account_id
        await put(self, record)

    async def anybodys(self: DynamoResponses, account_id: str, response_id: str) -> ResponseRecord | None:
        return await get(self, whose.get(response_id, account_id), response_id)

    with mock.patch.object(DynamoResponses, "put", noted), mock.patch.object(DynamoResponses, "get", anybodys):
        yield


@mutant
def let_an_expired_key_pass() -> Iterator[None]:
    """A key never expires."""
    with mock.patch.object(ApiKey, "expired", return_value=False):
        yield


@mutant
def forget_prior_turns_in_the_projection() -> Iterator[None]:
    """What a request continues goes to the model, and is not counted when its cost is projected."""

    def own_only(parsed: ResponsesRequest, resolved: Resolved) -> InferenceRequest | Refusal:
        request = inference_request(parsed, resolved)
        own = inference_request(parsed, Resolved((), resolved.own))
        if isinstance(request, Refusal) or isinstance(own, Refusal):
            return request
        return replace(request, size=own.size)

    with mock.patch.object(endpoints, "inference_request", own_only):
        yield


@mutant
def count_a_subscriber_as_many_visitors() -> Iterator[None]:
    """Visitors are told apart by their whole address, also where one subscriber has many."""
    with mock.patch.object(playground, "source_network", lambda source_ip: source_ip):
        yield


@mutant
def keep_an_entitlement_for_the_whole_day() -> Iterator[None]:
    """A day's entitlement is not reckoned anew when the price has fallen, nor when tokens were sold."""
    renew = Entitlements.renew

    async def once(self: Entitlements, account_id: str, day: str, **_more: Any) -> Account | None:
        return await renew(self, account_id, day)

    with mock.patch.object(Entitlements, "renew", once):
        yield
