"""The accessibility checker axe-core, run in a page."""

from typing import Any

from playwright.sync_api import Page

from jatevo_local.engine import PROJECT

_SCRIPT = PROJECT / "tests/browser/node_modules/axe-core/axe.min.js"
_RULES = ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa", "best-practice"]


def violations(page: Page) -> list[str]:
    """Return what is wrong with a page as it is now: rule and place."""
    page.evaluate(_SCRIPT.read_text())
    found: dict[str, Any] = page.evaluate("rules => axe.run(document, {runOnly: {type: 'tag', values: rules}})", _RULES)
    return [
        f"{violation['id']}: {node['target']} {node['failureSummary']}"
        for violation in found["violations"]
        for node in violation["nodes"]
    ]
