"""The site answers without any key or database, and everything that does not exist is a 404 in our shape."""

from collections.abc import AsyncIterator

import httpx
import pytest
from jatevo_testing.refusals import refused

from jatevo import __version__
from jatevo.bootstrap import Gateway, Settings
from jatevo_site.handler import create_app

NOWHERE = "http://127.0.0.1:9"


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


async def test_the_front_page_says_what_this_is(site: httpx.AsyncClient) -> None:
    answer = await site.get("/")

    assert answer.status_code == 200
    assert answer.json()["name"] == "Jatevo Gateway"
    assert answer.json()["version"] == __version__


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
