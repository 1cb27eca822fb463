"""The judge: what clients and operators are told must be true at the moment they are told it."""

from jatevo.application.reservations import Reservation, Wanted
from jatevo.domain.calendar import utc_day
from jatevo.domain.ids import reserved_at_ms
from jatevo.domain.ledger import LedgerEntry
from jatevo.domain.refusals import Refusal
from jatevo_testing.simulation.auditor import Attempt, Auditor
from jatevo_testing.simulation.images import Image, kind_of
from jatevo_testing.simulation.processes import Process
from jatevo_testing.simulation.registered import Registered
from jatevo_testing.simulation.wire import CURRENT

_REMEMBERED_AFTER = 8
_REMEMBERED_MS = 1000


class Judge:
    """Judges for one auditor."""

    def __init__(self, auditor: Auditor, registered: Registered) -> None:
        self._auditor = auditor
        self._registered = registered

    def turned_away(self, refusal: Refusal) -> None:
        """A key was not let in at all."""
        assert refusal.code == "key_disabled"
        assert self._registered.anything_was_disabled, "a key was turned away though nothing was ever disabled"
        self._auditor.reached["turned away"] += 1

    def refused(self, refusal: Refusal, wanted: Wanted, process: Process) -> None:
        """A refusal names the bound that truly refused: as the store said just now, or within the last second."""
        self._nothing_else_is_held()
        seen = self._auditor.refusals[CURRENT.get().name]
        if any(_tells(refusal, wanted, attempt, image, seen) for attempt, image in seen):
            self._auditor.reached["refusal from the store"] += 1
            return
        images = self._auditor.remembered_by(process.name, _REMEMBERED_AFTER, _REMEMBERED_MS)
        assert any(_tells(refusal, wanted, None, image, seen) for image in images), (
            f"{refusal} is not true, and never was"
        )
        self._auditor.reached["refusal from memory"] += 1

    def accepted(self, reservation: Reservation, *, bound_by_cap: bool) -> None:
        """An accepted request holds in every window that binds it, of the day it was made."""
        windows = {f"{key.owner}#{key.period}" for key, _ in reservation.holds}
        day = utc_day(reserved_at_ms(reservation.id) // 1000)
        for name in windows:
            period = name.partition("#")[2]
            assert period == "always" or period[:10] == day[: len(period)], "held in another day, month or minute"
            assert reservation.id in self._auditor.windows[name].held_once, "accepted without a hold"
        asked = set(self._auditor.attempted[reservation.id])
        assert asked >= windows
        assert {kind_of(name) for name in asked - windows} <= {"slots"}, "asked of a window it does not hold in"
        assert not bound_by_cap or any(kind_of(name) == "key" for name in windows), "a cap set long ago does not bind"
        self._nothing_else_is_held(but=reservation.id)
        self._auditor.reached[f"accepted in {len(windows)}"] += 1

    def _nothing_else_is_held(self, *, but: str | None = None) -> None:
        """Of all that a handler attempted, only what it was given may be held and not decided."""
        for name in CURRENT.get().attempted:
            held = bool(self._auditor.open_entries(name))
            assert name == but or not held or name in self._auditor.decisions, f"{name} is held for nobody"

    def settled(self, reservation: Reservation, entry: LedgerEntry) -> None:
        """A handler is told the decision that stands."""
        decision = self._auditor.decisions[reservation.id]
        assert (entry.outcome, entry.figures.charge_nano_usd) == (decision.outcome, decision.charge)
        assert entry.figures.charge_nano_usd <= reservation.terms.reserved_nano_usd


def _tells(
    refusal: Refusal, wanted: Wanted, attempt: Attempt | None, image: Image, seen: list[tuple[Attempt, Image]]
) -> bool:
    """
    Whether a refusal is true of a window: its figures are the window's, its code that of the bound that refuses.

    A request without a cap is judged by the least that would have served it. Where there was room for that by the
    last refusal, after several, the rest is in flight. Where a balance refused as well, the larger of both tells.
    """
    quota, key_ref = refusal.quota, wanted.caller.key.ref
    assert quota is not None
    projected = quota.projected_nano_usd
    told = (quota.requests_limit, quota.requests_left, quota.budget_limit_nano_usd, quota.budget_left_nano_usd)
    if told != (image.requests_limit, image.requests_left, image.budget_limit, image.budget_left):
        return False
    if quota.prepaid_left_nano_usd is not None:
        balances = [one for one in seen if kind_of(one[0].window) == "prepaid"]
        if not balances or max(0, balances[-1][1].budget_left) != quota.prepaid_left_nano_usd:
            return False
        if balances[-1][1].budget_left + balances[-1][1].held > image.budget_left + image.held:
            attempt, image = balances[-1]
    if wanted.ask.output_cap is not None and attempt is not None and attempt.amount not in {0, projected}:
        return False
    counts = attempt is None or bool(attempt.counts)
    code = image.code_for(projected if attempt is None or attempt.amount else 0, key_ref, counts=counts)
    if code == "accepted" and wanted.ask.output_cap is None and attempt is not None:
        code = "budget_in_flight" if "budget" in image.code_for(attempt.amount, key_ref, counts=counts) else code
    if code == "request_quota_exhausted" and quota.span == "minute":
        code = "rate_limit_exceeded"
    return refusal.code == code
