"""Wires the admin app from the environment."""

from fastapi import FastAPI

from jatevo.bootstrap import Gateway, settings_from
from jatevo_admin.app import create_app as app_of


def create_app(gateway: Gateway | None = None) -> FastAPI:
    """Return the app, over the gateway of this process."""
    gateway = gateway or Gateway(settings_from())
    return app_of(gateway.administration())
