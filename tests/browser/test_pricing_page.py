"""The pricing page: readable by everybody, and its simulator says what the gateway says."""

import httpx
import pytest
from jatevo_testing.axe import violations
from jatevo_testing.browser import Opener, Shot
from jatevo_testing.stack import Stack


@pytest.mark.parametrize("theme", ["light", "dark"])
@pytest.mark.parametrize("width", [360, 1280])
def test_it_can_be_read_by_everybody(opened: Opener, shot: Shot, width: int, theme: str) -> None:
    page = opened("/pricing", width=width, theme=theme)
    page.wait_for_selector("#model-table code")
    page.wait_for_selector("#sim-verdict:not(:text('…'))")

    assert violations(page) == []
    assert page.evaluate("document.documentElement.scrollWidth") <= width
    shot(page, f"pricing-{width}-{theme}")


def test_the_logic_is_drawn_on_a_wide_page_and_listed_on_a_phone(opened: Opener) -> None:
    wide, phone = opened("/"), opened("/", width=360)

    assert wide.locator("svg.wide").is_visible()
    assert not phone.locator("svg.wide").is_visible()
    words = phone.locator("#flow-text").inner_text()
    for word in ("Wallet", "Value", "Credit", "Gate", "Allow", "Block", "projected cost fits budget"):
        assert word in words


@pytest.fixture
def dear_model(stack: Stack) -> str:
    """A model of which a request can cost more than a dollar."""
    with httpx.Client(
        base_url=f"{stack.url}/admin/v1", headers={"authorization": f"Bearer {stack.admin_token}"}
    ) as admin:
        document = admin.get("/catalog").json()["document"]
        model = document["models"][0]
        dear = {**model, "id": "dear-model", "price": {"input": "30", "output": "150"}}
        document["models"] = [model, dear]
        assert admin.put("/catalog", json={"document": document}).status_code == 200
    return "dear-model"


def test_a_dearer_model_changes_which_limit_runs_out(opened: Opener, dear_model: str) -> None:
    page = opened("/pricing")
    page.wait_for_selector("#sim-verdict:text('Limit A runs out first')")
    page.locator("#sim-model").select_option(dear_model)
    page.locator("#sim-output").fill("95")

    page.wait_for_selector("#sim-verdict:text('Limit B runs out first')")
    assert "refused with" in page.locator("#sim-why").inner_text()
    assert page.locator("path[data-live=block][data-on]").count() == 1


def test_the_theme_is_kept(opened: Opener) -> None:
    page = opened("/pricing", theme="light")
    page.locator("#theme").click()
    ground = page.evaluate("getComputedStyle(document.body).backgroundColor")
    page.reload()

    assert page.evaluate("document.documentElement.dataset.theme") == "dark"
    assert page.evaluate("getComputedStyle(document.body).backgroundColor") == ground
