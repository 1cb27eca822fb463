"""Wires the site from the environment."""

from starlette.applications import Starlette

from jatevo import __version__
from jatevo.bootstrap import Gateway, settings_from
from jatevo_site.app import SiteServices
from jatevo_site.app import create_app as app_of


def create_app(gateway: Gateway | None = None) -> Starlette:
    """Return the app, over the gateway of this process."""
    gateway = gateway or Gateway(settings_from())
    return app_of(
        SiteServices(
            version=__version__,
            base_path="/",
            clock=gateway.clock,
            randomness=gateway.randomness,
            wording=gateway.settings.wording,
        )
    )
