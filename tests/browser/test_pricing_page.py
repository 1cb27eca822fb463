"""The pricing page: readable by everybody, its simulator as the gateway decides; from it, all pages below a prefix."""

from urllib.parse import urlsplit

import httpx
import pytest
from jatevo_testing.axe import violations
from jatevo_testing.browser import Opener, Shot
from jatevo_testing.stack import Stack
from playwright.sync_api import FloatRect, Page, Route

from jatevo_site.pages import PAGES, Site

PREFIX = "/prod"
"""Of API Gateway's own address."""


@pytest.mark.parametrize("theme", ["light", "dark"])
@pytest.mark.parametrize("width", [360, 1280])
def test_it_can_be_read_by_everybody(opened: Opener, shot: Shot, width: int, theme: str) -> None:
    page = opened("/pricing", width=width, theme=theme)
    page.wait_for_selector("#model-table code")
    page.wait_for_selector("#sim-verdict:not(:text('…'))")

    assert violations(page) == []
    assert page.evaluate("document.documentElement.scrollWidth") <= width
    shot(page, f"pricing-{width}-{theme}")


def test_the_logic_is_drawn_at_every_width(opened: Opener) -> None:
    wide, phone = opened("/"), opened("/", width=360)

    def box(page: Page, node: str) -> FloatRect:
        found = page.locator(f".nodes > .{node}").bounding_box()
        assert found, node
        return found

    assert box(wide, "key")["x"] < box(wide, "gate")["x"] < box(wide, "allow")["x"]
    assert box(wide, "allow")["y"] < box(wide, "block")["y"]
    assert box(phone, "key")["y"] < box(phone, "gate")["y"] < box(phone, "allow")["y"]
    assert box(phone, "requests")["y"] == box(phone, "dollars")["y"]


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
    lit = page.locator("[data-live][data-on]").evaluate_all("nodes => nodes.map(node => node.dataset.live)")
    assert lit == ["budget", "block"]


def test_the_theme_is_kept(opened: Opener) -> None:
    page = opened("/pricing", theme="light")
    page.locator("#theme").click()
    ground = page.evaluate("getComputedStyle(document.body).backgroundColor")
    page.reload()

    assert page.evaluate("document.documentElement.dataset.theme") == "dark"
    assert page.evaluate("getComputedStyle(document.body).backgroundColor") == ground


def test_every_link_request_and_cookie_works_below_a_prefix(opened: Opener, stack: Stack) -> None:
    site, asked = Site("1.2.3"), list[str]()

    def served(route: Route) -> None:
        path = urlsplit(route.request.url).path.removeprefix(PREFIX)
        if path in PAGES:
            page = site.page(path, f"{PREFIX}/")
            route.fulfill(body=bytes(page.body), headers=dict(page.headers))
        else:
            route.continue_(url=route.request.url.replace(f"{PREFIX}/", "/", 1))

    page = opened("/health")
    page.route(f"**{PREFIX}/**", served)
    page.on("request", lambda request: asked.append(urlsplit(request.url).path))
    page.goto(f"{stack.url}{PREFIX}/")
    page.wait_for_selector("#model-table code")
    assert f"{stack.url}{PREFIX}/v1" in page.locator(".sample").inner_text()
    page.locator("nav a:text('Dashboard')").click()
    page.locator("#wallets [data-wallet='demo']").click()
    page.wait_for_selector("#requests:not(:text('–'))")
    page.locator("nav a:text('Playground')").click()
    page.wait_for_selector("#who:has-text('your own account')")
    assert f"curl -N {stack.url}{PREFIX}/v1/" in page.locator("#code").inner_text()
    page.locator(".skip").focus()
    page.keyboard.press("Enter")

    assert urlsplit(page.url).path == f"{PREFIX}/playground", "a link into the page stays on it"
    assert [path for path in asked if not path.startswith(f"{PREFIX}/")] == []
