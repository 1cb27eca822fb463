"""
Kept-alive connections, by where they lead.

Guarantees: a request goes out on one connection only. One that was kept is looked at first, and left when the peer has
closed it; should it be closed at that very moment, the request goes on to another only if the kernel took no byte of
it. Certificates are verified against certifi's roots; neither redirects nor proxies are followed.
"""

import asyncio
import ssl
from collections import defaultdict
from collections.abc import AsyncIterator, Awaitable
from contextlib import asynccontextmanager, suppress
from functools import cache

from jatevo.adapters.http1.errors import NothingSent
from jatevo.adapters.http1.exchange import Exchange
from jatevo.adapters.http1.link import Link, Origin, connected


@cache
def verifying() -> ssl.SSLContext:
    """Return what verifies servers; made on first use, for reading the roots takes 20 ms."""
    import certifi  # noqa: PLC0415 - only where something is encrypted

    context = ssl.create_default_context(cafile=certifi.where())
    context.set_alpn_protocols(["http/1.1"])
    return context


class Pool:
    """Connections for one event loop at a time. `most`: at once; `keep`, `keep_s`: how many stay, and for how long."""

    def __init__(
        self, *, connect_s: float, most: int, keep: int, keep_s: float, context: ssl.SSLContext | None = None
    ) -> None:
        self._connect_s = connect_s
        self._most = most
        self._keep = keep
        self._keep_s = keep_s
        self._context = context
        self._kept: dict[Origin, list[Link]] = defaultdict(list)
        self._loop: asyncio.AbstractEventLoop | None = None
        self._room: asyncio.Semaphore

    @asynccontextmanager
    async def exchange(
        self, origin: Origin, request: bytes, *, deadline: float, idle_s: float
    ) -> AsyncIterator[Exchange]:
        """
        Send a request and yield its answer, to be read within the context. `deadline`: in the loop's time.

        Raises HttpFailure.
        """
        room = self._places()
        if room.locked():
            await _in_time(room.acquire(), min(deadline, asyncio.get_running_loop().time() + self._connect_s))
        else:
            await room.acquire()
        try:
            exchange = await self._begun(origin, request, deadline, idle_s)
            try:
                yield exchange
            finally:
                self._done(origin, exchange)
        finally:
            room.release()

    def disconnect(self) -> None:
        """Close what is kept, in the thread of the loop that used it; the next request connects anew."""
        for links in self._kept.values():
            while links:
                links.pop().close()

    def _places(self) -> asyncio.Semaphore:
        """Return what bounds the connections of the running loop."""
        loop = asyncio.get_running_loop()
        if loop is not self._loop:
            self._loop, self._room = loop, asyncio.Semaphore(self._most)
        return self._room

    async def _begun(self, origin: Origin, request: bytes, deadline: float, idle_s: float) -> Exchange:
        while True:
            kept = self._kept_link(origin)
            exchange = Exchange(kept or await self._new_link(origin, deadline), deadline=deadline, idle_s=idle_s)
            try:
                await exchange.begin(request)
            except NothingSent:
                self._drop(exchange)
                if kept is None:
                    raise
            except BaseException:
                self._drop(exchange)
                raise
            else:
                return exchange

    def _kept_link(self, origin: Origin) -> Link | None:
        links, now = self._kept[origin], asyncio.get_running_loop().time()
        while links:
            link = links.pop()
            if now - link.idle_since < self._keep_s and link.is_quiet():
                return link
            link.close()
        return None

    async def _new_link(self, origin: Origin, deadline: float) -> Link:
        latest = min(deadline, asyncio.get_running_loop().time() + self._connect_s)
        try:
            return await _in_time(connected(origin, self._verifying), latest)
        except OSError as error:
            raise NothingSent("no connection") from error

    def _verifying(self) -> ssl.SSLContext:
        return self._context or verifying()

    def _done(self, origin: Origin, exchange: Exchange) -> None:
        if not exchange.reusable or len(self._kept[origin]) >= self._keep:
            self._drop(exchange)
            return
        exchange.end()
        exchange.link.idle_since = asyncio.get_running_loop().time()
        self._kept[origin].append(exchange.link)

    @staticmethod
    def _drop(exchange: Exchange) -> None:
        exchange.end()
        with suppress(OSError):
            exchange.link.close()


async def _in_time[T](wanted: Awaitable[T], latest: float) -> T:
    try:
        async with asyncio.timeout_at(latest):
            return await wanted
    except TimeoutError:
        raise NothingSent("no connection in time") from None
