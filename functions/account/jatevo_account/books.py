"""
The books of an account: `GET /usage`, its sums; `GET /ledger`, every decision, as JSON or CSV.

Pages follow one another by a cursor: `next` in JSON, the header `x-jatevo-next-cursor` with CSV.
"""

from collections.abc import Callable
from typing import Annotated, Literal

from fastapi import APIRouter, Depends, Query, Request
from starlette.responses import Response

from jatevo.adapters.http.starlette_errors import Errors
from jatevo.adapters.wire.own_books import ledger_csv, ledger_entry, usage_sums
from jatevo.application.self_service import SelfService
from jatevo.application.self_service.books import MAX_DAYS, MAX_ENTRIES
from jatevo.domain.accounts import Account
from jatevo_account.answers import NO_STORE, answer
from jatevo_account.guard import Guard, owner_of

type Days = Annotated[int, Query(ge=1, le=MAX_DAYS)]
type By = Annotated[str, Query(max_length=32)]
type Form = Annotated[Literal["json", "csv"], Query(alias="format")]
type Day = Annotated[str | None, Query(max_length=10)]
type Cursor = Annotated[str | None, Query(max_length=64)]
type Limit = Annotated[int, Query(ge=1, le=MAX_ENTRIES)]


def book_routes(services: Callable[[], SelfService], _errors: Errors) -> APIRouter:
    """Return the routes."""
    router = APIRouter(dependencies=[Depends(Guard(services))])

    @router.get("/usage", response_model=None)
    async def usage(request: Request, by: By = "day", days: Days = 30) -> Response:
        account, books = _account(request), services().books
        sums = await books.usage(account, by.split(","), days)
        names = await books.key_names(account) if "key" in by else {}
        return answer({"by": by.split(","), "days": days, "sums": usage_sums(sums, names)})

    @router.get("/ledger", response_model=None)
    async def ledger(
        request: Request,
        form: Form = "json",
        day: Day = None,
        cursor: Cursor = None,
        limit: Limit = MAX_ENTRIES,
        newest: bool = False,  # noqa: FBT001, FBT002 - a parameter of the address
    ) -> Response:
        account, books = _account(request), services().books
        page = await books.entries(account, day, cursor, limit, newest=newest)
        names = await books.key_names(account)
        if form == "json":
            return answer({"entries": [ledger_entry(entry, names) for entry in page.entries], "next": page.next})
        headers = {**NO_STORE, "content-disposition": 'attachment; filename="jatevo-ledger.csv"'}
        if page.next is not None:
            headers["x-jatevo-next-cursor"] = page.next
        return Response(ledger_csv(page.entries, names), headers=headers, media_type="text/csv")

    return router


def _account(request: Request) -> Account:
    return owner_of(request).account
