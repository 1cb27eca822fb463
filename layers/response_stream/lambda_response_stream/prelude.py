"""
The JSON before a streamed payload: status, headers and cookies.

https://docs.aws.amazon.com/apigateway/latest/developerguide/response-transfer-mode-lambda.html
"""

import json
from typing import Any

from lambda_response_stream.events import RawHeaders

SEPARATOR = bytes(8)

_PER_CONNECTION = {"connection", "keep-alive", "proxy-connection", "te", "trailer", "transfer-encoding", "upgrade"}
"""Headers that speak of one connection: the gateway has its own."""


def prelude(status: int, headers: RawHeaders, *, multi_value: bool) -> bytes:
    """
    `multi_value`: repeated headers go into `multiValueHeaders`; otherwise their values are joined, as HTTP allows.

    `content-length: 0` is left out, because a streamed response has at least one byte.
    """
    values, cookies = _sorted_out(headers)
    single = {name: ", ".join(each) for name, each in values.items() if not multi_value or len(each) == 1}
    several = {name: each for name, each in values.items() if name not in single}
    document: dict[str, Any] = {"statusCode": int(status), "headers": single}
    if several:
        document["multiValueHeaders"] = several
    if cookies:
        document["cookies"] = cookies
    return json.dumps(document, separators=(",", ":")).encode()


def _sorted_out(headers: RawHeaders) -> tuple[dict[str, list[str]], list[str]]:
    values: dict[str, list[str]] = {}
    cookies: list[str] = []
    for raw_name, raw_value in headers:
        name, value = bytes(raw_name).decode("latin-1").lower(), bytes(raw_value).decode("latin-1")
        if name == "set-cookie":
            cookies.append(value)
        elif name not in _PER_CONNECTION and (name, value) != ("content-length", "0"):
            values.setdefault(name, []).append(value)
    return values, cookies
