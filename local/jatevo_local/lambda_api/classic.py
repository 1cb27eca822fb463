"""
A stand-in for the managed Python runtime's own loop: classic handlers, `module.function(event, context)`.

Run by its path with nothing but the standard library, as Lambda runs its own.
"""

import http.client
import importlib
import json
import os
import sys
import time
from typing import Any

_RUNTIME = "/2018-06-01/runtime"


class Context:
    """The part of Lambda's context object that handlers use."""

    def __init__(self, request_id: str, deadline_ms: int) -> None:
        self.aws_request_id = request_id
        self.function_name = os.environ["AWS_LAMBDA_FUNCTION_NAME"]
        self.function_version = os.environ["AWS_LAMBDA_FUNCTION_VERSION"]
        self.memory_limit_in_mb = os.environ["AWS_LAMBDA_FUNCTION_MEMORY_SIZE"]
        self.invoked_function_arn = f"arn:aws:lambda:us-east-1:123456789012:function:{self.function_name}"
        self.log_group_name = os.environ["AWS_LAMBDA_LOG_GROUP_NAME"]
        self.log_stream_name = os.environ["AWS_LAMBDA_LOG_STREAM_NAME"]
        self._deadline_ms = deadline_ms

    def get_remaining_time_in_millis(self) -> int:
        return max(0, self._deadline_ms - int(time.time() * 1000))


def call(method: str, path: str, body: bytes = b"", headers: dict[str, str] | None = None) -> tuple[Any, bytes]:
    connection = http.client.HTTPConnection(os.environ["AWS_LAMBDA_RUNTIME_API"])
    try:
        connection.request(method, _RUNTIME + path, body, {**(headers or {}), "Connection": "close"})
        response = connection.getresponse()
        return response.headers, response.read()
    finally:
        connection.close()


def error_body(error: BaseException) -> bytes:
    return json.dumps({"errorMessage": str(error), "errorType": type(error).__name__, "stackTrace": []}).encode()


def handle(handler: Any) -> None:
    headers, event = call("GET", "/invocation/next")
    request_id = headers["Lambda-Runtime-Aws-Request-Id"]
    os.environ["_X_AMZN_TRACE_ID"] = headers["Lambda-Runtime-Trace-Id"]
    identity = {"Lambda-Runtime-Invocation-Id": headers["Lambda-Runtime-Invocation-Id"]}
    path = f"/invocation/{request_id}"
    try:
        result = handler(json.loads(event), Context(request_id, int(headers["Lambda-Runtime-Deadline-Ms"])))
        call("POST", f"{path}/response", json.dumps(result).encode(), identity)
    except Exception as error:  # noqa: BLE001 - the edge of the handler's code
        kind = {"Lambda-Runtime-Function-Error-Type": type(error).__name__}
        call("POST", f"{path}/error", error_body(error), {**identity, **kind})


def main() -> None:
    sys.path.insert(0, os.environ["LAMBDA_TASK_ROOT"])
    module, _, name = os.environ["_HANDLER"].rpartition(".")
    try:
        handler = getattr(importlib.import_module(module.replace("/", ".")), name)
    except Exception as error:  # noqa: BLE001 - the edge of the handler's code
        call("POST", "/init/error", error_body(error), {"Lambda-Runtime-Function-Error-Type": type(error).__name__})
        sys.exit(1)
    while True:
        handle(handler)


if __name__ == "__main__":
    main()
