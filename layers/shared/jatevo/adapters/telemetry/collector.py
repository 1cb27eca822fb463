"""Delivers traces to a collector of OpenTelemetry, over HTTP in JSON. Loaded only where tracing is turned on."""

import asyncio
import http.client
import ssl
from collections.abc import Callable
from urllib.parse import urlsplit

from jatevo.adapters.secrets import SecretUnavailable

_PATIENCE_S = 3.0


class Collector:
    """
    A collector at `url`, such as http://127.0.0.1:4318. `authorization` returns the value of that header, None for
    none, and raises SecretUnavailable.
    """

    def __init__(self, url: str, authorization: Callable[[], str | None]) -> None:
        parts = urlsplit(url)
        if parts.scheme not in {"http", "https"} or not parts.hostname:
            raise ValueError(f"{url!r} is no address of a collector")
        self._secure = parts.scheme == "https"
        self._host, self._port = parts.hostname, parts.port
        self._path = parts.path.rstrip("/") + "/v1/traces"
        self._authorization = authorization

    async def __call__(self, export: bytes) -> None:
        """Deliver an export. Raises OSError."""
        await asyncio.to_thread(self._post, export)

    def _post(self, export: bytes) -> None:
        connection = self._connection()
        try:
            authorization = self._authorization()
            more = {} if authorization is None else {"authorization": authorization}
            connection.request("POST", self._path, export, {"content-type": "application/json", **more})
            status = connection.getresponse().status
        except (http.client.HTTPException, SecretUnavailable) as error:
            raise OSError(type(error).__name__) from error
        finally:
            connection.close()
        if status >= 300:
            raise OSError(f"the collector answered {status}")

    def _connection(self) -> http.client.HTTPConnection:
        if self._secure:
            context = ssl.create_default_context()
            return http.client.HTTPSConnection(self._host, self._port, timeout=_PATIENCE_S, context=context)
        return http.client.HTTPConnection(self._host, self._port, timeout=_PATIENCE_S)
