"""
The life of an execution environment: initialise, perhaps be snapshotted and restored, serve until told to end.

One event loop lives as long as the environment, so connections that an app pools survive from one invocation to the
next. Failures of the initialisation are one line in the log and one call to Lambda, and the process ends.
"""

import asyncio
import os
import signal
import sys
from typing import Any

from lambda_response_stream.application import load_app
from lambda_response_stream.errors import InitError, report, where
from lambda_response_stream.events import event_parser
from lambda_response_stream.invocation import Service
from lambda_response_stream.lifespan import Lifespan
from lambda_response_stream.logs import RequestId, set_up_logging
from lambda_response_stream.runtime_api import Invocation, RuntimeApi
from lambda_response_stream.settings import Settings, settings_from
from lambda_response_stream.snapstart import RestoreError, snapshot_and_restore

_INIT_FAILED = 1
_RESTORE_FAILED = 65
_API_LOST = 1
_LAYERS = "/opt/python"


def main() -> None:
    """Serve until the environment ends."""
    for stream in (sys.stdout, sys.stderr):
        stream.reconfigure(line_buffering=True)  # type: ignore[union-attr]  # both are text streams
    sys.exit(asyncio.run(_live()))


async def _live() -> int:
    """Return the process's exit status."""
    api = RuntimeApi(os.environ.get("AWS_LAMBDA_RUNTIME_API", ""))
    lifespan: Lifespan | None = None
    try:
        request_id = set_up_logging()
        settings = settings_from(os.environ)
        _set_import_path(settings)
        lifespan = Lifespan(load_app(settings.handler))
        await lifespan.startup()
        service = _service(settings, api, lifespan)
        if settings.snap_start:
            await snapshot_and_restore(api)
    except RestoreError as error:
        _say(f"Runtime.AfterRestoreError: {error}")
        await api.restore_error(report(InitError("Runtime.AfterRestoreError", str(error))))
        return _RESTORE_FAILED
    except Exception as error:  # noqa: BLE001 - whatever the app's own code raises while it is set up
        return await _init_failed(api, error)
    status = await _serve(service, request_id)
    await lifespan.shutdown()
    return status


def _service(settings: Settings, api: RuntimeApi, lifespan: Lifespan) -> Service:
    loop = asyncio.get_running_loop()
    stopping: asyncio.Future[None] = loop.create_future()
    loop.add_signal_handler(signal.SIGTERM, _stop, stopping)
    return Service(
        app=lifespan.app,
        api=api,
        parse=event_parser(),
        state=lifespan.state,
        stopping=stopping,
        buffered=settings.buffered,
        deadline_margin_ms=settings.deadline_margin_ms,
    )


async def _serve(service: Service, request_id: RequestId) -> int:
    """Serve one invocation after another. Return the exit status; when the Runtime API is lost, Lambda starts anew."""
    try:
        while (invocation := await _next(service)) is not None:
            request_id.current = invocation.id
            await service.serve(invocation)
    except OSError as lost:
        _say(f"the Runtime API cannot be spoken to: {lost}")
        return _API_LOST
    return 0


async def _next(service: Service) -> Invocation | None:
    """Return the next invocation, None when the environment is to end."""
    asking = asyncio.ensure_future(service.api.next())
    either: list[asyncio.Future[Any]] = [asking, service.stopping]
    await asyncio.wait(either, return_when=asyncio.FIRST_COMPLETED)
    if not service.stopping.done():
        return asking.result()
    asking.cancel()
    return None


def _stop(stopping: asyncio.Future[None]) -> None:
    if not stopping.done():
        stopping.set_result(None)


async def _init_failed(api: RuntimeApi, error: Exception) -> int:
    described = report(error)
    _say(described.line + ("" if isinstance(error, InitError) else where(error)))
    try:
        await api.init_error(described)
    except OSError as lost:
        _say(f"Lambda did not take the error: {lost}")
    return _INIT_FAILED


def _set_import_path(settings: Settings) -> None:
    """
    The function's own code, then the layers, as the managed runtime has it; last what that runtime carries itself, such
    as boto3: its loop would have found it beside its own file.
    """
    version = f"{sys.version_info.major}.{sys.version_info.minor}"
    first = [settings.task_root, f"{_LAYERS}/lib/python{version}/site-packages", _LAYERS]
    sys.path[:0] = _missing(first)
    sys.path += _missing([settings.runtime_dir])


def _missing(paths: list[str]) -> list[str]:
    return [path for path in paths if path and path not in sys.path and os.path.isdir(path)]  # noqa: PTH112 - see __init__


def _say(line: str) -> None:
    print(f"response-stream: {line}", flush=True)  # noqa: T201 - standard output is a function's log
