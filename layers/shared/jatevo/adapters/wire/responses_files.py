"""
Files that a client sends by content: what is text is read, and shown to the model as text.

So a text file costs what its text costs and needs no upstream that takes files. Everything else (PDF, images in
documents, archives) stays a file, which only models that are sold with one take.
"""

import base64
import binascii
from collections.abc import Mapping
from typing import Any

_TEXT_TYPES = frozenset(
    {
        "application/javascript",
        "application/json",
        "application/sql",
        "application/toml",
        "application/x-sh",
        "application/x-yaml",
        "application/xml",
        "application/yaml",
    }
)


def is_text_file(part: Mapping[str, Any]) -> bool:
    """Return whether a content part is a file that can be shown as text."""
    return part.get("type") == "input_file" and _text_of(part.get("file_data")) is not None


def as_text(part: Mapping[str, Any]) -> str | None:
    """Return what a model sees of a text file: its name, and all of it. None for any other file."""
    text = _text_of(part["file_data"])
    return None if text is None else f'<file name="{part.get("filename") or "file"}">\n{text}\n</file>'


def _text_of(data_url: Any) -> str | None:
    if not isinstance(data_url, str):
        return None
    head, comma, data = data_url.partition(",")
    media, *parameters = head.removeprefix("data:").lower().split(";")
    is_text = media.startswith("text/") or media in _TEXT_TYPES or media.endswith(("+json", "+xml"))
    if not comma or not head.startswith("data:") or not is_text or "base64" not in parameters:
        return None
    try:
        return base64.b64decode(data, validate=True).decode("utf-8")
    except (binascii.Error, ValueError):
        return None
