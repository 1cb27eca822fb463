"""
Many clients at once: real processes, each sending its share of the requests in one breath.

Nothing but sockets and JSON on the client's side, so that the burst is over before the gateway has answered much.
"""

import asyncio
import json
from collections import Counter
from collections.abc import Sequence
from multiprocessing.synchronize import Barrier
from typing import Any

from jatevo_testing.gateway import FORKS
from jatevo_testing.served import chat

type Outcomes = Counter[tuple[int, str]]
"""How many answers had which status and error code ("" without one)."""

_PATIENCE_S = 60


async def burst(
    ports: Sequence[int], secret: str, *, processes: int = 8, requests: int = 200, body: dict[str, Any] | None = None
) -> Outcomes:
    """Send `requests` in all from `processes` processes, spread over gateways on `ports`, and count the answers."""
    raw = request(secret, chat(**body or {}))
    barrier, answers = FORKS.Barrier(processes), FORKS.SimpleQueue()
    crowd = [
        FORKS.Process(
            target=_member,
            args=(ports[place % len(ports)], raw, len(range(place, requests, processes)), barrier, answers),
            daemon=True,
        )
        for place in range(processes)
    ]
    for member in crowd:
        member.start()
    outcomes: Outcomes = Counter()
    for _ in crowd:
        outcomes.update(await asyncio.to_thread(answers.get))
    for member in crowd:
        member.join()
        member.close()
    return outcomes


def request(secret: str, body: dict[str, Any]) -> bytes:
    raw = json.dumps(body).encode()
    head = f"POST /v1/chat/completions HTTP/1.1\r\nhost: x\r\nauthorization: Bearer {secret}\r\nconnection: close\r\n"
    return f"{head}content-length: {len(raw)}\r\n\r\n".encode() + raw


def _member(port: int, raw: bytes, count: int, barrier: Barrier, answers: Any) -> None:
    barrier.wait(_PATIENCE_S)
    answers.put(asyncio.run(_all_at_once(port, raw, count)))


async def _all_at_once(port: int, raw: bytes, count: int) -> Outcomes:
    async with asyncio.timeout(_PATIENCE_S):
        return Counter(await asyncio.gather(*(_one(port, raw) for _ in range(count))))


async def _one(port: int, raw: bytes) -> tuple[int, str]:
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    writer.write(raw)
    head, _, body = (await reader.read()).partition(b"\r\n\r\n")
    writer.close()
    status = int(head.split(b" ", 2)[1])
    return status, json.loads(body)["error"]["code"] if status != 200 else ""
