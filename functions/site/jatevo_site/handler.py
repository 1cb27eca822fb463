"""Wires the site from the environment."""

from starlette.applications import Starlette

from jatevo import __version__
from jatevo.adapters.http.request_log import RequestJournal
from jatevo.bootstrap import Process, settings_from
from jatevo_site.app import SiteServices
from jatevo_site.app import create_app as app_of


def create_app(process: Process | None = None) -> Starlette:
    """Return the app."""
    process = process or Process(settings_from())
    app = app_of(
        SiteServices(
            version=__version__,
            clock=process.clock,
            randomness=process.randomness,
            wording=process.settings.wording,
        )
    )
    app.add_middleware(RequestJournal, chronicle=process.request_log("site"))
    return app
