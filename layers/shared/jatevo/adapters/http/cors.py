"""
What lets pages of another origin read the answers: for API Gateway, which adds headers to nothing but its own answers.

Preflight requests never get here: API Gateway answers them. No credentials: keys travel in a header that the page sets.
"""

from jatevo.adapters.http.asgi import AsgiApp, Message, Receive, Scope, Send

_EXPOSED = (
    "x-request-id, retry-after, x-should-retry, x-ratelimit-limit-requests, x-ratelimit-remaining-requests, "
    "x-ratelimit-reset-requests, x-jatevo-budget-limit-usd, x-jatevo-budget-remaining-usd, x-jatevo-reset-at, "
    "x-trace-id"
)


class Cors:
    """ASGI middleware: lets pages of `origin` read the app's answers; adds nothing when it is empty."""

    def __init__(self, app: AsgiApp, origin: str) -> None:
        self._app = app
        self._added = [
            (b"access-control-allow-origin", origin.encode("ascii")),
            (b"access-control-expose-headers", _EXPOSED.encode("ascii")),
        ]
        if not origin:
            self._added.clear()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        async def send_with_headers(message: Message) -> None:
            if message["type"] == "http.response.start":
                message["headers"] = [*message.get("headers", ()), *self._added]
            await send(message)

        await self._app(scope, receive, send_with_headers)
