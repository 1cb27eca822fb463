"""The app that the function's handler setting names: an ASGI app, or a factory that takes nothing and returns one."""

import importlib
import inspect
from typing import Any, cast

from lambda_response_stream.errors import InitError
from lambda_response_stream.invocation import App


def load_app(handler: str) -> App:
    """
    Import `module.attribute`, with `/` or `.` between packages. Raises InitError, and what the app's own code raises.

    A callable that takes three arguments is an app; one that takes none is a factory.
    """
    named = _attribute(handler)
    if _takes(named, 3):
        return cast("App", named)
    if not _takes(named, 0):
        raise InitError("Runtime.NotAnApp", f"{handler} is neither an ASGI app nor a factory without arguments")
    app = named()
    if not _takes(app, 3):
        raise InitError("Runtime.NotAnApp", f"{handler}() did not return an ASGI app but {type(app).__name__}")
    return cast("App", app)


def _attribute(handler: str) -> Any:
    module_name, dot, name = handler.rpartition(".")
    if not dot or not module_name or not name:
        raise InitError("Runtime.MalformedHandlerName", f"the handler must be module.attribute, not {handler!r}")
    try:
        module = importlib.import_module(module_name.replace("/", "."))
    except ImportError as error:
        raise InitError("Runtime.ImportModuleError", f"cannot import {module_name!r}: {error}") from error
    except SyntaxError as error:
        raise InitError("Runtime.UserCodeSyntaxError", f"cannot read {module_name!r}: {error}") from error
    if not hasattr(module, name):
        raise InitError("Runtime.HandlerNotFound", f"there is no {name!r} in {module_name!r}")
    return getattr(module, name)


def _takes(candidate: object, arguments: int) -> bool:
    if not callable(candidate):
        return False
    try:
        inspect.signature(candidate).bind(*range(arguments))
    except (TypeError, ValueError):
        return False
    return True
