"""
The session that `jatevo wallet sign-in` keeps for the commands after it: in a file that only its owner may read.

The file is `JATEVO_SESSION_FILE`, by default `~/.config/jatevo/session.json`. It holds a token that ends by itself, and
which gateway it is for: it is sent to no other. `JATEVO_SESSION` holds a token itself, for scripts that keep their own.
"""

import json
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from jatevo_cli.api import ACCOUNT, USAGE, Api, CommandError, Target, url_from

_DEFAULT = "~/.config/jatevo/session.json"


def anonymous(environment: Mapping[str, str] = os.environ) -> Api:
    """Return the account API as somebody speaks to it who is not signed in."""
    return Api(Target(url_from(environment), ""), ACCOUNT)


def signed_in(environment: Mapping[str, str] = os.environ) -> Api:
    """Return the account API in the session that is kept. Raises CommandError without one."""
    url = url_from(environment)
    token = environment.get("JATEVO_SESSION", "").strip() or _kept_token(_file(environment), url)
    if not (token.isascii() and token.isprintable()):
        raise CommandError(USAGE, "JATEVO_SESSION holds characters that no token has")
    return Api(Target(url, token), ACCOUNT)


def keep(session: Mapping[str, Any], environment: Mapping[str, str] = os.environ) -> Path:
    """Write a new session down and return where."""
    file = _file(environment)
    kept = {"url": url_from(environment), "token": session["token"], "expires_at_unix_s": session["expires_at_unix_s"]}
    try:
        file.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        descriptor = os.open(file, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_NOFOLLOW, 0o600)
        with os.fdopen(descriptor, "w") as opened:
            os.fchmod(descriptor, 0o600)
            json.dump(kept, opened)
    except OSError as error:
        raise CommandError(USAGE, f"the session cannot be kept: {error}") from error
    return file


def forget(environment: Mapping[str, str] = os.environ) -> None:
    """Remove what is kept."""
    _file(environment).unlink(missing_ok=True)


def _file(environment: Mapping[str, str]) -> Path:
    return Path(environment.get("JATEVO_SESSION_FILE") or _DEFAULT).expanduser()


def _kept_token(file: Path, url: str) -> str:
    try:
        kept = json.loads(file.read_text())
        if kept["url"] == url:
            return str(kept["token"])
    except (OSError, ValueError, KeyError, TypeError):
        pass
    raise CommandError(USAGE, f"not signed in to {url}: jatevo wallet sign-in --private-key-file FILE")
