"""JSON as answers and events carry it: in UTF-8 and without blanks."""

import json
from typing import Any

_write = json.JSONEncoder(ensure_ascii=False, separators=(",", ":")).encode


def json_bytes(value: Any) -> bytes:
    """Return a value as JSON; half a surrogate pair, which has no UTF-8, becomes a question mark."""
    return _write(value).encode("utf-8", "replace")
