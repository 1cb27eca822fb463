"""
The response object: every field the published schema has, whoever answered.

Guarantees: its id, times, model and usage are the gateway's; what it repeats of the request is what the upstream was
really given; the usage shown is the usage charged, with `cost_usd`.
"""

from collections.abc import Mapping, Sequence
from typing import Any

from jatevo.application.exchange import InferenceRequest
from jatevo.domain.ids import reserved_at_ms, response_id
from jatevo.domain.ledger import LedgerEntry
from jatevo.domain.money import format_usd
from jatevo.domain.refusals import Refusal

_DEFAULTS: dict[str, Any] = {
    "background": False,
    "error": None,
    "incomplete_details": None,
    "instructions": None,
    "max_output_tokens": None,
    "max_tool_calls": None,
    "metadata": {},
    "parallel_tool_calls": True,
    "previous_response_id": None,
    "prompt_cache_key": None,
    "safety_identifier": None,
    "service_tier": "default",
    "temperature": 1.0,
    "tool_choice": "auto",
    "tools": [],
    "top_logprobs": 0,
    "top_p": 1.0,
    "truncation": "disabled",
    "user": None,
}
"""What the API says of fields that a request leaves out."""
_SENT_ONLY = frozenset({"include", "input", "reasoning", "text"})


class ResponseObject:
    """The response to one request, at each point of its life."""

    def __init__(self, request: InferenceRequest, reservation_id: str, tools: Sequence[Mapping[str, Any]]) -> None:
        """`tools` are those the upstream is offered."""
        given = {name: value for name, value in request.body.items() if name not in _SENT_ONLY}
        created_at = reserved_at_ms(reservation_id) // 1000
        self.id = response_id(reservation_id)
        self._fields: dict[str, Any] = {
            "id": self.id,
            "object": "response",
            "created_at": created_at,
            "status": "in_progress",
            "completed_at": None,
            **_DEFAULTS,
            **{name: given[name] for name in _DEFAULTS.keys() & given.keys()},
            "model": request.model,
            "output": [],
            "reasoning": {"effort": None, "summary": None, **_members(request.body.get("reasoning"))},
            "text": {"format": {"type": "text"}, "verbosity": "medium", **_members(request.body.get("text"))},
            "usage": None,
            **request.echo,
            "tools": [_shown_tool(tool) for tool in tools],
        }
        if not tools:
            self._fields["tool_choice"] = "auto" if self._fields["tool_choice"] != "none" else "none"

    def begun(self) -> dict[str, Any]:
        """Return the response before there is any output."""
        return self._fields

    def ended(self, entry: LedgerEntry, output: Sequence[Mapping[str, Any]], incomplete: str | None) -> dict[str, Any]:
        """Return the settled response; `incomplete` says why it is not whole."""
        return {
            **self._fields,
            "status": "completed" if incomplete is None else "incomplete",
            "completed_at": None if incomplete else entry.decided_at_ms // 1000,
            "incomplete_details": None if incomplete is None else {"reason": incomplete},
            "output": list(output),
            "usage": shown_usage(entry),
        }

    def failed(self, refusal: Refusal, message: str, output: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
        """
        Return the response of a stream that broke.

        The published error codes are few, so the gateway's own stands in `type`.
        """
        error = {"code": "server_error", "message": message, "type": refusal.code.value}
        return {**self._fields, "status": "failed", "error": error, "output": list(output), "store": False}

    def unkept(self) -> None:
        """Say that the response is not stored, though the client asked for it."""
        self._fields["store"] = False


def shown_usage(entry: LedgerEntry) -> dict[str, Any]:
    """Return the usage object of a response: the counts that were charged, and what its user pays."""
    usage = entry.usage
    return {
        "input_tokens": usage.input_tokens,
        "input_tokens_details": {
            "cached_tokens": usage.cache_read_input_tokens,
            "cache_write_tokens": usage.cache_creation_input_tokens,
        },
        "output_tokens": usage.output_tokens,
        "output_tokens_details": {"reasoning_tokens": usage.reasoning_output_tokens},
        "total_tokens": usage.total_tokens,
        "cost_usd": format_usd(entry.figures.resale_nano_usd),
    }


def _members(value: Any) -> dict[str, Any]:
    return {name: member for name, member in (value or {}).items() if member is not None}


def _shown_tool(tool: Mapping[str, Any]) -> dict[str, Any]:
    """Return a tool with the members that the schema requires."""
    return {"parameters": None, "strict": None, **tool} if tool["type"] == "function" else dict(tool)
