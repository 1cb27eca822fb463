from collections.abc import Iterator
from pathlib import Path

import pytest

from jatevo_local.processes import Children


@pytest.fixture
def said() -> list[str]:
    return []


@pytest.fixture
def children(tmp_path: Path, said: list[str]) -> Iterator[Children]:
    with Children(tmp_path / "logs", said.append) as started:
        yield started
