"""
The gateway as one process on this machine: the ASGI apps of the functions behind one port.

The routes are those of the deployed template; the apps are the very ones the Lambdas serve, wired from the same
environment. SIGTERM lets answers under way be settled before the process ends.
"""

import argparse
import time
from pathlib import Path

import uvicorn
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from jatevo.bootstrap import Gateway, Settings, settings_from
from jatevo_account.handler import create_app as account_app
from jatevo_admin.guard import Guard
from jatevo_admin.handler import create_app as admin_app
from jatevo_inference.handler import create_app as inference_app
from jatevo_local.demo_wallet import PREFIX as LOCAL_PREFIX
from jatevo_local.demo_wallet import DemoWallet, demo_wallet_app, demo_wallet_from
from jatevo_local.exposition import Exposition
from jatevo_local.measured import InPlaceOfAws
from jatevo_local.ports import LOOPBACK
from jatevo_site.handler import create_app as site_app

STREAMED = (
    "/v1/chat/completions",
    "/playground/v1/chat/completions",
    "/v1/responses",
    "/v1/responses/compact",
    "/v1/responses/input_tokens",
    "/v1/messages",
    "/v1/messages/count_tokens",
    "/backend-api/codex/responses",
    "/backend-api/codex/responses/compact",
)
METRICS_PATH = "/admin/v1/metrics"
_CONNECTIONS_END_S = 10


class Routes:
    """Sends each request to the function that the deployed API would send it to."""

    def __init__(self, gateway: Gateway, wallet: DemoWallet | None = None) -> None:
        self._inference: ASGIApp = inference_app(gateway)
        self._measured = measured_in(gateway.settings)
        self._prefixes: tuple[tuple[str, ASGIApp], ...] = (
            *self._metrics(gateway),
            ("/admin/v1", admin_app(gateway)),
            ("/v1", account_app(gateway)),
            ("/account/v1", account_app(gateway)),
            (LOCAL_PREFIX, demo_wallet_app(wallet)),
            ("/backend-api/codex/models", account_app(gateway)),
        )
        self._site: ASGIApp = site_app(gateway)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if self._measured is None or scope["type"] != "http":
            await self._app(scope)(scope, receive, send)
            return
        measured = self._measured

        async def counted(message: Message) -> None:
            if message["type"] == "http.response.start":
                measured.answered(message["status"], time.time_ns() // 1_000_000)
            await send(message)

        await self._app(scope)(scope, receive, counted)

    def _metrics(self, gateway: Gateway) -> tuple[tuple[str, ASGIApp], ...]:
        """What scrapers ask: for operators only, and only where it is known what all processes have measured."""
        folder = metrics_folder(gateway.settings)
        if folder is None:
            return ()
        return ((METRICS_PATH, Guard(Exposition(folder), gateway.administration().operators)),)

    def _app(self, scope: Scope) -> ASGIApp:
        if scope["type"] == "lifespan" or scope["path"].rstrip("/") in STREAMED:
            return self._inference
        for prefix, app in self._prefixes:
            if scope["path"] == prefix or scope["path"].startswith(f"{prefix}/"):
                return app
        return self._site


def metrics_folder(settings: Settings) -> Path | None:
    """Return where the stack's processes write what they measure; None where they do not."""
    return None if settings.metrics in {"off", "stdout"} else Path(settings.metrics).parent


def measured_in(settings: Settings) -> InPlaceOfAws | None:
    """Return what writes, beside this process's own metrics, those of the services that it stands in for."""
    folder = metrics_folder(settings)
    return None if folder is None else InPlaceOfAws(folder / f"aws-{Path(settings.metrics).name}")


def main() -> None:
    parser = argparse.ArgumentParser(prog="jatevo_local.gateway")
    parser.add_argument("--port", type=int, required=True)
    parser.add_argument("--demo-wallet", type=Path, help="the file of a private key that pages may sign in with")
    options = parser.parse_args()
    settings = settings_from()
    settings.set_up_logs()
    gateway = Gateway(settings)
    uvicorn.run(
        Routes(gateway, options.demo_wallet and demo_wallet_from(options.demo_wallet)),
        host=LOOPBACK,
        port=options.port,
        log_config=None,  # what uvicorn has to say goes where our own lines go
        server_header=False,
        proxy_headers=False,  # nothing stands before it: where a request comes from is the peer, whatever it says
        timeout_graceful_shutdown=_CONNECTIONS_END_S,
        ws="none",
    )
    gateway.close()


if __name__ == "__main__":
    main()
