"""
Writes docs/api/openapi.json: every public route, from the apps themselves; the inference routes, which are bare ASGI,
from the table below. A test holds the file to this.
"""

import json
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from fastapi import FastAPI
from fastapi.openapi.utils import get_openapi

from jatevo.bootstrap import Gateway, Settings
from jatevo_account.handler import create_app as account_app
from jatevo_admin.handler import create_app as admin_app
from jatevo_local.engine import AWS_ENVIRONMENT, PROJECT

FILE = PROJECT / "docs" / "api" / "openapi.json"
_TOKEN = "x" * 32
_INFERENCE: Mapping[str, tuple[str, str, str]] = {
    "/v1/chat/completions": ("chat", "OpenAI's chat completions, streamed and not", "docs/clients.md"),
    "/v1/responses": ("responses", "OpenAI's Responses, stateful, streamed and not", "docs/responses.md"),
    "/v1/responses/compact": ("responses", "A history in fewer items", "docs/responses.md"),
    "/v1/responses/input_tokens": ("responses", "How many tokens an input comes to; free", "docs/responses.md"),
    "/v1/messages": ("messages", "Anthropic's Messages, streamed and not", "docs/messages.md"),
    "/v1/messages/count_tokens": ("messages", "How many tokens an input comes to; free", "docs/messages.md"),
    "/backend-api/codex/responses": ("responses", "Responses, as the Codex CLI asks for them", "docs/clients.md"),
    "/backend-api/codex/responses/compact": ("responses", "The same for compacting", "docs/clients.md"),
    "/playground/v1/chat/completions": ("chat", "Chat completions for visitors and sessions", "docs/operations.md"),
}
_HELLO = [{"role": "user", "content": "Say hello."}]
_MESSAGES = {"type": "array", "items": {"type": "object"}}
_COMMON = {
    "model": {"type": "string", "description": "An id of `GET /v1/models`, `lane/id`, or `auto`"},
    "stream": {"type": "boolean"},
    "temperature": {"type": "number"},
    "tools": {"type": "array", "items": {"type": "object"}},
}
_BODIES: Mapping[str, Mapping[str, Any]] = {
    "chat": {
        "required": ["model", "messages"],
        "properties": {**_COMMON, "messages": _MESSAGES, "max_tokens": {"type": "integer"}, "n": {"type": "integer"}},
        "example": {"model": "smollm2", "messages": _HELLO, "max_tokens": 8},
    },
    "responses": {
        "required": ["model"],
        "properties": {
            **_COMMON,
            "input": {"anyOf": [{"type": "string"}, {"type": "array", "items": {"type": "object"}}]},
            "instructions": {"type": "string"},
            "max_output_tokens": {"type": "integer"},
            "previous_response_id": {"type": "string"},
            "store": {"type": "boolean"},
        },
        "example": {"model": "smollm2", "input": "Say hello.", "max_output_tokens": 16},
    },
    "messages": {
        "required": ["model", "messages", "max_tokens"],
        "properties": {**_COMMON, "messages": _MESSAGES, "max_tokens": {"type": "integer"}, "system": {}},
        "example": {"model": "smollm2", "messages": _HELLO, "max_tokens": 8},
    },
}
"""The fields that most requests have; what else there is, the guides say."""
_STATUSES = {
    "200": "The answer; `text/event-stream` where `stream` is true",
    "400": "The body is invalid, or asks for what the route cannot honour; `param` says where",
    "401": "No key, or none that is known",
    "403": "The key is disabled, or the model is not allowed for it",
    "404": "The model is unknown",
    "413": "The body is too large",
    "429": "A limit is reached: `code` says which, `Retry-After` when to try again",
    "502": "The model's server refused or broke",
    "503": "No model server is available, or the service is paused",
    "504": "The model's server did not answer in time",
}
_ERROR = {
    "type": "object",
    "required": ["error"],
    "properties": {
        "error": {
            "type": "object",
            "required": ["message", "type", "param", "code"],
            "properties": {
                "message": {"type": "string"},
                "type": {"type": "string"},
                "param": {"type": ["string", "null"]},
                "code": {"type": ["string", "null"]},
            },
        }
    },
}


def reference() -> dict[str, Any]:
    """Return the description of every public route."""
    gateway = Gateway(Settings(operator_token=_TOKEN), AWS_ENVIRONMENT)
    try:
        apps = {"account": account_app(gateway), "admin": admin_app(gateway)}
        described = {name: _described(app) for name, app in apps.items()}
    finally:
        gateway.close()
    paths: dict[str, Any] = {path: {"post": _inference(path)} for path in _INFERENCE}
    schemas: dict[str, Any] = {"Error": _ERROR}
    for name, one in described.items():
        for path, item in one["paths"].items():
            for operation in item.values():
                operation["tags"] = [name]
                operation["security"] = [{"bearer": []}]
            paths.setdefault(path, {}).update(item)
        schemas |= one.get("components", {}).get("schemas", {})
    return {
        "openapi": "3.1.0",
        "info": {
            "title": "Jatevo Gateway",
            "version": "0.1.0",
            "description": "Bodies of answers are described in docs/; errors have one shape, `Error`.",
        },
        "paths": dict(sorted(paths.items())),
        "components": {
            "schemas": dict(sorted(schemas.items())),
            "securitySchemes": {"bearer": {"type": "http", "scheme": "bearer"}},
        },
    }


def _described(app: FastAPI) -> dict[str, Any]:
    return get_openapi(title="x", version="0", routes=app.routes)


def _inference(path: str) -> dict[str, Any]:
    tag, summary, guide = _INFERENCE[path]
    schema = {"type": "object", "additionalProperties": True, **_BODIES[tag]}
    example = schema.pop("example")
    error = {"content": {"application/json": {"schema": {"$ref": "#/components/schemas/Error"}}}}
    return {
        "tags": [tag],
        "summary": summary,
        "description": f"Fields: see {guide}.",
        "security": [{"bearer": []}],
        "requestBody": {
            "required": True,
            "content": {"application/json": {"schema": schema, "example": example}},
        },
        "responses": {
            status: {"description": text, **({} if status == "200" else error)} for status, text in _STATUSES.items()
        },
    }


def written() -> str:
    """Return what belongs in the file."""
    return json.dumps(reference(), indent=1, ensure_ascii=False, sort_keys=True) + "\n"


def main(file: Path = FILE) -> int:
    file.write_text(written())
    print(f"{file.relative_to(PROJECT)}: {len(reference()['paths'])} paths")
    return 0


if __name__ == "__main__":
    sys.exit(main())
