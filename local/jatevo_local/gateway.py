"""
The gateway as one process on this machine: the ASGI apps of the functions behind one port.

The routes are those of the deployed template; the apps are the very ones the Lambdas serve, wired from the same
environment. SIGTERM lets answers under way be settled before the process ends.
"""

import argparse
from pathlib import Path

import uvicorn
from starlette.types import ASGIApp, Receive, Scope, Send

from jatevo.bootstrap import Gateway, settings_from
from jatevo_account.handler import create_app as account_app
from jatevo_admin.handler import create_app as admin_app
from jatevo_inference.handler import create_app as inference_app
from jatevo_local.demo_wallet import PREFIX as LOCAL_PREFIX
from jatevo_local.demo_wallet import DemoWallet, demo_wallet_app, demo_wallet_from
from jatevo_local.ports import LOOPBACK
from jatevo_site.handler import create_app as site_app

STREAMED = (
    "/v1/chat/completions",
    "/playground/v1/chat/completions",
    "/v1/responses",
    "/v1/responses/compact",
    "/v1/responses/input_tokens",
    "/backend-api/codex/responses",
    "/backend-api/codex/responses/compact",
)
_CONNECTIONS_END_S = 10


class Routes:
    """Sends each request to the function that the deployed API would send it to."""

    def __init__(self, gateway: Gateway, wallet: DemoWallet | None = None) -> None:
        self._inference: ASGIApp = inference_app(gateway)
        self._prefixes: tuple[tuple[str, ASGIApp], ...] = (
            ("/admin/v1", admin_app(gateway)),
            ("/v1", account_app(gateway)),
            ("/account/v1", account_app(gateway)),
            (LOCAL_PREFIX, demo_wallet_app(wallet)),
            ("/backend-api/codex/models", account_app(gateway)),
        )
        self._site: ASGIApp = site_app(gateway)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        await self._app(scope)(scope, receive, send)

    def _app(self, scope: Scope) -> ASGIApp:
        if scope["type"] == "lifespan" or scope["path"].rstrip("/") in STREAMED:
            return self._inference
        for prefix, app in self._prefixes:
            if scope["path"] == prefix or scope["path"].startswith(f"{prefix}/"):
                return app
        return self._site


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
