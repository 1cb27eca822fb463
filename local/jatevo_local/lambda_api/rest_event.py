"""
From an HTTP request to the event of a REST API's Lambda proxy integration, version 1, with what API Gateway does to it.

https://docs.aws.amazon.com/apigateway/latest/developerguide/set-up-lambda-proxy-integrations.html and, for headers,
https://docs.aws.amazon.com/apigateway/latest/developerguide/api-gateway-known-issues.html
"""

import base64
import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import parse_qsl
from uuid import uuid4

from jatevo_local.lambda_api.http1 import Head, Headers

MOST_EVENT_BYTES = 6_291_556

_DROPPED = {
    "connection",
    "content-md5",
    "expect",
    "max-forwards",
    "proxy-authenticate",
    "server",
    "te",
    "trailer",
    "transfer-encoding",
    "upgrade",
    "www-authenticate",
}


@dataclass(frozen=True, slots=True)
class Api:
    """What the events of one API have in common. `binary` are its binary media types."""

    id: str = "abcdef1234"
    stage: str = "prod"
    binary: tuple[str, ...] = ()

    @property
    def host(self) -> str:
        return f"{self.id}.execute-api.us-east-1.amazonaws.com"


@dataclass(frozen=True, slots=True)
class Match:
    """The resource that a request belongs to."""

    resource: str
    path: str
    """Without the stage."""
    parameters: Mapping[str, str]


def rest_event(api: Api, match: Match, head: Head, body: bytes, source_ip: str) -> dict[str, Any]:
    """Return the event. Parameters are decoded, the path is not; whether AWS decodes it is not documented."""
    _, _, query = head.target.partition("?")
    values = parse_qsl(query, keep_blank_values=True)
    headers = _request_headers(api, head, source_ip)
    text, is_base64 = _event_body(api, head, body)
    return {
        "resource": match.resource,
        "path": match.path,
        "httpMethod": head.method,
        "headers": dict(headers),
        "multiValueHeaders": _several(headers),
        "queryStringParameters": dict(values) or None,
        "multiValueQueryStringParameters": _several(values) or None,
        "pathParameters": dict(match.parameters) or None,
        "stageVariables": None,
        "requestContext": _context(api, match, head, source_ip),
        "body": text,
        "isBase64Encoded": is_base64,
    }


def event_bytes(event: dict[str, Any]) -> bytes:
    return json.dumps(event, ensure_ascii=False, separators=(",", ":")).encode("utf-8", "surrogatepass")


def is_binary(binary: tuple[str, ...], media_type: str) -> bool:
    """A type is binary when it is listed as it is, or `*/*` is."""
    return "*/*" in binary or media_type.partition(";")[0].strip().lower() in binary


def _event_body(api: Api, head: Head, body: bytes) -> tuple[str | None, bool]:
    """What is not listed as binary is taken for UTF-8: other bytes are lost."""
    if not body:
        return None, False
    if is_binary(api.binary, head.get("content-type", "application/json")):
        return base64.b64encode(body).decode(), True
    return body.decode("utf-8", "replace"), False


def _request_headers(api: Api, head: Head, source_ip: str) -> Headers:
    forwarded = head.get("x-forwarded-for")
    own = {
        "Host": api.host,
        "X-Amzn-Trace-Id": "Root=1-65a6825f-0123456789abcdef01234567",
        "X-Forwarded-For": f"{forwarded}, {source_ip}" if forwarded else source_ip,
        "X-Forwarded-Port": "443",
        "X-Forwarded-Proto": "https",
    }
    replaced = _DROPPED | {name.lower() for name in own}
    signed = head.get("authorization").startswith("AWS4-HMAC-SHA256")
    if signed:
        replaced.add("authorization")
    return [*((name, value) for name, value in head.headers if name.lower() not in replaced), *own.items()]


def _several(pairs: Headers) -> dict[str, list[str]]:
    several: dict[str, list[str]] = {}
    for name, value in pairs:
        several.setdefault(name, []).append(value)
    return several


def _context(api: Api, match: Match, head: Head, source_ip: str) -> dict[str, Any]:
    return {
        "resourceId": "res123",
        "resourcePath": match.resource,
        "httpMethod": head.method,
        "path": f"/{api.stage}{match.path}",
        "accountId": "123456789012",
        "protocol": "HTTP/1.1",
        "stage": api.stage,
        "domainPrefix": api.id,
        "domainName": api.host,
        "apiId": api.id,
        "requestId": str(uuid4()),
        "identity": {"sourceIp": source_ip, "userAgent": head.get("user-agent")},
    }
