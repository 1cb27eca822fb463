"""
DynamoDB's expressions, read into trees: conditions, updates, projections.

Every text is read once. Names and values stay placeholders in the tree, so that one tree serves all requests with
that text. Source: the developer guide, *Condition and filter expressions*, *Update expressions*.
"""

import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass, fields, is_dataclass
from functools import cache, partial

from jatevo_testing.engine_model.errors import Invalid

_TOKEN = re.compile(r"\s*(?:([#:]?[A-Za-z_][A-Za-z0-9_]*|[#:][0-9][A-Za-z0-9_]*)|(\d+)|(<>|<=|>=|[=<>(),.+\-\[\]]))")
_COMPARATORS = frozenset({"=", "<>", "<", "<=", ">", ">="})
PREDICATES = frozenset({"attribute_exists", "attribute_not_exists", "attribute_type", "begins_with", "contains"})
_VERBS = frozenset({"SET", "REMOVE", "ADD", "DELETE"})


@dataclass(frozen=True, slots=True)
class Path:
    """Names and places from the top of an item down."""

    parts: tuple[str | int, ...]


@dataclass(frozen=True, slots=True)
class Given:
    """A value of the request."""

    name: str


@dataclass(frozen=True, slots=True)
class Call:
    """A function of something."""

    name: str
    arguments: tuple["Tree", ...]


@dataclass(frozen=True, slots=True)
class Compare:
    sign: str
    left: "Tree"
    right: "Tree"


@dataclass(frozen=True, slots=True)
class Between:
    what: "Tree"
    low: "Tree"
    high: "Tree"


@dataclass(frozen=True, slots=True)
class Among:
    what: "Tree"
    options: tuple["Tree", ...]


@dataclass(frozen=True, slots=True)
class Both:
    left: "Tree"
    right: "Tree"


@dataclass(frozen=True, slots=True)
class Either:
    left: "Tree"
    right: "Tree"


@dataclass(frozen=True, slots=True)
class Negated:
    what: "Tree"


@dataclass(frozen=True, slots=True)
class Sum:
    """`left` and, by its sign, `right`."""

    sign: int
    left: "Tree"
    right: "Tree"


type Tree = Path | Given | Call | Compare | Between | Among | Both | Either | Negated | Sum


@dataclass(frozen=True, slots=True)
class Update:
    """What an update expression does: verb, where, and with what."""

    actions: tuple[tuple[str, Path, Tree | None], ...]


@cache
def condition(text: str) -> Tree:
    """Return a condition, filter or key condition. Raises Invalid."""
    return _whole(text, _Reader.either)


@cache
def update(text: str) -> Update:
    """Return an update. Raises Invalid."""
    return _whole(text, _Reader.update)


@cache
def projection(text: str) -> tuple[Path, ...]:
    """Return the paths of a projection. Raises Invalid."""
    return _whole(text, lambda reader: tuple(reader.listed(reader.path)))


@cache
def placeholders(text: str) -> frozenset[str]:
    """Return the placeholders that a text uses."""
    return frozenset(re.findall(r"[#:]\w+", text))


def walk(tree: object) -> Iterator[object]:
    """Yield a tree and all that is in it."""
    yield tree
    if isinstance(tree, tuple):
        for one in tree:
            yield from walk(one)
    elif is_dataclass(tree):
        for field in fields(tree):
            yield from walk(getattr(tree, field.name))


def _whole[T](text: str, read: "Callable[[_Reader], T]") -> T:
    reader = _Reader(text)
    found = read(reader)
    if reader.next is not None:
        raise Invalid(f"Syntax error; token: {reader.next!r}")
    return found


def _tokens(text: str) -> list[str]:
    found, at, text = [], 0, text.rstrip()
    while at < len(text):
        match = _TOKEN.match(text, at)
        if match is None:
            raise Invalid(f"Syntax error; near: {text[at : at + 20]!r}")
        found.append(match.group().strip())
        at = match.end()
    if not found:
        raise Invalid("The expression can not be empty")
    return found


class _Reader:
    """Reads one text from left to right."""

    def __init__(self, text: str) -> None:
        self._tokens = _tokens(text)
        self._at = 0

    @property
    def next(self) -> str | None:
        return self._tokens[self._at] if self._at < len(self._tokens) else None

    @property
    def _word(self) -> str:
        return (self.next or "").upper()

    def either(self) -> Tree:
        found = self._both()
        while self._took_word("OR"):
            found = Either(found, self._both())
        return found

    def update(self) -> Update:
        actions: list[tuple[str, Path, Tree | None]] = []
        seen = set[str]()
        while self._word in _VERBS and self._word not in seen:
            verb = self._word
            seen.add(verb)
            self._take()
            actions += [(verb, where, what) for where, what in self.listed(partial(self._action, verb))]
        return Update(tuple(actions))

    def listed[T](self, read: Callable[[], T]) -> list[T]:
        found = [read()]
        while self.next == ",":
            self._take()
            found.append(read())
        return found

    def path(self) -> Path:
        parts: list[str | int] = [self._name()]
        while self.next in {".", "["}:
            if self._take() == ".":
                parts.append(self._name())
            else:
                parts.append(int(self._take()))
                self._expect("]")
        return Path(tuple(parts))

    def _action(self, verb: str) -> tuple[Path, Tree | None]:
        where = self.path()
        if verb == "REMOVE":
            return where, None
        if verb == "SET":
            self._expect("=")
            return where, self._sum()
        return where, self._operand()

    def _sum(self) -> Tree:
        left = self._operand()
        if self.next not in {"+", "-"}:
            return left
        sign = 1 if self._take() == "+" else -1
        return Sum(sign, left, self._operand())

    def _both(self) -> Tree:
        found = self._maybe_not()
        while self._took_word("AND"):
            found = Both(found, self._maybe_not())
        return found

    def _maybe_not(self) -> Tree:
        return Negated(self._maybe_not()) if self._took_word("NOT") else self._predicate()

    def _predicate(self) -> Tree:
        if self.next == "(":
            self._take()
            found = self.either()
            self._expect(")")
            return found
        left = self._operand()
        if isinstance(left, Call) and left.name in PREDICATES:
            return left
        if self._took_word("BETWEEN"):
            low = self._operand()
            if not self._took_word("AND"):
                raise Invalid("Syntax error; BETWEEN without AND")
            return Between(left, low, self._operand())
        if self._took_word("IN"):
            self._expect("(")
            options = self.listed(self._operand)
            self._expect(")")
            return Among(left, tuple(options))
        if self.next not in _COMPARATORS:
            raise Invalid(f"Syntax error; token: {self.next!r}")
        return Compare(self._take(), left, self._operand())

    def _operand(self) -> Tree:
        token = self.next or ""
        if token.startswith(":"):
            return Given(self._take())
        if self._tokens[self._at + 1 : self._at + 2] == ["("]:
            return self._call()
        return self.path()

    def _call(self) -> Call:
        name = self._take()
        self._expect("(")
        arguments = self.listed(self._operand)
        self._expect(")")
        return Call(name, tuple(arguments))

    def _name(self) -> str:
        token = self._take()
        if not re.match(r"[#A-Za-z_]", token):
            raise Invalid(f"Syntax error; token: {token!r}")
        return token

    def _took_word(self, word: str) -> bool:
        took = self._word == word
        self._at += took
        return took

    def _expect(self, token: str) -> None:
        if self._take() != token:
            raise Invalid(f"Syntax error; expected {token!r}")

    def _take(self) -> str:
        token = self.next
        if token is None:
            raise Invalid("Syntax error; the expression ends too early")
        self._at += 1
        return token
