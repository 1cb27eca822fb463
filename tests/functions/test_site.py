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


class Elements(HTMLParser):
    """What a page refers to, and what it would run or apply of its own."""

    def __init__(self) -> None:
        super().__init__()
        self.base = ""
        self.sources: list[str] = []
        self.links: list[str] = []
        self.inline: list[str] = []

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
    assert "unsafe" not in policy
    page = Elements()
    page.feed(answer.text)
    assert not page.inline
    assert page.sources
    for source in page.sources:
        assert (await site.get(f"/{source}")).status_code == 200, source


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
