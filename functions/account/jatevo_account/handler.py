"""Wires the account app from the environment."""

from functools import cache

from fastapi import FastAPI

from jatevo.adapters.http.request_log import RequestJournal
from jatevo.bootstrap import Gateway, settings_from
from jatevo_account.app import create_app as app_of
from jatevo_account.services import AccountServices


def create_app(gateway: Gateway | None = None) -> FastAPI:
    """Return the app, over the gateway of this process."""
    gateway = gateway or Gateway(settings_from())
    app = app_of(
        AccountServices(
            access=gateway.access,
            directory=gateway.directory,
            counters=gateway.counters,
            usage=gateway.usage(),
            histories=gateway.histories(),
            clock=gateway.clock,
            randomness=gateway.randomness,
            wording=gateway.settings.wording,
            margin_bps=gateway.settings.policy.margin_bps,
            showcase=gateway.showcase(),
            self_service=cache(gateway.self_service),
        )
    )
    app.add_middleware(RequestJournal, chronicle=gateway.request_log("account"))
    return app
