"""Log probabilities of output text, as the schema has them, whatever an upstream says of them."""

from collections.abc import Mapping
from typing import Any


def shown_logprobs(entries: Any) -> list[dict[str, Any]]:
    """Return log probabilities of tokens, chat's or a response's, with the members that the schema requires."""
    return [
        {**_token(entry), "top_logprobs": [_token(other) for other in _tokens(entry.get("top_logprobs"))]}
        for entry in _tokens(entries)
    ]


def _tokens(value: Any) -> list[Mapping[str, Any]]:
    entries = value if isinstance(value, list) else []
    return [entry for entry in entries if isinstance(entry, Mapping) and _is_token(entry)]


def _is_token(entry: Mapping[str, Any]) -> bool:
    return isinstance(entry.get("token"), str) and isinstance(entry.get("logprob"), int | float)


def _token(entry: Mapping[str, Any]) -> dict[str, Any]:
    given = entry.get("bytes")
    spelled = given if isinstance(given, list) and all(isinstance(byte, int) for byte in given) else []
    return {"token": entry["token"], "logprob": entry["logprob"], "bytes": spelled}
