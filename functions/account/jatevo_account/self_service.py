"""
The routes of owners, below `/account/v1`:

| route                                                          | what                                              |
|----------------------------------------------------------------|---------------------------------------------------|
| `POST /auth/challenge`                                         | a text to sign, to sign in or to link a wallet    |
| `POST /auth/verify`, `GET /auth/session`, `POST /auth/logout`  | a session, what is known of it, its end           |
| `GET POST /wallets`, `DELETE /wallets/{wallet}`                | the account's wallets                             |
| `GET POST /keys`, `PATCH DELETE /keys/{id}`                    | its keys; a new key is shown once                 |
| `POST /keys/{id}/rotate`, `POST /keys/{id}/disable`            | a new secret; a stop at once                      |
| `GET /usage`, `GET /ledger`                                    | its books                                         |
| `GET /budget`                                                  | its limits today, and why they are what they are  |

Use cases are made with the first request that needs them: a key that lists models pays for none.
"""

from collections.abc import Callable

from fastapi import FastAPI, Request
from starlette.responses import Response

from jatevo.adapters.http.starlette_errors import Errors
from jatevo.application.administration.problems import AdministrationError, InvalidValue, NotThere
from jatevo.application.self_service import SelfService
from jatevo.domain.refusals import Code, Refusal
from jatevo_account.books import book_routes
from jatevo_account.bounded import Bounded
from jatevo_account.budget import budget_routes
from jatevo_account.guard import NotLetIn
from jatevo_account.keys import key_routes
from jatevo_account.sign_in import sign_in_routes
from jatevo_account.wallets import wallet_routes


def add_self_service(app: FastAPI, services: Callable[[], SelfService], errors: Errors) -> None:
    """Add the routes to an app. `services` is called for each request: it makes them once."""
    app.add_middleware(Bounded, errors=errors)
    for routes in (sign_in_routes, wallet_routes, key_routes, book_routes, budget_routes):
        app.include_router(routes(services, errors), prefix="/account/v1")

    def not_let_in(_request: Request, error: Exception) -> Response:
        assert isinstance(error, NotLetIn)
        return errors.answer(error.refusal, {"cache-control": "no-store"})

    def not_done(_request: Request, error: Exception) -> Response:
        assert isinstance(error, AdministrationError)
        return errors.answer(Refusal(_code(error), error.message, error.param))

    app.add_exception_handler(NotLetIn, not_let_in)
    app.add_exception_handler(AdministrationError, not_done)


def _code(error: AdministrationError) -> Code:
    if isinstance(error, NotThere):
        return Code.NOT_FOUND
    return Code.INVALID_VALUE if isinstance(error, InvalidValue) else Code.CONFLICT
