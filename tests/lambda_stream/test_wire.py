"""What the other side of the Runtime API may say that is no answer, and what is said of it."""

import asyncio
import os
import socket
import subprocess
import sys
from pathlib import Path

import pytest

from lambda_response_stream.runtime_api import RuntimeApi
from lambda_response_stream.wire import ProtocolError

HERE = Path(__file__).parent
LOOP = HERE.parents[1] / "layers" / "response_stream" / "lambda_response_stream" / "__main__.py"


@pytest.mark.parametrize(
    "said",
    [
        b"",
        b"nonsense\r\n\r\n",
        b"HTTP/1.1 2x0 OK\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nContent-Length: x\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nContent-Length: -1\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nabc",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nabc",
        b"HTTP/1.1 500 No\r\nContent-Length: 0\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nX: " + b"x" * 100_000,
    ],
)
async def test_what_is_no_answer_is_a_protocol_error(said: bytes) -> None:
    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(said)
        writer.close()

    async with await asyncio.start_server(answer, "127.0.0.1", 0) as server:
        host, port = server.sockets[0].getsockname()
        with pytest.raises((ProtocolError, ConnectionResetError)):
            await RuntimeApi(f"{host}:{port}").next()


def test_a_runtime_api_that_is_gone_is_one_clear_line() -> None:
    with socket.create_server(("127.0.0.1", 0)) as nobody:
        port = nobody.getsockname()[1]
    environment = {
        "AWS_LAMBDA_RUNTIME_API": f"127.0.0.1:{port}",
        "_HANDLER": "odd.app_without_lifespan",
        "LAMBDA_TASK_ROOT": str(HERE / "apps"),
        "PATH": os.environ["PATH"],
    }
    done = subprocess.run(
        [sys.executable, str(LOOP)], env=environment, capture_output=True, text=True, check=False, timeout=30
    )
    assert done.returncode == 1
    assert done.stderr == ""
    [line] = done.stdout.splitlines()
    assert line.startswith("response-stream: the Runtime API cannot be spoken to: ")
