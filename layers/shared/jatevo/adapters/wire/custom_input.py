"""
The input of a custom tool out of a function call's arguments, as it streams.

Upstreams that know only functions are offered a custom tool as a function of one string, `input`. Its arguments come
as pieces of `{"input": "…"}`; what stands between the quotes is decoded as far as it has come. Arguments of any other
form are the input as they are.
"""

import json
import re

MEMBER = "input"

_BEGIN = re.compile(r'\s*\{\s*"input"\s*:\s*"')
_MAY_BEGIN = re.compile(r'\s*(\{\s*("(i(n(p(u(t("\s*(:\s*"?)?)?)?)?)?)?)?)?)?')
_LONGEST_BEGIN = 256
_HIGH, _LOW = r"\\u[dD][89abAB][0-9a-fA-F]{2}", r"\\u[dD][c-fC-F][0-9a-fA-F]{2}"
_DECODABLE = re.compile(
    rf'(?:[^"\\]+|\\["\\/bfnrt]|{_HIGH}{_LOW}|{_HIGH}(?=[^\\]|\\[^u]|\\u(?:[^dD]|[dD][^c-fC-F]))|\\u(?![dD][89abAB])[0-9a-fA-F]{{4}})*'
)
"""As much of a string literal as can be decoded for itself: no half escape, no half pair of surrogates."""


class CustomInput:
    """Decodes the pieces of one call's arguments."""

    def __init__(self) -> None:
        self._waiting = ""
        self._inside = False
        self._raw = False
        self._ended = False

    def feed(self, piece: str) -> str:
        """Take a piece of arguments and return the piece of input that it makes known."""
        if self._ended:
            return ""
        self._waiting += piece
        if not self._inside and not self._raw:
            begin = _BEGIN.match(self._waiting)
            if begin is not None:
                self._inside, self._waiting = True, self._waiting[begin.end() :]
            elif len(self._waiting) > _LONGEST_BEGIN or _MAY_BEGIN.fullmatch(self._waiting) is None:
                self._raw = True
        return self._decoded() if self._inside else self._everything() if self._raw else ""

    def rest(self) -> str:
        """Return what is left when nothing more comes: what was cut off within an escape is dropped."""
        return "" if self._inside else self._everything()

    def _everything(self) -> str:
        text, self._waiting = self._waiting, ""
        return text

    def _decoded(self) -> str:
        ready = _DECODABLE.match(self._waiting)
        assert ready is not None  # it matches nothing at all, too
        self._waiting = self._waiting[ready.end() :]
        self._ended = self._waiting.startswith('"')
        text: str = json.loads(f'"{ready[0]}"', strict=False)
        return text
