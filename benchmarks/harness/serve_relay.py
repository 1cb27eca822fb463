"""
What lies under any gateway of this shape: a relay on uvicorn that decides, checks and counts nothing.

    STUB=http://…/v1 WRITES=3 python benchmarks/harness/serve_relay.py PORT

It takes a request, passes its bytes to the stub and the stub's bytes back, over this gateway's own HTTP client. With
WRITES above 0 it also sends so many signed writes to DynamoDB, where the gateway sends its own: one before the stub is
asked, the others before an answer ends. What the gateway takes above that is its own doing.
"""

import asyncio
import os
import sys
from typing import Any

import uvicorn

from jatevo.adapters.dynamodb.client import ClientOptions, DynamoClient
from jatevo.adapters.dynamodb.credentials import Credentials
from jatevo.adapters.http1.address import address_of
from jatevo.adapters.http1.exchange import Exchange
from jatevo.adapters.http1.pool import Pool

_MOST_BYTES = 10_000_000
_IDLE_S = 60.0
_CREDENTIALS = {"AWS_ACCESS_KEY_ID": "x", "AWS_SECRET_ACCESS_KEY": "y"}


class Relay:
    """The ASGI app. `writes`: to the table named `table`, of each request."""

    def __init__(self, stub_url: str, writes: int, endpoint_url: str, table: str) -> None:
        self._stub = address_of(f"{stub_url}/chat/completions")
        self._pool = Pool(connect_s=5.0, most=1000, keep=100, keep_s=4.0)
        self._dynamodb = DynamoClient(ClientOptions("us-east-1", endpoint_url), credentials=Credentials(_CREDENTIALS))
        self._writes = writes
        self._table = table
        self._served = 0

    async def __call__(self, _scope: Any, receive: Any, send: Any) -> None:
        body = b""
        more = True
        while more:
            message = await receive()
            body += message.get("body", b"")
            more = message.get("more_body", False)
        self._served += 1
        key = f"{self._served % 1000}"
        await self._write(key, min(self._writes, 1))
        deadline = asyncio.get_running_loop().time() + _IDLE_S
        async with self._pool.exchange(
            self._stub.origin, self._request(body), deadline=deadline, idle_s=_IDLE_S
        ) as exchange:
            if "content-length" in exchange.headers:
                await self._whole(exchange, key, send)
            else:
                await self._streamed(exchange, key, send)

    async def _whole(self, exchange: Exchange, key: str, send: Any) -> None:
        data = await exchange.read_all(_MOST_BYTES)
        await self._write(key, self._writes - 1)
        length = str(len(data)).encode()
        await send({"type": "http.response.start", "status": 200, "headers": [(b"content-length", length)]})
        await send({"type": "http.response.body", "body": data})

    async def _streamed(self, exchange: Exchange, key: str, send: Any) -> None:
        await send({"type": "http.response.start", "status": 200, "headers": []})
        while data := await exchange.read():
            await send({"type": "http.response.body", "body": data, "more_body": True})
        await self._write(key, self._writes - 1)
        await send({"type": "http.response.body", "body": b""})

    async def _write(self, key: str, times: int) -> None:
        for _ in range(times):
            item = {"book": {"S": "relay"}, "reservation_id": {"S": key}}
            await self._dynamodb.once("put_item", TableName=self._table, Item=item)

    def _request(self, body: bytes) -> bytes:
        head = f"POST {self._stub.path} HTTP/1.1\r\nhost: {self._stub.host}\r\ncontent-type: application/json\r\n"
        return f"{head}content-length: {len(body)}\r\n\r\n".encode() + body


def serve(port: int) -> None:
    table = f"{os.environ['JATEVO_TABLE_PREFIX']}-ledger"
    relay = Relay(os.environ["STUB"], int(os.environ["WRITES"]), os.environ["JATEVO_DYNAMODB_ENDPOINT"], table)
    uvicorn.run(
        relay, port=port, log_level="warning", server_header=False, proxy_headers=False, ws="none", lifespan="off"
    )


if __name__ == "__main__":
    serve(int(sys.argv[1]))
