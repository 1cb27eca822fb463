"""
An app as a Lambda handler that answers whole, by Mangum.

Mangum answers for an app that fails. What it raises itself comes of an event that is no request of API Gateway, or not
a whole one: that is one line here, whatever was invoked by hand.
"""

from collections.abc import Callable
from typing import TYPE_CHECKING, Any, cast

from mangum import Mangum

from jatevo.adapters.events import MalformedEvent
from jatevo.adapters.http.asgi import AsgiApp

if TYPE_CHECKING:
    from mangum.types import ASGI

type Handler = Callable[[Any, Any], dict[str, Any]]


def buffered(app: AsgiApp) -> Handler:
    """Return the handler. It raises MalformedEvent."""
    mangum = Mangum(cast("ASGI", app), lifespan="off")

    def handler(event: Any, context: Any) -> dict[str, Any]:
        try:
            return mangum(event, context)
        except (AttributeError, LookupError, RuntimeError, TypeError, ValueError) as error:
            raise MalformedEvent(f"not a request of API Gateway: {type(error).__name__}: {error}") from None

    return handler
