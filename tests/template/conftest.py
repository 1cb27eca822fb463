"""The transformed template, as `make build` left it."""

from typing import Any

import pytest

from jatevo_local import built


@pytest.fixture(scope="session")
def template() -> dict[str, Any]:
    return built.transformed()


@pytest.fixture(scope="session")
def resources(template: dict[str, Any]) -> dict[str, Any]:
    found: dict[str, Any] = template["Resources"]
    return found
