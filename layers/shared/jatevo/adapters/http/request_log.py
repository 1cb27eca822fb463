"""
The journal of requests to functions that ask no model: route, status and time, and whose request it was.
"""

import asyncio

from jatevo.adapters.http.asgi import AsgiApp, Message, Receive, Scope, Send
from jatevo.application.journal import Chronicle, Journal


class RequestJournal:
    """
    ASGI middleware around a whole app. Who finds out whose a request is notes it in `journal_of(scope)`.

    The route that is told is the app's own text for it, `/v1/models/{model_id}`: what was typed may hold anything.
    """

    def __init__(self, app: AsgiApp, chronicle: Chronicle) -> None:
        self._app = app
        self._chronicle = chronicle

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        journal = Journal(asyncio.get_running_loop().time, self._chronicle, method=scope["method"])
        state = scope.setdefault("state", {})
        state["journal"] = journal

        async def noted(message: Message) -> None:
            if message["type"] == "http.response.start":
                journal.status = message["status"]
                journal.id = next((v.decode("latin-1") for n, v in message["headers"] if n == b"x-request-id"), "")
            await send(message)

        with journal:
            try:
                await self._app(scope, receive, noted)
            except Exception as error:
                journal.failure = type(error).__name__
                raise
            finally:
                journal.route = _route(scope)
                journal.operator = state.get("operator", "")


def journal_of(scope: Scope) -> Journal:
    """Return the journal of a request; one that nobody reads where none is kept."""
    journal: Journal | None = scope.get("state", {}).get("journal")
    return journal or Journal()


def _route(scope: Scope) -> str:
    """Return the route that took a request, its parameters by their names; `(none)` when none did."""
    if "endpoint" not in scope:
        return "(none)"
    path: str = scope["path"]
    parameters = scope.get("path_params", {})
    if not parameters:
        return path
    own: str | None = getattr(scope.get("route"), "path_format", None)
    if own is None:
        return f"/{path.split('/')[1]}/…"
    # A router's prefix is not in its routes' own paths: it is what stands before them.
    typed = own.format_map(parameters)
    return path.removesuffix(typed) + own if path.endswith(typed) else own
