"""
The admin API as an ASGI app: routes to use cases, nothing else.

| route under `/admin/v1`                                      | what                                                |
|--------------------------------------------------------------|-----------------------------------------------------|
| `GET PUT /catalog`                                           | the catalogue in force, or `?version=`; apply one   |
| `GET POST /accounts`, `GET PATCH /accounts/{id}`             | accounts                                            |
| `POST /accounts/{id}/erase`                                  | what is known of a person goes, the books stay      |
| `GET POST /accounts/{id}/grants`                             | the balance and its grants; grant, or take back     |
| `GET POST /accounts/{id}/keys`                               | an account's keys; a new key is shown once          |
| `PATCH /keys/{id}`, `POST /keys/{id}/disable`                | change a key; stop it for good                      |
| `GET /accounts/{id}/window`, `GET /accounts/{id}/ledger`     | the books of `?day=`, by default today (UTC)        |
| `GET /price`, `GET /price/history`                           | the oracle; its decisions, or only operators' changes |
| `PUT DELETE /price/rate`                                     | a rate of one's own, for a time and a reason        |
| `POST /holdings/snapshot`, `POST /holdings/refresh`          | take one now; look again, also at one account only  |
| `GET /checks`                                                | what `jatevo doctor` asks                           |
| `POST /sweep`                                                | run the sweeper now                                 |
| `GET /routes /lanes`, `POST /routes/decide`, `/pools`, `/audit` | see `routing`                                     |
| `GET /statements`, `/audits`, and of accounts `/audit`, `/corrections` | see `auditing`                            |
| `GET POST /operators`, `POST /operators/{name}/disable`      | operators; a new token is shown once                |
"""

from dataclasses import asdict
from typing import Annotated

from fastapi import APIRouter, FastAPI, Query, Request

from jatevo.adapters.http.key_bodies import KeyChangeBody, NewKeyBody
from jatevo.adapters.wire.key_shape import key_shape
from jatevo.application.administration import Administration
from jatevo_admin.auditing import auditing
from jatevo_admin.bodies import (
    AccountChangeBody,
    CatalogueBody,
    GrantBody,
    NewAccountBody,
    OperatorBody,
    RateBody,
    RefreshBody,
    SweepBody,
)
from jatevo_admin.checks import checks
from jatevo_admin.errors import add_handlers
from jatevo_admin.guard import Guard
from jatevo_admin.routing import routing
from jatevo_admin.service import service
from jatevo_admin.shapes import (
    Json,
    account_shape,
    applied_shape,
    balance_shape,
    bound_shape,
    catalogue_shape,
    grant_shape,
    ledger_shape,
    operator_shape,
    price_shape,
    statement_shape,
    told_shape,
    window_shape,
)

type Day = Annotated[str | None, Query(max_length=10)]
type After = Annotated[str | None, Query(min_length=1, max_length=64)]
type Limit = Annotated[int, Query(ge=1, le=1000)]
type BeforeMs = Annotated[int | None, Query(ge=1, le=2**53)]
type Audited = bool
type Why = Annotated[str, Query(max_length=1000)]
type Version = Annotated[int | None, Query(ge=1, le=2**53)]

_REFRESH_PATIENCE_S = 15.0
"""API Gateway waits for 29 seconds: what is under way then ends before, and the answer says what is left."""


def create_app(administration: Administration) -> FastAPI:
    """Return the app. It publishes no description of itself: `docs/` does."""
    app = FastAPI(openapi_url=None, docs_url=None, redoc_url=None, redirect_slashes=False)
    app.add_middleware(Guard, operators=administration.operators)
    add_handlers(app)
    own = (_catalogue, _accounts, _erasure, _grants, _keys, _books, _operators, _prices, _holdings)
    for routes in (*own, routing, auditing, service, checks):
        app.include_router(routes(administration), prefix="/admin/v1")
    return app


def _catalogue(administration: Administration) -> APIRouter:
    router = APIRouter()
    catalogues, audit = administration.catalogues, administration.audit

    @router.get("/catalog")
    async def show(version: Version = None) -> Json:
        return catalogue_shape(await catalogues.get(version))

    @router.put("/catalog")
    async def apply(body: CatalogueBody, request: Request) -> Json:
        operator = request.state.operator
        if body.dry_run:
            return applied_shape(await catalogues.apply(body.document, operator, dry_run=True), dry_run=True)
        async with audit.changing(operator, "catalog.apply", "catalog") as trail:
            applied = await catalogues.apply(body.document, operator)
            before = {"version": applied.version - applied.changed}
            after = {"version": applied.version, **({"difference": applied.difference} if applied.changed else {})}
            trail.made(before, after)
        return applied_shape(applied, dry_run=False)

    return router


def _accounts(administration: Administration) -> APIRouter:
    router = APIRouter(prefix="/accounts")
    accounts, audit = administration.accounts, administration.audit

    @router.post("", status_code=201)
    async def create(body: NewAccountBody, request: Request) -> Json:
        async with audit.changing(request.state.operator, "account.create", "accounts", body.given()) as trail:
            created = account_shape(await accounts.create(body.wanted()))
            trail.made(None, created, subject=created["account_id"])
        return created

    @router.get("")
    async def page(after: After = None, limit: Limit = 100) -> Json:
        found = await accounts.page(after=after, limit=limit)
        return {"accounts": [account_shape(account) for account in found.entries], "next": found.next}

    @router.get("/{account_id}")
    async def show(account_id: str) -> Json:
        return account_shape(await accounts.get(account_id))

    @router.patch("/{account_id}")
    async def change(account_id: str, body: AccountChangeBody, request: Request) -> Json:
        async with audit.changing(request.state.operator, "account.change", account_id[:64], body.given()) as trail:
            changed = await accounts.change(account_id, body.wanted())
            before, after = account_shape(changed.before), account_shape(changed.after)
            trail.made(before, after)
            if body.by_holdings:
                after = account_shape(await administration.refresh.account(account_id) or changed.after)
                trail.made(before, after)
        return after

    return router


def _erasure(administration: Administration) -> APIRouter:
    router = APIRouter(prefix="/accounts/{account_id}/erase")
    erasure, audit = administration.erasure, administration.audit

    @router.post("")
    async def erase(account_id: str, request: Request) -> Json:
        async with audit.changing(request.state.operator, "account.erase", account_id[:64]) as trail:
            erased = asdict(await erasure.erase(account_id))
            trail.made(None, erased)
            return {"account_id": account_id, **erased}

    return router


def _grants(administration: Administration) -> APIRouter:
    router = APIRouter(prefix="/accounts/{account_id}/grants")
    grants, audit = administration.grants, administration.audit

    @router.get("")
    async def balance(account_id: str) -> Json:
        return balance_shape(account_id, *await grants.of_account(account_id))

    @router.post("", status_code=201)
    async def grant(account_id: str, body: GrantBody, request: Request) -> Json:
        async with audit.changing(request.state.operator, "grant", account_id[:64], body.given()) as trail:
            made, new = await grants.grant(account_id, body.wanted(), request.state.operator)
            shown = grant_shape(made)
            trail.made(None if new else shown, shown)
        return {**shown, "new": new}

    return router


def _keys(administration: Administration) -> APIRouter:
    router = APIRouter()
    keys, catalogues, audit = administration.keys, administration.catalogues, administration.audit

    @router.post("/accounts/{account_id}/keys", status_code=201)
    async def create(account_id: str, body: NewKeyBody, request: Request) -> Json:
        async with audit.changing(request.state.operator, "key.create", account_id[:64], body.given()) as trail:
            created = await keys.create(account_id, body.wanted())
            trail.made(None, key_shape(created.key), subject=created.key.id)
        unknown = await catalogues.unknown(created.key.models)
        return {"key": created.secret, **key_shape(created.key), "unknown_models": unknown}

    @router.get("/accounts/{account_id}/keys")
    async def of_account(account_id: str) -> Json:
        return {"keys": [key_shape(key) for key in await keys.of_account(account_id)]}

    @router.patch("/keys/{key_id}")
    async def change(key_id: str, body: KeyChangeBody, request: Request) -> Json:
        async with audit.changing(request.state.operator, "key.change", key_id[:64], body.given()) as trail:
            changed = await keys.change(key_id, body.changes())
            after = key_shape(changed.after)
            trail.made(key_shape(changed.before), after)
        return {**after, "unknown_models": await catalogues.unknown(changed.after.models)}

    @router.post("/keys/{key_id}/disable")
    async def disable(key_id: str, request: Request) -> Json:
        async with audit.changing(request.state.operator, "key.disable", key_id[:64]) as trail:
            changed = await keys.disable(key_id)
            after = key_shape(changed.after)
            trail.made(key_shape(changed.before), after)
        return after

    return router


def _books(administration: Administration) -> APIRouter:
    router = APIRouter()
    books, sweeper = administration.books, administration.sweeper

    @router.get("/accounts/{account_id}/window")
    async def window(account_id: str, day: Day = None) -> Json:
        beside = await books.windows_beside(account_id, day)
        shown = window_shape(account_id, await books.window(account_id, day))
        return {**shown, "beside": [bound_shape(window) for window in beside]}

    @router.get("/accounts/{account_id}/ledger")
    async def ledger(account_id: str, day: Day = None, after: After = None, limit: Limit = 1000) -> Json:
        return ledger_shape(await books.entries(account_id, day, after=after, limit=limit))

    @router.get("/accounts/{account_id}/statement")
    async def statement(account_id: str, day: Day = None) -> Json:
        return statement_shape(await books.statement(account_id, day))

    @router.post("/sweep")
    async def sweep(body: SweepBody | None = None) -> Json:
        return asdict(await sweeper.run(full=body is not None and body.full))

    return router


def _operators(administration: Administration) -> APIRouter:
    router = APIRouter(prefix="/operators")
    operators, audit = administration.operators, administration.audit

    @router.get("")
    async def everyone() -> Json:
        return {"operators": [operator_shape(operator) for operator in await operators.all()]}

    @router.post("", status_code=201)
    async def create(body: OperatorBody, request: Request) -> Json:
        async with audit.changing(request.state.operator, "operator.create", body.name[:64]) as trail:
            created = await operators.create(body.name)
            trail.made(None, operator_shape(created.operator))
        return {"token": created.token, **operator_shape(created.operator)}

    @router.post("/{name}/disable")
    async def disable(name: str, request: Request) -> Json:
        async with audit.changing(request.state.operator, "operator.disable", name[:64]) as trail:
            changed = await operators.disable(name)
            after = operator_shape(changed.after)
            trail.made(operator_shape(changed.before), after)
        return after

    return router


def _prices(administration: Administration) -> APIRouter:
    router = APIRouter(prefix="/price")
    prices, audit_trail = administration.prices, administration.audit

    @router.get("")
    async def show() -> Json:
        return price_shape(await prices.show())

    @router.get("/history")
    async def history(*, limit: Limit = 100, before_ms: BeforeMs = None, audit: Audited = False) -> Json:
        lines = await prices.history(limit=limit, before_ms=before_ms, audit=audit)
        return {
            "decisions": [told_shape(line) for line in lines],
            "next_before_ms": lines[-1].at_ms if len(lines) == limit else None,
        }

    @router.put("/rate")
    async def set_rate(body: RateBody, request: Request) -> Json:
        operator = request.state.operator
        async with audit_trail.changing(operator, "price.rate", "price", body.given()) as trail:
            before = price_shape(await prices.show())["rate"]
            shown = price_shape(await prices.set_rate(body.price_usd, body.expires_at_unix_s, body.reason, operator))
            trail.made(before, shown["rate"])
        return shown

    @router.delete("/rate")
    async def clear_rate(request: Request, reason: Why) -> Json:
        operator = request.state.operator
        async with audit_trail.changing(operator, "price.rate", "price", {"cleared": reason}) as trail:
            before = price_shape(await prices.show())["rate"]
            shown = price_shape(await prices.clear_rate(reason, operator))
            trail.made(before, {"cleared": reason})
        return shown

    return router


def _holdings(administration: Administration) -> APIRouter:
    router = APIRouter(prefix="/holdings")
    accounts, snapshots, refresh = administration.accounts, administration.snapshots, administration.refresh
    audit = administration.audit

    @router.post("/snapshot")
    async def snapshot(request: Request) -> Json:
        async with audit.changing(request.state.operator, "holdings.snapshot", "holdings") as trail:
            report = asdict(await snapshots.take_now())
            trail.made({}, report)
        return report

    @router.post("/refresh")
    async def look_again(request: Request, body: RefreshBody | None = None) -> Json:
        if body is None or body.account_id is None:
            async with audit.changing(request.state.operator, "holdings.refresh", "holdings") as trail:
                report = asdict(await refresh.run(patience_s=_REFRESH_PATIENCE_S))
                trail.made({}, report)
            return report
        async with audit.changing(request.state.operator, "holdings.refresh", body.account_id[:64]) as trail:
            account = await accounts.get(body.account_id)
            after = account_shape(await refresh.account(account.id) or account)
            trail.made(account_shape(account), after)
        return after

    return router
