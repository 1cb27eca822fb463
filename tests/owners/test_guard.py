"""Cookies as Lambda's events bring them."""

from typing import Any

import pytest
from jatevo_testing.owners import SITE

from jatevo.adapters.http.session_cookies import cookie_of
from jatevo.domain.sign_in import site_at


def scope_of(headers: dict[str, list[str]] | None) -> dict[str, Any]:
    return {"type": "http", "headers": [], "aws.event": {"multiValueHeaders": headers}}


@pytest.mark.parametrize(
    ("headers", "found"),
    [
        ({"Cookie": ["a=b", "__Host-jatevo-session=jts-x; c=d"]}, "jts-x"),
        ({"cookie": ["__Host-jatevo-session=jts-x"]}, "jts-x"),
        ({"Cookie": ["a=b, __Host-jatevo-session=jts-x"]}, None),
        ({"Cookie": []}, None),
        ({}, None),
        (None, None),
    ],
)
def test_each_cookie_header_of_an_event_is_read_by_itself(
    headers: dict[str, list[str]] | None, found: str | None
) -> None:
    site = site_at(SITE)
    assert site is not None
    assert cookie_of(scope_of(headers), site) == found


@pytest.mark.parametrize(
    "url",
    [
        "http://gateway.test",
        "https://user@gateway.test",
        "https://gateway.test?x",
        "https://gateway.test#x",
        "https://gateway.test/../x y",
        "https://GATEWAY.test",
        "https://",
        "ftp://gateway.test",
        "gateway.test",
        "https://gateway.test:port",
        "https://-gateway.test",
        "https://gateway.test\n",
    ],
)
def test_a_public_address_is_plain_and_secure(url: str) -> None:
    assert site_at(url) is None


def test_this_machine_may_do_without_tls() -> None:
    for url in ("http://127.0.0.1:8000", "http://localhost:8000/prod", "http://[::1]:8000"):
        site = site_at(url)
        assert site is not None
        assert (site.url, site.secure) == (url, False)
    site = site_at("https://gateway.test/")
    assert site is not None
    assert (site.url, site.origin, site.domain, site.secure) == ("https://gateway.test",) * 2 + ("gateway.test", True)
