"""
The contracts of the demo chain and the tests, compiled from `local/contracts/*.vy` at their first use.

What was compiled is kept under `local/contracts/.build`, named by a hash of all sources: changed sources are compiled
anew, and processes that start at the same time do no harm to each other.
"""

import hashlib
import json
import os
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

from jatevo_local.engine import PROJECT
from jatevo_local.errors import StackError

SOURCES = PROJECT / "local" / "contracts"
_BUILD = SOURCES / ".build"


@dataclass(frozen=True, slots=True)
class Contract:
    """A compiled contract. `creation` is its creation code as hexadecimal text with 0x."""

    abi: tuple[Mapping[str, Any], ...]
    creation: str

    def inputs(self, function: str) -> list[str]:
        """Return the types that a function takes; of the constructor for ""."""
        return _types(self._entry(function).get("inputs", []))

    def outputs(self, function: str) -> list[str]:
        """Return the types that a function returns."""
        return _types(self._entry(function)["outputs"])

    def _entry(self, function: str) -> Mapping[str, Any]:
        for entry in self.abi:
            if (entry.get("name") == function) if function else (entry["type"] == "constructor"):
                return entry
        if not function:
            return {}
        raise KeyError(function)


@cache
def contract(name: str) -> Contract:
    """Return the contract in `local/contracts/<name>.vy`. Raises StackError when the compiler is missing or refuses."""
    entry = _compiled()[name]
    return Contract(tuple(entry["abi"]), entry["creation"])


@cache
def _compiled() -> dict[str, Any]:
    files = sorted(SOURCES.glob("*.vy"))
    digest = hashlib.sha256(b"\0".join(file.name.encode() + file.read_bytes() for file in files)).hexdigest()[:16]
    kept = _BUILD / f"{digest}.json"
    if not kept.exists():
        _BUILD.mkdir(exist_ok=True)
        draft = kept.with_suffix(f".{os.getpid()}")
        draft.write_text(json.dumps(_compile(files)))
        draft.rename(kept)
    compiled: dict[str, Any] = json.loads(kept.read_text())
    return compiled


def _compile(files: list[Path]) -> dict[str, Any]:
    vyper = Path(sys.executable).with_name("vyper")
    try:
        done = subprocess.run(
            [vyper, "-f", "combined_json", *(file.name for file in files)],
            cwd=SOURCES,
            capture_output=True,
            text=True,
            check=True,
        )
    except FileNotFoundError as error:
        raise StackError("the contracts' compiler, vyper, is not installed; run `make setup`") from error
    except subprocess.CalledProcessError as error:
        raise StackError(f"the contracts do not compile: {error.stderr.strip()}") from error
    compiled = json.loads(done.stdout)
    return {
        Path(file).stem: {"abi": entry["abi"], "creation": entry["bytecode"]}
        for file, entry in compiled.items()
        if isinstance(entry, dict)
    }


def _types(parameters: list[dict[str, Any]]) -> list[str]:
    return [parameter["type"] for parameter in parameters]
