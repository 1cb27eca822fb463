"""
The catalogue: applied as a whole, as the version after the one it was compared with.

Applying is idempotent: a document that changes nothing makes no version. Versions are kept, because ledger entries
name the one they were priced by.
"""

import json
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from jatevo.application.administration.problems import NotThere, Refused
from jatevo.application.ports import Clock, Conflict
from jatevo.application.registry import CatalogueRecord, Registry
from jatevo.domain.catalogue_difference import document_difference
from jatevo.domain.catalogue_file import CatalogueError, catalogue_from_document

MAX_DOCUMENT_BYTES = 350_000
"""A version is one DynamoDB item, which holds 400 KB."""

_VARIABLE = re.compile(r"\$\{([^}]*)\}")
_UNKNOWN = "http://unknown.invalid"


@dataclass(frozen=True, slots=True)
class Applied:
    """What applying a document did, or would do: `version` is the one in force after it."""

    version: int
    changed: bool
    difference: list[str]


class Catalogues:
    """
    Administers the catalogue. `forget` drops what this process remembers of it.

    `variables` are names that a pool's URLs may use as `${NAME}`: addresses that only the gateway's own machine knows.
    """

    def __init__(
        self,
        registry: Registry,
        clock: Clock,
        *,
        forget: Callable[[], None],
        variables: Mapping[str, str] | None = None,
    ) -> None:
        self._registry = registry
        self._clock = clock
        self._forget = forget
        self._variables = variables or {}

    async def apply(self, document: Mapping[str, Any], operator: str, *, dry_run: bool = False) -> Applied:
        """
        Put a document in force and say what changed; with `dry_run`, only say what would.

        Raises CatalogueError for a document that is no catalogue, Refused when somebody else applied one meanwhile.
        """
        document = self._checked(document)
        latest = await self._registry.latest_catalogue()
        version = 0 if latest is None else latest.version
        difference = document_difference({} if latest is None else latest.document, document)
        if not difference or dry_run:
            return Applied(version, changed=False, difference=difference)
        record = CatalogueRecord(version + 1, document, self._clock.now_ms() // 1000, operator)
        try:
            await self._registry.add_catalogue(record)
        except Conflict as conflict:
            raise Refused(
                "Somebody else applied a catalogue at this moment. Look at the difference again."
            ) from conflict
        self._forget()
        return Applied(version + 1, changed=True, difference=difference)

    async def get(self, version: int | None = None) -> CatalogueRecord:
        """Return a version, by default the one in force. Raises NotThere."""
        record = await (self._registry.latest_catalogue() if version is None else self._registry.catalogue(version))
        if record is None:
            what = "No catalogue has been applied yet." if version is None else f"There is no version {version}."
            raise NotThere(what, param="version")
        return record

    async def unknown(self, models: frozenset[str] | None) -> list[str]:
        """Return which of these model ids the catalogue in force does not sell: perhaps not yet, perhaps a typo."""
        if not models:
            return []
        record = await self._registry.latest_catalogue()
        sold = set() if record is None else {model["id"] for model in record.document["models"]}
        return sorted(models - sold)

    def _checked(self, document: Mapping[str, Any]) -> Mapping[str, Any]:
        """Return a valid document with its variables in place. Raises CatalogueError."""
        document, problems = _expanded(document, self._variables)
        try:
            catalogue_from_document(document, version=0)
        except CatalogueError as error:
            problems += error.problems
        if not problems and len(json.dumps(document, ensure_ascii=False).encode()) > MAX_DOCUMENT_BYTES:
            problems.append(f"the catalogue is larger than {MAX_DOCUMENT_BYTES} bytes")
        if problems:
            raise CatalogueError(problems)
        return document


def _expanded(document: Mapping[str, Any], variables: Mapping[str, str]) -> tuple[Mapping[str, Any], list[str]]:
    """Return a document with `${NAME}` in its pools' URLs replaced, and the names that are not known."""
    problems: list[str] = []

    def expand(pool: Any, place: str) -> Any:
        if not isinstance(pool, Mapping):
            return pool
        urls: dict[str, str] = {}
        for field in ("base_url", "tokenize_url"):
            value = pool.get(field)
            if not isinstance(value, str):
                continue
            unknown = sorted(set(_VARIABLE.findall(value)) - variables.keys())
            problems.extend(f"{place}.{field}: ${{{name[:64]}}} is not set at this gateway" for name in unknown)
            urls[field] = _UNKNOWN if unknown else _VARIABLE.sub(lambda match: variables[match[1]], value)
        return {**pool, **urls}

    pools = document.get("pools")
    if not isinstance(pools, list):
        return document, problems
    return {**document, "pools": [expand(pool, f"pools[{place}]") for place, pool in enumerate(pools)]}, problems
