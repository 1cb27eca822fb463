"""
The pages and their assets, read once.

Guarantees: no page has script or style of its own, or of another origin, and the browser is told to run none
(Content-Security-Policy). All addresses are relative to the page's base, so the site works below a stage's prefix.
Assets live under a name made of their content and may be kept for good; pages are asked for anew.
"""

import hashlib
import re
from collections.abc import Mapping
from dataclasses import dataclass
from importlib.resources import files
from string import Template
from typing import Any

from starlette.responses import Response

_HERE = files("jatevo_site")
_PREFIX = re.compile(r"/[A-Za-z0-9_-]{1,128}")
_TYPES = {
    "css": "text/css; charset=utf-8",
    "js": "text/javascript; charset=utf-8",
    "svg": "image/svg+xml",
}
_CONTENT_SECURITY_POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; connect-src 'self'; "
    "base-uri 'self'; form-action 'none'; frame-ancestors 'none'; "
    "require-trusted-types-for 'script'; trusted-types 'none'"
)
_HEADERS = {
    "content-security-policy": _CONTENT_SECURITY_POLICY,
    "x-content-type-options": "nosniff",
    "referrer-policy": "same-origin",
    "cross-origin-opener-policy": "same-origin",
    "permissions-policy": "camera=(), geolocation=(), microphone=(), payment=(), usb=()",
}


@dataclass(frozen=True, slots=True)
class _Page:
    name: str
    title: str
    description: str


_PRICING = _Page(
    "pricing",
    "Jatevo Gateway: pricing and access",
    "Model capacity through one OpenAI-compatible API, backed by holdings of JTVO, within two daily limits.",
)
PAGES = {
    "/": _PRICING,
    "/pricing": _PRICING,
    "/playground": _Page("playground", "Playground · Jatevo", "Try prompts against hosted models before having a key."),
    "/dashboard": _Page("dashboard", "Dashboard · Jatevo", "Your two counters, your budget and your keys."),
    "/admin": _Page("admin", "Operators · Jatevo", "Accounts, routes, price and books, for operators."),
}
"""What is served under which path."""


class Site:
    """All pages of one version."""

    def __init__(self, version: str) -> None:
        self._version = version
        self._assets = {
            entry.name: entry.read_bytes() for entry in (_HERE / "assets").iterdir() if entry.name[0] != "."
        }
        digest = hashlib.sha256()
        for name in sorted(self._assets):
            digest.update(name.encode() + b"\0" + self._assets[name] + b"\0")
        self.assets_version = digest.hexdigest()[:16]
        self._pages = {(path, "/"): self._render(path, "/") for path in PAGES}

    def page(self, path: str, base: str) -> Response:
        """Return the page under a path of PAGES, for a site that stands at `base`."""
        rendered = self._pages.get((path, base)) or self._render(path, base)
        headers = {**_HEADERS, "cache-control": "no-cache"}
        return Response(rendered, headers=headers, media_type="text/html; charset=utf-8")

    def asset(self, version: str, name: str) -> Response | None:
        """Return an asset of this version of the site, or None when there is none."""
        if version != self.assets_version or name not in self._assets:
            return None
        headers = {"cache-control": "public, max-age=31536000, immutable", "x-content-type-options": "nosniff"}
        return Response(self._assets[name], headers=headers, media_type=_TYPES[name.rpartition(".")[2]])

    def _render(self, path: str, base: str) -> bytes:
        page = PAGES[path]
        main = _template(page.name).substitute(diagram=_source("diagram"))
        return (
            _template("layout")
            .substitute(
                page=page.name,
                title=page.title,
                description=page.description,
                base=base,
                here=path.lstrip("/"),
                assets=f"assets/{self.assets_version}",
                version=self._version,
                main=main,
            )
            .encode()
        )


def base_path(scope: Mapping[str, Any]) -> str:
    """
    Return where the site stands, with a slash at both ends: `/`, or `/prod/` at API Gateway's own address.

    Only API Gateway knows: its event has the path with the stage and without. No header is asked, so that nobody can
    make a page refer to somewhere else.
    """
    asked = scope.get("aws.event", {}).get("requestContext", {}).get("path", "")
    path = scope["path"]
    prefix = asked.removesuffix(path) if asked.endswith(path) else asked.rstrip("/") if path == "/" else ""
    return f"{prefix}/" if _PREFIX.fullmatch(prefix) else "/"


def _source(name: str) -> str:
    return (_HERE / "templates" / f"{name}.html").read_text(encoding="utf-8")


def _template(name: str) -> Template:
    return Template(_source(name))
