"""
The calls of the Lambda Runtime API, version 2018-06-01.

https://docs.aws.amazon.com/lambda/latest/dg/runtimes-api.html and, for streams,
https://docs.aws.amazon.com/lambda/latest/dg/runtimes-custom.html#runtimes-custom-response-streaming
"""

from typing import NamedTuple

from lambda_response_stream.errors import ErrorReport
from lambda_response_stream.wire import Answer, Connection, ProtocolError, request_head

_VERSION = "/2018-06-01/runtime"
_ERROR_TYPE = "Lambda-Runtime-Function-Error-Type"
_ERROR_BODY = "Lambda-Runtime-Function-Error-Body"
_INVOCATION_ID = "Lambda-Runtime-Invocation-Id"

_STREAM_HEADERS = {
    "Lambda-Runtime-Function-Response-Mode": "streaming",
    "Transfer-Encoding": "chunked",
    "Content-Type": "application/vnd.awslambda.http-integration-response",
    "Trailer": f"{_ERROR_TYPE}, {_ERROR_BODY}",
}


class Invocation(NamedTuple):
    """One event and what Lambda says about it. `deadline_ms` is Unix time; Lambda kills the function then."""

    id: str
    event: bytes
    deadline_ms: int
    function_arn: str = ""
    trace_id: str = ""
    tenant_id: str = ""
    invocation_id: str = ""

    @property
    def path(self) -> str:
        return f"{_VERSION}/invocation/{self.id}"

    @property
    def identity(self) -> dict[str, str]:
        """The header that is passed back where Lambda sent one."""
        return {_INVOCATION_ID: self.invocation_id} if self.invocation_id else {}


class RuntimeApi:
    """
    The Runtime API at `address`, host and port. Every call has a connection of its own: none can be stale after a
    freeze or a restore, and connecting to this machine costs a tenth of a millisecond.
    """

    def __init__(self, address: str) -> None:
        self._address = address

    async def next(self) -> Invocation:
        """Wait for the next invocation; Lambda freezes the environment meanwhile."""
        answer = await self._call("GET", f"{_VERSION}/invocation/next", expected=200)
        headers = answer.headers
        return Invocation(
            id=headers.get("lambda-runtime-aws-request-id", ""),
            event=answer.body,
            deadline_ms=int(headers.get("lambda-runtime-deadline-ms", "0")),
            function_arn=headers.get("lambda-runtime-invoked-function-arn", ""),
            trace_id=headers.get("lambda-runtime-trace-id", ""),
            tenant_id=headers.get("lambda-runtime-aws-tenant-id", ""),
            invocation_id=headers.get("lambda-runtime-invocation-id", ""),
        )

    def open_stream(self, invocation: Invocation) -> tuple[Connection, bytes]:
        """Connect for a streamed response; return the head of the request, not yet sent."""
        headers = {**_STREAM_HEADERS, **invocation.identity}
        return Connection(self._address), self._head("POST", f"{invocation.path}/response", headers)

    async def respond(self, invocation: Invocation, body: bytes) -> None:
        """Give a whole response, in JSON."""
        headers = {"Content-Type": "application/json", **invocation.identity}
        await self._call("POST", f"{invocation.path}/response", headers, body)

    async def invocation_error(self, invocation: Invocation, error: ErrorReport) -> None:
        """Report a failure that came before the first byte."""
        await self._report(f"{invocation.path}/error", error, invocation.identity)

    async def init_error(self, error: ErrorReport) -> None:
        await self._report(f"{_VERSION}/init/error", error)

    async def restore_next(self) -> None:
        """Wait to be restored from a snapshot, which is taken meanwhile."""
        await self._call("GET", f"{_VERSION}/restore/next", expected=200)

    async def restore_error(self, error: ErrorReport) -> None:
        await self._report(f"{_VERSION}/restore/error", error)

    async def _report(self, path: str, error: ErrorReport, identity: dict[str, str] | None = None) -> None:
        headers = {"Content-Type": "application/vnd.aws.lambda.error+json", _ERROR_TYPE: _header_value(error.kind)}
        await self._call("POST", path, {**headers, **(identity or {})}, error.json())

    async def _call(
        self, method: str, path: str, headers: dict[str, str] | None = None, body: bytes = b"", expected: int = 202
    ) -> Answer:
        connection = Connection(self._address)
        try:
            head = self._head(method, path, {**(headers or {}), "Content-Length": str(len(body))})
            await connection.send(head + body)
            answer = await connection.answer()
        finally:
            connection.close()
        if answer.status != expected:
            raise ProtocolError(f"{method} {path} was answered {answer.status}: {answer.body[:200]!r}")
        return answer

    def _head(self, method: str, path: str, headers: dict[str, str]) -> bytes:
        return request_head(method, path, self._address, {**headers, "Connection": "close"})


def error_trailers(error: ErrorReport) -> bytes:
    """The end of a chunked body that failed on its way."""
    kind = _header_value(error.kind).encode()
    return b"%b: %b\r\n%b: %b\r\n\r\n" % (_ERROR_TYPE.encode(), kind, _ERROR_BODY.encode(), error.base64())


def _header_value(text: str) -> str:
    return "".join(character for character in text if "!" <= character <= "~") or "Unknown"
