"""Wires the admin app from the environment."""

from fastapi import FastAPI

from jatevo.adapters.http.request_log import RequestJournal
from jatevo.bootstrap import Gateway, settings_from
from jatevo_admin.app import create_app as app_of


def create_app(gateway: Gateway | None = None) -> FastAPI:
    """Return the app, over the gateway of this process."""
    gateway = gateway or Gateway(settings_from())
    app = app_of(gateway.administration())
    app.add_middleware(RequestJournal, chronicle=gateway.request_log("admin"))
    return app
