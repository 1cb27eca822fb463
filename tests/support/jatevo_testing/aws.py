"""
AWS as a function's role sees it: DynamoDB requests go on to an engine, secrets are answered here, every call is noted,
and what the role does not allow is refused.

Functions are told apart by their access key, which stands in the signature of each request. It needs no hook inside a
function: whatever reaches AWS's addresses is seen, by whichever client.
"""

import http.client
import json
import re
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import urlsplit

from jatevo_testing.roles import Permission

_CREDENTIAL = re.compile(r"Credential=([^/]+)/")
_PARTS = {"Put": "PutItem", "Update": "UpdateItem", "Delete": "DeleteItem", "ConditionCheck": "ConditionCheckItem"}


@dataclass
class Aws:
    """`allowed` by function; `secrets` by name, the same in both stores; `calls` by function."""

    engine: str
    prefix: str
    allowed: Mapping[str, frozenset[Permission]]
    secrets: Mapping[str, str] = field(default_factory=dict)
    calls: dict[str, set[Permission]] = field(default_factory=dict)
    refused: list[tuple[str, Permission]] = field(default_factory=list)
    url: str = ""

    def environment(self, function: str) -> dict[str, str]:
        """Return what makes a function take this for AWS."""
        return {
            "AWS_ACCESS_KEY_ID": function,
            "AWS_SECRET_ACCESS_KEY": "nothing",
            "AWS_ENDPOINT_URL": self.url,
            "JATEVO_DYNAMODB_ENDPOINT": self.url,
            "JATEVO_TABLE_PREFIX": self.prefix,
        }

    def note(self, function: str, needed: set[Permission]) -> bool:
        """Note what a call needs; return whether the function may make it."""
        self.calls.setdefault(function, set()).update(needed)
        missing = [
            need for need in needed if not any(held.covers(need) for held in self.allowed.get(function, frozenset()))
        ]
        self.refused += [(function, need) for need in missing]
        return not missing

    def needed(self, target: str, body: dict[str, Any]) -> set[Permission]:
        """Return the permissions that AWS would ask for."""
        service, _, operation = target.partition(".")
        if service == "AmazonSSM":
            return {Permission(f"ssm:{operation}", f"parameter{body['Name']}")}
        if service == "secretsmanager":
            return {Permission(f"secretsmanager:{operation}", f"secret:{body['SecretId']}-AbCdEf")}
        if operation == "TransactWriteItems":
            parts = [part for item in body["TransactItems"] for part in item.items()]
            return {Permission(f"dynamodb:{_PARTS[kind]}", self._table(part)) for kind, part in parts}
        return {Permission(f"dynamodb:{operation}", self._table(body))}

    def _table(self, body: dict[str, Any]) -> str:
        table = f"table/{str(body['TableName']).removeprefix(self.prefix + '-')}"
        return f"{table}/index/{body['IndexName']}" if "IndexName" in body else table

    def answer(self, target: str, body: dict[str, Any]) -> tuple[int, dict[str, Any]]:
        """Answer a call to a store of secrets."""
        name = str(body.get("Name") or body.get("SecretId"))
        if name not in self.secrets:
            return 400, {"__type": "ParameterNotFound", "message": "there is none"}
        value = self.secrets[name]
        if target.startswith("AmazonSSM"):
            return 200, {"Parameter": {"Name": name, "Type": "SecureString", "Value": value}}
        return 200, {"Name": name, "SecretString": value}


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    request_queue_size = 128
    """Connections waiting to be taken: a full queue has the next one wait for seconds, as functions never would."""


@contextmanager
def serving(aws: Aws) -> Iterator[Aws]:
    """Serve it on loopback."""
    server = _Server(("127.0.0.1", 0), _handler(aws))
    aws.url = f"http://127.0.0.1:{server.server_address[1]}"
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield aws
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


def _handler(aws: Aws) -> type[BaseHTTPRequestHandler]:
    engine = urlsplit(aws.engine).netloc

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_POST(self) -> None:
            raw = self.rfile.read(int(self.headers["content-length"]))
            target = self.headers["x-amz-target"]
            signed_by = _CREDENTIAL.search(self.headers.get("authorization", ""))
            body = json.loads(raw)
            if not aws.note(signed_by[1] if signed_by else "", aws.needed(target, body)):
                denied = {"__type": "com.amazon.coral.service#AccessDeniedException", "Message": "not authorized"}
                self.reply(400, json.dumps(denied).encode())
            elif target.startswith("DynamoDB"):
                self.forward(raw)
            else:
                status, answer = aws.answer(target, body)
                self.reply(status, json.dumps(answer).encode())

        def forward(self, raw: bytes) -> None:
            connection = http.client.HTTPConnection(engine, timeout=10)
            headers = {name: value for name, value in self.headers.items() if name.lower() not in {"host", "expect"}}
            try:
                connection.request("POST", "/", raw, headers)
                response = connection.getresponse()
                self.reply(response.status, response.read(), response.headers.get("x-amz-crc32"))
            finally:
                connection.close()

        def reply(self, status: int, payload: bytes, checksum: str | None = None) -> None:
            self.send_response(status)
            self.send_header("content-type", "application/x-amz-json-1.0")
            self.send_header("content-length", str(len(payload)))
            if checksum is not None:
                self.send_header("x-amz-crc32", checksum)
            self.end_headers()
            self.wfile.write(payload)

        def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - the server's name for it
            """Say nothing."""

    return Handler
