"""
Routes of the books: audits, corrections, and what all accounts came to on a day.

| route under `/admin/v1`                    | what                                                           |
|--------------------------------------------|----------------------------------------------------------------|
| `GET /accounts/{id}/audit?day=`            | recompute an account's windows from its ledger                 |
| `GET POST /accounts/{id}/corrections`      | what was corrected; correct what the audit finds, for a reason |
| `GET POST /lanes/{lane}/corrections`       | the same of a lane's window of a finished day                  |
| `GET /audits/{day}`                        | what the scheduled audit found on a finished day               |
| `GET /statements?day=&after=&limit=`       | what each account came to on a day                             |
"""

from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import Annotated

from fastapi import APIRouter, Query, Request

from jatevo.adapters.http.key_bodies import Body
from jatevo.adapters.wire.differences import difference_shape
from jatevo.application.administration import Administration
from jatevo.application.administration.books import AccountDay
from jatevo.application.day_audits import DayReport
from jatevo.application.reconciliation import AccountAudit, Checked
from jatevo.domain.binding import Kind, kind_of
from jatevo.domain.reconciliation import Correction
from jatevo.domain.rollups import Tally
from jatevo.domain.windows import Window
from jatevo_admin.shapes import Json, tally_shape

type Correct = Callable[[str, str, str, str], Awaitable[Sequence[Correction]]]
type Day = Annotated[str, Query(max_length=10)]
type SomeDay = Annotated[str | None, Query(max_length=10)]
type After = Annotated[str | None, Query(min_length=1, max_length=64)]
type Limit = Annotated[int, Query(ge=1, le=1000)]


class CorrectionBody(Body):
    """Which day of an account, or of a lane, is corrected, and why."""

    day: str
    reason: str


def auditing(administration: Administration) -> APIRouter:
    """Return the routes."""
    router = APIRouter()
    books, corrections, trails = administration.books, administration.corrections, administration.audit

    @router.get("/accounts/{account_id}/audit")
    async def audit(account_id: str, day: Day) -> Json:
        return audit_shape(await corrections.audit(account_id, day))

    @router.get("/accounts/{account_id}/corrections")
    async def corrected(account_id: str) -> Json:
        return corrections_shape(await corrections.of_account(account_id))

    @router.post("/accounts/{account_id}/corrections", status_code=201)
    async def correct(account_id: str, body: CorrectionBody, request: Request) -> Json:
        return await recorded(account_id, corrections.correct, body, request.state.operator)

    @router.get("/lanes/{lane}/corrections")
    async def lane_corrected(lane: str) -> Json:
        return corrections_shape(await corrections.of_lane(lane))

    @router.post("/lanes/{lane}/corrections", status_code=201)
    async def correct_lane(lane: str, body: CorrectionBody, request: Request) -> Json:
        return await recorded(lane, corrections.correct_lane, body, request.state.operator)

    async def recorded(whose: str, correct: Correct, body: CorrectionBody, operator: str) -> Json:
        async with trails.changing(operator, "books.correct", whose[:64], body.given()) as trail:
            made = await correct(whose, body.day, body.reason, operator)
            shown = corrections_shape(made)
            trail.made(None, shown if made else None)
            return shown

    @router.get("/audits/{day}")
    async def report(day: str) -> Json:
        return report_shape(await corrections.report(day))

    @router.get("/statements")
    async def statements(day: SomeDay = None, after: After = None, limit: Limit = 100) -> Json:
        found = await books.statements(day, after=after, limit=limit)
        return {
            "day": found.day,
            "accounts": [account_day_shape(one) for one in found.page.entries],
            "next": found.page.next,
        }

    return router


def audit_shape(audit: AccountAudit) -> Json:
    return {
        "account_id": audit.account_id,
        "day": audit.day,
        "entries": audit.sums.entries,
        "busy": audit.busy,
        "windows": [
            {"window": one.key.owner, "period": one.key.period, "kind": kind_of(one.key).value, **_due(one)}
            for one in audit.checked
        ],
        "differences": [difference_shape(one) for one in audit.differences],
    }


def corrections_shape(corrections: Sequence[Correction]) -> Json:
    return {"corrections": [correction_shape(one) for one in corrections]}


def correction_shape(correction: Correction) -> Json:
    of_lane = kind_of(correction.window) is Kind.LANE
    return {
        "correction_id": correction.id,
        "account_id": None if of_lane else correction.account_id,
        "window": correction.window.owner,
        "period": correction.window.period,
        "before": _counters(correction.before),
        "after": _counters(correction.after),
        "reason": correction.reason,
        "operator": correction.operator,
        "corrected_at_unix_s": correction.at_unix_s,
    }


def report_shape(report: DayReport) -> Json:
    """A day's audit; its sums by model are the operator's statement of the day."""
    by_model = {usage.model: tally for usage, tally in report.tallies.items()}
    return {
        "day": report.day,
        "complete": report.complete,
        "accounts": report.accounts,
        "busy": report.busy,
        "windows": report.windows,
        "entries": report.entries,
        "difference_count": report.difference_count,
        "differences": [difference_shape(one) for one in report.differences],
        "total": tally_shape(sum(by_model.values(), start=Tally())),
        "models": _by_model(by_model),
    }


def account_day_shape(one: AccountDay) -> Json:
    return {"account_id": one.account_id, "total": tally_shape(one.total), "models": _by_model(one.by_model)}


def _by_model(tallies: Mapping[str, Tally]) -> Json:
    return {model: tally_shape(tally) for model, tally in sorted(tallies.items())}


def _due(one: Checked) -> Json:
    return {
        "found": one.window is not None,
        "due_requests": one.due.requests,
        "due_settled_nano_usd": one.due.settled_nano_usd,
        "due_exposed_nano_usd": one.due.exposed_nano_usd,
    }


def _counters(window: Window) -> Json:
    return {
        "budget_limit_nano_usd": window.limits.budget_nano_usd,
        "budget_left_nano_usd": window.budget_left_nano_usd,
        "requests_left": window.requests_left,
        "settled_nano_usd": window.settled_nano_usd,
        "exposed_nano_usd": window.exposed_nano_usd,
    }
