"""
Tables and their indexes: where items stand, in which order they are read, and what an index shows of them.

An index follows its table at once, or when it is told to catch up. Keys are unique and of the types that the table
says; an item without an index's keys is not in that index.
"""

from bisect import bisect_left, insort
from collections import deque
from collections.abc import Iterator, Mapping, Sequence
from typing import Any
from zlib import crc32

from jatevo_testing.engine_model.errors import Invalid
from jatevo_testing.engine_model.values import MOST_ITEM_BYTES, Item, Value, bytes_of, comparable, kind

type Place = tuple[Any, Any]
"""Partition and sort key of an item, as they are ordered; of a table without sort keys the second is None."""


class Keys:
    """The one or two attributes that a table or index is keyed by, and their types."""

    def __init__(self, schema: Sequence[Mapping[str, str]], types: Mapping[str, str]) -> None:
        names = {part["KeyType"]: part["AttributeName"] for part in schema}
        self.hash = names["HASH"]
        self.range: str | None = names.get("RANGE")
        self.names = [self.hash] if self.range is None else [self.hash, self.range]
        self.types = {name: types[name] for name in self.names}

    def place(self, item: Item) -> Place:
        """Return where an item stands."""
        return comparable(item[self.hash]), None if self.range is None else comparable(item[self.range])

    def there(self, item: Item) -> bool:
        return all(name in item for name in self.names)

    def of(self, item: Item) -> dict[str, Value]:
        return {name: item[name] for name in self.names}

    def check(self, item: Item) -> None:
        """Raise Invalid unless the keys that an item has are of the right type, and not empty."""
        for name, wanted in self.types.items():
            value = item.get(name)
            if value is not None and (kind(value) != wanted or value[wanted] in {"", b""}):
                raise Invalid(f"The provided key element does not match the schema: {name}")


class Rows:
    """Items by partition, in the order of their sort keys."""

    def __init__(self) -> None:
        self._partitions: dict[Any, list[tuple[Any, ...]]] = {}
        self._items: dict[tuple[Any, ...], Item] = {}

    def get(self, place: tuple[Any, ...]) -> Item | None:
        return self._items.get(place)

    def put(self, place: tuple[Any, ...], item: Item) -> None:
        if place not in self._items:
            insort(self._partitions.setdefault(place[0], []), place[1:])
        self._items[place] = item

    def delete(self, place: tuple[Any, ...]) -> None:
        if self._items.pop(place, None) is not None:
            partition = self._partitions[place[0]]
            del partition[bisect_left(partition, place[1:])]
            if not partition:
                del self._partitions[place[0]]

    def partition(self, key: Any) -> list[tuple[Any, ...]]:
        """Return the places of a partition, in order."""
        return [(key, *rest) for rest in self._partitions.get(key, ())]

    def places(self) -> Iterator[tuple[Any, ...]]:
        """Yield all places, in the order of a scan: partitions as if by their hash."""
        for key in sorted(self._partitions, key=lambda key: (crc32(repr(key).encode()), repr(key))):
            yield from self.partition(key)

    def __len__(self) -> int:
        return len(self._items)


class Index:
    """A global secondary index: what its table was, at some moment of late."""

    def __init__(self, definition: Mapping[str, Any], types: Mapping[str, str], table: Keys) -> None:
        self.keys = Keys(definition["KeySchema"], types)
        self.rows = Rows()
        self._table = table
        self._shown: frozenset[str] | None = None
        if definition["Projection"]["ProjectionType"] == "KEYS_ONLY":
            self._shown = frozenset([*table.names, *self.keys.names])

    def follow(self, before: Item | None, after: Item | None) -> None:
        """Take in one write."""
        if before is not None and self.keys.there(before):
            self.rows.delete(self._place(before))
        if after is not None and self.keys.there(after):
            self.rows.put(self._place(after), self.shown(after))

    def shown(self, item: Item) -> Item:
        if self._shown is None:
            return item
        return {name: value for name, value in item.items() if name in self._shown}

    def _place(self, item: Item) -> tuple[Any, ...]:
        return (*self.keys.place(item), *self._table.place(item))


class Table:
    """A table with its indexes. `lags`: indexes wait for `catch_up`."""

    def __init__(self, definition: Mapping[str, Any]) -> None:
        types = {part["AttributeName"]: part["AttributeType"] for part in definition["AttributeDefinitions"]}
        self.name: str = definition["TableName"]
        self.keys = Keys(definition["KeySchema"], types)
        self.key_names = frozenset(self.keys.names)
        self.rows = Rows()
        self.indexes = {
            one["IndexName"]: Index(one, types, self.keys) for one in definition.get("GlobalSecondaryIndexes", ())
        }
        self.lags = False
        self._behind: deque[tuple[Item | None, Item | None]] = deque()

    def place(self, key: Item) -> Place:
        """Return where a key leads. Raises Invalid unless it is one of this table."""
        if key.keys() != self.key_names:
            raise Invalid("The provided key element does not match the schema")
        self.keys.check(key)
        return self.keys.place(key)

    def check(self, item: Item) -> None:
        """Raise Invalid unless an item can be stored."""
        if not self.keys.there(item):
            raise Invalid("One or more parameter values were invalid: Missing the key")
        self.keys.check(item)
        for index in self.indexes.values():
            index.keys.check(item)
        if bytes_of(item) > MOST_ITEM_BYTES:
            raise Invalid("Item size has exceeded the maximum allowed size")

    def write(self, place: Place, item: Item | None) -> None:
        """Store an item, or remove one."""
        before = self.rows.get(place)
        if item is None:
            self.rows.delete(place)
        else:
            self.rows.put(place, item)
        if self.indexes:
            self._behind.append((before, item))
            if not self.lags:
                self.catch_up()

    def catch_up(self, most: int | None = None) -> None:
        """Let the indexes take in what was written, or the first of it."""
        for _ in range(len(self._behind) if most is None else min(most, len(self._behind))):
            before, after = self._behind.popleft()
            for index in self.indexes.values():
                index.follow(before, after)

    @property
    def behind(self) -> int:
        """How many writes the indexes have not taken in."""
        return len(self._behind)
