"""
Secrets by reference: `env:NAME`, `ssm:NAME` (Parameter Store) or `secret:NAME` (Secrets Manager, also by ARN).

What AWS keeps is fetched once, kept in the process for `keep_s`, and then fetched anew, so that a rotated key comes
into use by itself; while that fails, the value that is known is used. Clients are made at first use: a process that
needs no secret pays for none. No error text contains a secret.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from jatevo.application.ports import Clock

_KEEP_S = 300
_CONNECT_S, _READ_S = 1.0, 2.0
KINDS = ("env", "ssm", "secret")


class SecretUnavailable(Exception):
    """A secret that a reference names cannot be read. The text is one line that names it and says why."""


@dataclass(frozen=True, slots=True)
class _Kept:
    value: str
    until_ms: int


class Secrets:
    """Looks references up. Safe to share between threads: at worst a secret is fetched twice."""

    def __init__(
        self, environment: Mapping[str, str], clock: Clock, region: str, *, client: Callable[[str], Any] | None = None
    ) -> None:
        self._environment = environment
        self._clock = clock
        self._region = region
        self._client = client or self._new_client
        self._kept: dict[str, _Kept] = {}

    def __call__(self, reference: str) -> str | None:
        """Return the secret; None when the environment lacks it. Raises SecretUnavailable."""
        kind, _, name = reference.partition(":")
        if kind == "env":
            return self._environment.get(name)
        now_ms = self._clock.now_ms()
        kept = self._kept.get(reference)
        if kept is not None and now_ms < kept.until_ms:
            return kept.value
        try:
            value = self._fetch(kind, name)
        except SecretUnavailable:
            if kept is None:
                raise
            value = kept.value
        self._kept[reference] = _Kept(value, now_ms + _KEEP_S * 1000)
        return value

    def _fetch(self, kind: str, name: str) -> str:
        from botocore.exceptions import BotoCoreError, ClientError  # noqa: PLC0415 - only where a secret is fetched

        try:
            if kind == "ssm":
                answer = self._client("ssm").get_parameter(Name=name, WithDecryption=True)
                return str(answer["Parameter"]["Value"])
            if kind == "secret":
                return str(self._client("secretsmanager").get_secret_value(SecretId=name)["SecretString"])
        except ClientError as error:
            why = error.response.get("Error", {}).get("Code", "refused")
            raise SecretUnavailable(f"{kind}:{name} cannot be read: {why}") from error
        except (BotoCoreError, KeyError) as error:
            raise SecretUnavailable(f"{kind}:{name} cannot be read: {type(error).__name__}") from error
        raise SecretUnavailable(f"{kind}: is no store of secrets; use one of {', '.join(KINDS)}")

    def _new_client(self, service: str) -> Any:
        import botocore.session  # noqa: PLC0415 - same
        from botocore.config import Config  # noqa: PLC0415 - same

        config = Config(
            connect_timeout=_CONNECT_S, read_timeout=_READ_S, retries={"mode": "standard", "total_max_attempts": 2}
        )
        return botocore.session.get_session().create_client(service, region_name=self._region, config=config)
