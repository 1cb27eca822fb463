"""
AWS credentials: those of the environment, as Lambda sets them, or else whatever botocore finds.

botocore's chain (profiles, single sign-on, containers, instances) is imported only where the environment has none, and
asked in a thread, because it may ask the network; it renews what expires.
"""

import asyncio
from collections.abc import Mapping
from typing import Any

from jatevo.adapters.dynamodb.signing import Keys


class NoCredentials(Exception):
    """There are none anywhere, or they cannot be renewed."""


class Credentials:
    """Finds credentials on first use. `environment`: the variables of the process."""

    def __init__(self, environment: Mapping[str, str]) -> None:
        self._environment = environment
        self._keys: Keys | None = None
        self._chain: Any = None

    async def keys(self) -> Keys:
        """Return the credentials that are good now. Raises NoCredentials."""
        if self._keys is None:
            self._keys = self._of_environment()
        if self._keys is not None and (self._chain is None or not self._expires()):
            return self._keys
        self._keys = await asyncio.to_thread(self._found)
        return self._keys

    def _of_environment(self) -> Keys | None:
        name, secret = (self._environment.get(name) for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"))
        return Keys(name, secret, self._environment.get("AWS_SESSION_TOKEN")) if name and secret else None

    def _expires(self) -> bool:
        """Return whether those of the chain are to be renewed; fixed ones never are."""
        return bool(getattr(self._chain, "refresh_needed", lambda: False)())

    def _found(self) -> Keys:
        import botocore.session  # noqa: PLC0415 - see above
        from botocore.exceptions import BotoCoreError  # noqa: PLC0415 - same

        try:
            self._chain = self._chain or botocore.session.get_session().get_credentials()
            if self._chain is None:
                raise NoCredentials
            frozen = self._chain.get_frozen_credentials()
        except BotoCoreError as error:
            raise NoCredentials from error
        return Keys(frozen.access_key, frozen.secret_key, frozen.token)
