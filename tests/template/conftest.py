"""The transformed template, as `make build` left it."""

import subprocess
from typing import Any

import pytest

from jatevo_local import built
from jatevo_local.engine import PROJECT


@pytest.fixture(scope="session")
def template() -> dict[str, Any]:
    return built.transformed()


@pytest.fixture(scope="session")
def resources(template: dict[str, Any]) -> dict[str, Any]:
    found: dict[str, Any] = template["Resources"]
    return found


@pytest.fixture(autouse=True, scope="session")
def what_is_built_is_what_is_written() -> None:
    """Nothing stale is tested; `make test` has built already."""
    done = subprocess.run([str(PROJECT / "scripts" / "build")], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
