"""JSON without blanks, every character as it is: what answers and events carry, and what is measured and kept."""

import json

json_text = json.JSONEncoder(ensure_ascii=False, separators=(",", ":")).encode


def json_bytes(value: object) -> bytes:
    """Return a value as JSON in UTF-8; half a surrogate pair, which has none, becomes a question mark."""
    return json_text(value).encode("utf-8", "replace")
