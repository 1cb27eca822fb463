"""
The gateway as it was built, as one process on this machine: `make build`'s functions under the local Lambda, behind the
local API Gateway, under the stage's prefix. What `jatevo local --lambda` runs in the place of `gateway`.
"""

import argparse
import asyncio
import os
import signal
from pathlib import Path

from jatevo_local.built_stack import built_stack

_PASSED_ON = ("JATEVO_", "AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_EC2_METADATA_DISABLED")


async def serve(port: int, logs: Path) -> None:
    """Serve until SIGTERM."""
    stopped = asyncio.Event()
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, stopped.set)
    environment = {name: value for name, value in os.environ.items() if name.startswith(_PASSED_ON)}
    async with built_stack({"": environment}, logs, port=port):
        await stopped.wait()


def main() -> None:
    parser = argparse.ArgumentParser(prog="jatevo_local.built_gateway")
    parser.add_argument("--port", type=int, required=True)
    parser.add_argument("--logs", type=Path, required=True)
    options = parser.parse_args()
    options.logs.mkdir(parents=True, exist_ok=True)
    asyncio.run(serve(options.port, options.logs))


if __name__ == "__main__":
    main()
