"""Waiting for a condition: the only way in which tests wait."""

import asyncio
from collections.abc import Awaitable, Callable

_POLL_S = 0.02


async def eventually[T](look: Callable[[], Awaitable[T]], *, within_s: float = 10.0) -> T:
    """Return what `look` finds as soon as that is true. Raises TimeoutError."""
    async with asyncio.timeout(within_s):
        while True:
            found = await look()
            if found:
                return found
            await asyncio.sleep(_POLL_S)
