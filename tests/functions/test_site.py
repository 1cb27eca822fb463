"""The site answers without any key or database, and everything that does not exist is a 404 in our shape."""

from collections.abc import AsyncIterator
from html.parser import HTMLParser

import httpx
import pytest
from jatevo_testing.refusals import refused

from jatevo import __version__
from jatevo.bootstrap import Gateway, Settings
from jatevo_site.handler import create_app
from jatevo_site.pages import Site, base_path

NOWHERE = "http://127.0.0.1:9"
PROMISED = """
Pricing and access
Start in the playground. Scale through gateway keys.
Test a model, connect wallet-backed access, then move production traffic to the compatible API.
Access lanes
A clear progression from demo to production.
Playground Live model testing Try prompts against hosted models before creating an application key.
Builder $JTVO-backed API key Connect a wallet, create a scoped gateway key, and track usage from the dashboard.
Network Reserved capacity Route heavier workloads through private pools, custom quotas, or dedicated lanes.
Gateway surface
One public API surface for model traffic, usage tracking, and quota enforcement.
Base /v1 Keys sk-clb Quota $JTVO
/v1/chat/completions Send chat workloads through Jatevo with the standard messages request shape.
/v1/responses Run modern agent workloads through the same pooled compute access layer.
/v1/models List models available to your key without exposing internal pool details.
Quota mechanics
Wallet-backed access needs two limits, not one.
Request quota protects the pool. Dollar credits protect the business. Jatevo can let teams resell or route
Access logic Dual-limit gateway flow whichever runs out first
Wallet Hold JTVO Token balance proves access and backs spend.
Value USD snapshot Oracle or admin rate turns holdings into budget.
Credit Dollar budget Daily spend ceiling for actual model cost.
Request limit Remaining API calls Stops spam, keeps shared routes fair, and gives simple dashboard limits.
Credit limit Remaining dollar budget Stops expensive resale loops and charges by model usage, not only request count.
API key Incoming request The sk-clb key asks for a model route.
Gate Both limits available? Request count remains Projected cost fits budget Model is allowed for this key
Allow Route request and deduct actual cost plus Jatevo margin.
Block Return quota error or ask user to top up / hold more JTVO.
Dashboard metrics
both counters side by side so users understand whether they ran out of calls or ran out of compute value.
Limit A API requests 0 / 11 daily Controls abuse, concurrency, and fair access to shared pools.
Limit B Dollar credits $0.00 / $11.00 daily Controls economic exposure, reseller use, and model cost drift.
Both must pass. A request is accepted only while request quota and dollar budget remain.
Bring real model capacity into your next AI product.
Test the model lane in the playground, then ship against one compatible Jatevo gateway.
"""
"""What the product was announced with."""


class Elements(HTMLParser):
    """What a page refers to, and what it would run or apply of its own."""

    def __init__(self) -> None:
        super().__init__()
        self.base = ""
        self.sources: list[str] = []
        self.links: list[str] = []
        self.inline: list[str] = []
        self.words = ""

    def handle_data(self, data: str) -> None:
        self.words = " ".join(f"{self.words} {data}".split())

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        given = {name: value or "" for name, value in attrs}
        if tag == "base":
            self.base = given["href"]
        elif tag == "a":
            self.links.append(given["href"])
        elif tag == "link" or (tag == "script" and "src" in given):
            self.sources.append(given.get("href") or given["src"])
        if (
            tag == "style"
            or (tag == "script" and "src" not in given)
            or any(n == "style" or n[:2] == "on" for n in given)
        ):
            self.inline.append(tag)


@pytest.fixture
async def site() -> AsyncIterator[httpx.AsyncClient]:
    """A site whose database cannot be reached."""
    gateway = Gateway(Settings(dynamodb_endpoint=NOWHERE), {})
    transport = httpx.ASGITransport(create_app(gateway), raise_app_exceptions=False)
    async with httpx.AsyncClient(transport=transport, base_url="http://gateway") as client:
        yield client
    gateway.close()


async def test_health_needs_neither_key_nor_database(site: httpx.AsyncClient) -> None:
    answer = await site.get("/health")

    assert answer.status_code == 200
    assert answer.json() == {"status": "ok", "version": __version__}
    assert answer.headers["cache-control"] == "no-store"
    assert answer.headers["x-request-id"].startswith("req_")


@pytest.mark.parametrize("path", ["/", "/pricing", "/playground", "/dashboard", "/admin"])
async def test_a_page_brings_no_script_or_style_of_its_own_and_forbids_them(site: httpx.AsyncClient, path: str) -> None:
    answer = await site.get(path)

    assert answer.status_code == 200
    assert answer.headers["content-type"] == "text/html; charset=utf-8"
    policy = answer.headers["content-security-policy"]
    assert "default-src 'none'" in policy
    assert "frame-ancestors 'none'" in policy
    assert "require-trusted-types-for 'script'" in policy
    assert "unsafe" not in policy
    page = Elements()
    page.feed(answer.text)
    assert not page.inline
    assert page.sources
    for source in page.sources:
        assert (await site.get(f"/{source}")).status_code == 200, source


async def test_the_pricing_page_says_what_was_announced(site: httpx.AsyncClient) -> None:
    page = Elements()
    page.feed((await site.get("/pricing")).text)

    assert [line for line in PROMISED.strip().splitlines() if line not in page.words] == []


@pytest.mark.parametrize(
    ("path", "asked", "base"),
    [
        ("/pricing", "/prod/pricing", "/prod/"),
        ("/", "/prod/", "/prod/"),
        ("/", "/prod", "/prod/"),
        ("/pricing", "/pricing", "/"),
        ("/", "/", "/"),
        ("/pricing", '/"><script>/pricing', "/"),
        ("/pricing", "//elsewhere/pricing", "/"),
        ("/pricing", "/other", "/"),
    ],
)
def test_pages_refer_to_where_the_site_stands(path: str, asked: str, base: str) -> None:
    scope = {"path": path, "aws.event": {"requestContext": {"path": asked}}}
    page = Elements()
    page.feed(bytes(Site("1.2.3").page(path, base_path(scope)).body).decode())

    assert page.base == base
    assert all(not target.startswith("/") for target in page.sources + page.links)


async def test_an_asset_may_be_kept_for_good_because_its_name_changes_with_it(site: httpx.AsyncClient) -> None:
    page = Elements()
    page.feed((await site.get("/")).text)
    name = next(source for source in page.sources if source.endswith("base.css"))
    answer = await site.get(f"/{name}")

    assert "immutable" in answer.headers["cache-control"]
    assert answer.headers["x-content-type-options"] == "nosniff"
    refused(await site.get("/assets/0000000000000000/base.css"), 404, "not_found")
    refused(await site.get(f"/{name.rpartition('/')[0]}/..%2fapp.py"), 404, "not_found")


@pytest.mark.parametrize("method", ["GET", "POST", "PUT", "DELETE", "PATCH", "OPTIONS"])
@pytest.mark.parametrize("path", ["/nothing", "/v2/models", "/health/", "//", "/%00", "/v1/chat/completions/extra"])
async def test_a_route_that_does_not_exist_is_404_and_repeats_nothing(
    site: httpx.AsyncClient, method: str, path: str
) -> None:
    headers = {"authorization": "Bearer sk-clb-secret"}
    answer = await site.request(method, f"http://gateway{path}", headers=headers, content=b"x")

    refused(answer, 404, "not_found")
    assert "sk-clb" not in answer.text


async def test_health_takes_no_post(site: httpx.AsyncClient) -> None:
    answer = await site.post("/health")

    refused(answer, 405, "method_not_allowed")
    assert "GET" in answer.headers["allow"]


async def test_every_answer_has_an_id_of_its_own(site: httpx.AsyncClient) -> None:
    given = {(await site.get(path)).headers["x-request-id"] for path in ("/health", "/health", "/", "/none")}

    assert len(given) == 4
