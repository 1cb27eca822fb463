"""
Objects in an S3 bucket: what is too large for an item of a table.

The bucket is private and encrypted, and ends every object after the time that responses are kept. The client is made
at first use: most processes never need one.
"""

import asyncio
from functools import cached_property
from typing import Any

from jatevo.application.ports import OutcomeUnknown

_CONNECT_S, _READ_S = 1.0, 10.0
_NOT_THERE = frozenset({"NoSuchKey", "AccessDenied"})
"""S3 denies what is not there to those who may not list the bucket, as nobody here may."""


class S3Objects:
    """Objects of one bucket, by name. `endpoint_url` None: AWS's own for the region."""

    def __init__(self, bucket: str, region: str, endpoint_url: str | None = None) -> None:
        self._bucket = bucket
        self._region = region
        self._endpoint_url = endpoint_url

    async def put(self, name: str, data: bytes) -> None:
        """Store an object. Raises StoreError."""
        await self._call("put_object", Key=name, Body=data, ContentType="application/octet-stream")

    async def get(self, name: str) -> bytes | None:
        """Return an object, or None when there is none. Raises StoreError."""
        from botocore.exceptions import ClientError  # noqa: PLC0415 - only where something is that large

        def read() -> bytes | None:
            try:
                answer = self._client.get_object(Bucket=self._bucket, Key=name)
            except ClientError as error:
                if error.response.get("Error", {}).get("Code") in _NOT_THERE:
                    return None
                raise
            body: bytes = answer["Body"].read()
            return body

        return await _in_thread(read)

    async def delete(self, name: str) -> None:
        """Remove an object; one that is not there is no error. Raises StoreError."""
        await self._call("delete_object", Key=name)

    async def _call(self, operation: str, **arguments: Any) -> None:
        await _in_thread(lambda: getattr(self._client, operation)(Bucket=self._bucket, **arguments))

    @cached_property
    def _client(self) -> Any:
        import botocore.session  # noqa: PLC0415 - only where something is that large
        from botocore.config import Config  # noqa: PLC0415 - same

        config = Config(
            connect_timeout=_CONNECT_S, read_timeout=_READ_S, retries={"mode": "standard", "total_max_attempts": 3}
        )
        return botocore.session.get_session().create_client(
            "s3", region_name=self._region, endpoint_url=self._endpoint_url, config=config
        )


async def _in_thread[T](call: Any) -> T:
    from botocore.exceptions import BotoCoreError, ClientError  # noqa: PLC0415 - same

    try:
        result: T = await asyncio.to_thread(call)
    except (BotoCoreError, ClientError) as error:
        raise OutcomeUnknown(f"the bucket failed: {type(error).__name__}") from error
    return result
