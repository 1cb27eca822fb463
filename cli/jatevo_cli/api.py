"""
The admin API over HTTP, as the command line speaks it.

Every failure is a `CommandError` with one line for a person and the exit status it leads to.
"""

import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import quote, urlsplit

import httpx

DEFAULT_URL = "http://127.0.0.1:8000"
DEFAULT_DATA = ".local"
TOKEN_FILE = "admin-token"  # noqa: S105 - the name of a file
_THIS_MACHINE = frozenset({"127.0.0.1", "::1", "localhost"})
_TIMEOUT = httpx.Timeout(60.0, connect=5.0)

REFUSED = 1
USAGE = 2
UNREACHABLE = 3


class CommandError(Exception):
    """A command failed: what to say, line by line, and with which status to exit."""

    def __init__(self, status: int, message: str, *details: str) -> None:
        super().__init__(message)
        self.status = status
        self.lines = (message, *details)


@dataclass(frozen=True, slots=True)
class Target:
    """Which gateway to speak to, and as whom."""

    url: str
    token: str


def target_from(environment: Mapping[str, str] = os.environ) -> Target:
    """Return the gateway that `JATEVO_URL` and `JATEVO_ADMIN_TOKEN` name: by default the one of this machine."""
    url = environment.get("JATEVO_URL") or DEFAULT_URL
    host = _host(url)
    token = environment.get("JATEVO_ADMIN_TOKEN", "").strip()
    if not token and host in _THIS_MACHINE:
        token = _local_token(Path(environment.get("DATA") or DEFAULT_DATA) / TOKEN_FILE)
    if not token:
        raise CommandError(USAGE, f"no admin token for {url}: set JATEVO_ADMIN_TOKEN")
    if not (token.isascii() and token.isprintable()):
        raise CommandError(USAGE, "JATEVO_ADMIN_TOKEN holds characters that no token has")
    return Target(url.rstrip("/"), token)


def url_from(environment: Mapping[str, str]) -> str:
    """Return the gateway that `JATEVO_URL` names, by default the one of this machine."""
    url = environment.get("JATEVO_URL") or DEFAULT_URL
    _host(url)
    return url.rstrip("/")


def _host(url: str) -> str:
    try:
        parts = urlsplit(url)
        if parts.scheme in {"http", "https"} and parts.hostname and parts.port != 0:
            return parts.hostname
    except ValueError:
        pass
    raise CommandError(USAGE, f"JATEVO_URL is no http or https URL: {url}")


def _local_token(file: Path) -> str:
    """Return the token that the local stack wrote; it is only ever sent to this machine."""
    try:
        return file.read_text(encoding="utf-8").strip()
    except FileNotFoundError as error:
        message = f"no admin token: set JATEVO_ADMIN_TOKEN, or DATA to the folder of `make run` ({file} does not exist)"
        raise CommandError(USAGE, message) from error
    except (OSError, UnicodeDecodeError) as error:
        raise CommandError(USAGE, f"no admin token: {file} cannot be read: {error}") from error


def path(*parts: str) -> str:
    """Return a path of ids, none of which can reach another route."""
    return "/".join(quote(part, safe="") for part in parts)


@dataclass(frozen=True, slots=True)
class Side:
    """One of the gateway's APIs: where its routes are, its name, and what to say of a token it does not know."""

    prefix: str
    name: str
    unknown_token: str


ADMIN = Side("admin/v1", "admin API", "the gateway does not know this admin token: check JATEVO_ADMIN_TOKEN")
ACCOUNT = Side("account/v1", "account API", "you are not signed in, or no longer: jatevo wallet sign-in")


class Api:
    """Speaks to one side of one gateway."""

    def __init__(self, target: Target, side: Side = ADMIN) -> None:
        self._url = target.url
        self._side = side
        local = urlsplit(target.url).hostname in _THIS_MACHINE
        self._client = httpx.Client(
            base_url=f"{target.url}/{side.prefix}/",
            headers={"authorization": f"Bearer {target.token}"} if target.token else {},
            timeout=_TIMEOUT,
            trust_env=not local,
        )

    def close(self) -> None:
        self._client.close()

    def get(self, path: str, **query: str | int | None) -> Any:
        return self._ask("GET", path, params=_given(query))

    def page(self, path: str, **query: str | int | None) -> tuple[str, str | None]:
        """Return an answer that is no JSON as text, and the cursor of the page after it; None: it is the last."""
        answer = self._answered("GET", path, params=_given(query))
        if not answer.is_success:
            self._json(answer)
        return answer.text, answer.headers.get("x-jatevo-next-cursor")

    def post(self, path: str, content: bytes = b"{}") -> Any:
        return self._ask("POST", path, content=content)

    def put(self, path: str, content: bytes) -> Any:
        return self._ask("PUT", path, content=content)

    def delete(self, path: str, **query: str) -> Any:
        return self._ask("DELETE", path, params=query)

    def patch(self, path: str, content: bytes) -> Any:
        return self._ask("PATCH", path, content=content)

    def _ask(self, method: str, path: str, **request: Any) -> Any:
        return self._json(self._answered(method, path, **request))

    def _answered(self, method: str, path: str, **request: Any) -> httpx.Response:
        headers = {"content-type": "application/json"} if "content" in request else {}
        try:
            return self._client.request(method, path, headers=headers, **request)
        except httpx.ConnectError as error:
            hint = "; is it running? `make run` starts one" if self._url == DEFAULT_URL else ""
            raise CommandError(UNREACHABLE, f"cannot reach {self._url}{hint} ({error})") from error
        except httpx.TransportError as error:
            raise CommandError(
                UNREACHABLE, f"{self._url} does not answer ({str(error) or type(error).__name__})"
            ) from error

    def _json(self, answer: httpx.Response) -> Any:
        if answer.status_code == 204:
            return None
        try:
            body = answer.json()
        except ValueError as error:
            kind = answer.headers.get("content-type", "nothing")
            raise CommandError(
                REFUSED, f"{self._url} is no Jatevo Gateway, or not its {self._side.name}: {answer.status_code}, {kind}"
            ) from error
        if answer.is_success:
            return body
        raise _refusal(answer.status_code, body, self._side)


def _given(query: Mapping[str, str | int | None]) -> dict[str, str | int]:
    return {name: value for name, value in query.items() if value is not None}


def _refusal(status: int, body: Any, side: Side) -> CommandError:
    """Return the gateway's own words for why it did not do it."""
    error = body.get("error") if isinstance(body, dict) else None
    if not isinstance(error, dict) or "message" not in error:
        return CommandError(REFUSED, f"the gateway answered with status {status}")
    if status == 401 and error.get("code") != "invalid_signature":
        return CommandError(REFUSED, side.unknown_token)
    problems = error.get("problems")
    if isinstance(problems, list) and len(problems) > 1:
        return CommandError(REFUSED, f"{len(problems)} problems:", *(f"  {problem}" for problem in problems))
    return CommandError(REFUSED, str(error["message"]))
