"""
JSON documents as compressed bytes: what stored responses and conversations are kept as.

zlib, because every function has it. Text comes to about a third of its size. What is unpacked was packed here, so its
size is bounded by what was accepted then.
"""

import json
import zlib
from typing import Any

from jatevo.adapters.json_text import json_text

_LEVEL = 6


def packed(document: Any) -> bytes:
    """Return a document as bytes."""
    text = json_text(document)
    return zlib.compress(text.encode("utf-8", "surrogatepass"), _LEVEL)


def unpacked(data: bytes) -> Any:
    """Return the document that `packed` made these bytes of."""
    return json.loads(zlib.decompress(data).decode("utf-8", "surrogatepass"))
