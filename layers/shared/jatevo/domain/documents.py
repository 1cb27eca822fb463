"""
Reading a document that a person wrote: every problem is collected with its place, none hides another.

A `Table` wraps one table of the document. Its methods return the value of a field, or, after noting a problem, a
placeholder of the right type; whoever reads checks `problems` at the end and throws the placeholders away.
"""

import difflib
import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

_SHOWN = 60

ID = re.compile(r"[A-Za-z0-9._:-]{1,64}", re.ASCII)
ID_MEANING = "1 to 64 letters, digits or . _ : - (the / is reserved for lanes)"
FIELD = re.compile(r"[A-Za-z_][A-Za-z0-9_]{0,63}", re.ASCII)


@dataclass(frozen=True, slots=True)
class Table:
    """One table of a document. `place` is how a person finds it: `models[2].price`."""

    values: Mapping[str, Any]
    place: str
    problems: list[str]

    def at(self, name: str) -> str:
        """Return the place of a field."""
        return f"{self.place}.{name}" if self.place else name

    def problem(self, name: str, text: str) -> None:
        """Note what is wrong with a field."""
        self.problems.append(f"{self.at(name)}: {text}")

    def has(self, name: str) -> bool:
        return name in self.values

    def only(self, known: frozenset[str]) -> None:
        """Note every field that is not one of `known`."""
        for name in self.values:
            if name not in known:
                near = difflib.get_close_matches(name, sorted(known), n=1)
                hint = f"did you mean {near[0]}?" if near else f"known fields: {', '.join(sorted(known))}"
                self.problem(name, f"unknown field; {hint}")

    def required(self, name: str) -> bool:
        """Return whether a field is there, noting it as missing when it is not."""
        if name not in self.values:
            self.problem(name, "missing")
        return name in self.values

    def integer(self, name: str, low: int, high: int) -> int:
        """Return a whole number from `low` to `high`; `low` after a problem."""
        if not self.required(name):
            return low
        value = self.values[name]
        if isinstance(value, bool) or not isinstance(value, int):
            self.problem(name, f"must be a whole number, not {shown(value)}")
        elif not low <= value <= high:
            self.problem(name, f"must be from {low:,} to {high:,}, not {shown(value)}")
        else:
            return value
        return low

    def optional_integer(self, name: str, low: int, high: int, default: int) -> int:
        """Return a whole number that may be left out."""
        return self.integer(name, low, high) if self.has(name) else default

    def flag(self, name: str, *, default: bool = False) -> bool:
        """Return a truth value that may be left out; `default` then, and after a problem."""
        value = self.values.get(name, default)
        if not isinstance(value, bool):
            self.problem(name, f"must be true or false, not {shown(value)}")
            return default
        return value

    def one_of(self, name: str, allowed: tuple[str, ...]) -> str:
        """Return a field that has one of the `allowed` values; the first of them is the default."""
        value = self.values.get(name, allowed[0])
        if value in allowed:
            return str(value)
        self.problem(name, f"must be one of: {', '.join(allowed)}")
        return allowed[0]

    def members(self, name: str, known: tuple[str, ...], unknown: str, *, at_least: int = 1) -> tuple[str, ...]:
        """Return a list of some of the `known` words; what is not one of them is `unknown`."""
        given = self.texts(name, FIELD, "a word", len(known))
        for word in given:
            if word not in known:
                self.problem(name, f'"{word}" {unknown}; known: {", ".join(known)}')
        if at_least and self.values[name] == []:
            self.problem(name, f"must name at least one of: {', '.join(known)}")
        return given

    def mapping(
        self, name: str, key: re.Pattern[str], value: re.Pattern[str], meaning: str, most: int
    ) -> dict[str, str]:
        """Return a table of strings to strings, of the given forms."""
        given = self.values.get(name, {})
        if not isinstance(given, Mapping) or len(given) > most:
            self.problem(name, f"must be a table of at most {most} entries")
            return {}
        read = {}
        for left, right in given.items():
            if not (key.fullmatch(left) and isinstance(right, str) and value.fullmatch(right)):
                self.problem(f"{name}.{left[:_SHOWN]}", f"must be {meaning}")
            else:
                read[left] = right
        return read

    def text(self, name: str, form: re.Pattern[str], meaning: str, *, secret: bool = False) -> str:
        """Return a string of the given form, described by `meaning`. What is `secret` is not repeated in a problem."""
        if not self.required(name):
            return ""
        value = self.values[name]
        if isinstance(value, str) and form.fullmatch(value):
            return value
        self.problem(name, f"must be {meaning}" + ("" if secret else f", not {shown(value)}"))
        return ""

    def texts(self, name: str, form: re.Pattern[str], meaning: str, most: int) -> tuple[str, ...]:
        """Return a list of at most `most` strings of the given form."""
        value = self.values.get(name, [])
        if not isinstance(value, list):
            self.problem(name, f"must be a list of strings, not {shown(value)}")
            return ()
        if len(value) > most:
            self.problem(name, f"has {len(value)} entries; at most {most} are allowed")
            return ()
        for place, entry in enumerate(value):
            if not (isinstance(entry, str) and form.fullmatch(entry)):
                self.problem(f"{name}[{place}]", f"must be {meaning}, not {shown(entry)}")
        return tuple(entry for entry in value if isinstance(entry, str))

    def parsed[T](self, name: str, parse: Callable[[str], T], default: T) -> T:
        """Return a string field as `parse` reads it; `default` after a problem, which is its ValueError's text."""
        if not self.required(name):
            return default
        value = self.values[name]
        if not isinstance(value, str):
            hint = f'write it as a string: {name} = "{value}"' if isinstance(value, int) else _EXACT.format(name=name)
            self.problem(name, hint)
            return default
        try:
            return parse(value)
        except ValueError as error:
            self.problem(name, str(error))
            return default

    def table(self, name: str, known: frozenset[str]) -> "Table":
        """Return a table within this one; it is empty after a problem."""
        value = self.values.get(name, {})
        if not isinstance(value, Mapping):
            self.problem(name, f"must be a table, not {shown(value)}")
            value = {}
        inner = Table(value, self.at(name), self.problems)
        inner.only(known)
        return inner

    def tables(self, name: str, known: frozenset[str], most: int) -> Iterator["Table"]:
        """Yield the tables of a list."""
        value = self.values.get(name, [])
        if not isinstance(value, list):
            self.problem(name, f"must be a list of tables, not {shown(value)}")
            return
        if len(value) > most:
            self.problem(name, f"has {len(value)} entries; at most {most} are allowed")
            return
        for place, entry in enumerate(value):
            if not isinstance(entry, Mapping):
                self.problem(f"{name}[{place}]", f"must be a table, not {shown(entry)}")
                continue
            inner = Table(entry, f"{self.at(name)}[{place}]", self.problems)
            inner.only(known)
            yield inner


_EXACT = 'write it as an exact decimal string in quotes, such as {name} = "0.15": other numbers may be rounded'


def shown(value: object) -> str:
    """Return a value as it may stand in a message: its JSON-like form, cut when long."""
    if isinstance(value, Mapping):
        return "a table"
    if isinstance(value, list):
        return "a list"
    text = f'"{value}"' if isinstance(value, str) else str(value)
    return text if len(text) <= _SHOWN else text[:_SHOWN] + "…"
