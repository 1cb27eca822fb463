"""
Many clients at once: real processes, each sending its share of the requests in one breath.

Nothing but sockets and JSON on the client's side, so that the burst is over before the gateway has answered much.
"""

import asyncio
import json
from collections import Counter
from collections.abc import Sequence
from multiprocessing.connection import Connection
from multiprocessing.synchronize import Barrier
from typing import Any

from jatevo_testing.gateway import FORKS
from jatevo_testing.served import chat

type Outcomes = Counter[tuple[int, str]]
"""How many answers had which status and error code ("" without one)."""

_PATIENCE_S = 40


class _Member:
    """One client process with its share of the requests."""

    def __init__(self, port: int, raw: bytes, count: int, barrier: Barrier) -> None:
        self._answers, teller = FORKS.Pipe(duplex=False)
        self._process = FORKS.Process(target=_ask, args=(teller, port, raw, count, barrier), daemon=True)
        self._process.start()
        teller.close()

    def outcomes(self) -> Outcomes:
        """Wait for its answers. Raises EOFError when it failed; its own words are on stderr."""
        assert self._answers.poll(2 * _PATIENCE_S), "a client did not come back"
        found: Outcomes = self._answers.recv()
        self._answers.close()
        self._process.join()
        self._process.close()
        return found


async def burst(
    ports: Sequence[int], secret: str, *, processes: int = 8, requests: int = 200, body: dict[str, Any] | None = None
) -> Outcomes:
    """Send `requests` in all from `processes` processes, spread over gateways on `ports`, and count the answers."""
    raw = request(secret, chat(**body or {}))
    barrier = FORKS.Barrier(processes)
    shares = [len(range(place, requests, processes)) for place in range(processes)]
    crowd = [_Member(ports[place % len(ports)], raw, share, barrier) for place, share in enumerate(shares)]
    outcomes: Outcomes = Counter()
    for member in crowd:
        outcomes.update(await asyncio.to_thread(member.outcomes))
    return outcomes


def request(secret: str, body: dict[str, Any]) -> bytes:
    raw = json.dumps(body).encode()
    head = f"POST /v1/chat/completions HTTP/1.1\r\nhost: x\r\nauthorization: Bearer {secret}\r\nconnection: close\r\n"
    return f"{head}content-length: {len(raw)}\r\n\r\n".encode() + raw


def _ask(teller: Connection, port: int, raw: bytes, count: int, barrier: Barrier) -> None:
    barrier.wait(_PATIENCE_S)
    teller.send(asyncio.run(_all_at_once(port, raw, count)))


async def _all_at_once(port: int, raw: bytes, count: int) -> Outcomes:
    async with asyncio.timeout(_PATIENCE_S):
        return Counter(await asyncio.gather(*(_one(port, raw) for _ in range(count))))


async def _one(port: int, raw: bytes) -> tuple[int, str]:
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    writer.write(raw)
    head, _, body = (await reader.read()).partition(b"\r\n\r\n")
    writer.close()
    assert head, "the gateway hung up without an answer"
    status = int(head.split(b" ", 2)[1])
    return status, json.loads(body)["error"]["code"] if status != 200 else ""
