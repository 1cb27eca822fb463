"""
The DynamoDB-compatible engine under the local stack and under the tests.

| engine | kept on disk | what it is for |
|---|---|---|
| Dynoxide | yes, every commit | the local stack: exact, starts in milliseconds, survives SIGKILL |
| ExtendDB | not as started here | a second opinion in tests: verifies signatures, indexes lag, time-to-live fires |
| ministack | when it ends in order | where neither fits: exact too, but SIGKILL loses everything |

All three apply conditional updates and transactions exactly under concurrency. moto does not, so it is never used here:
it would let tests pass, and money vanish, that a real table would refuse. No engine reports throttling or transaction
conflicts; tests inject those.

Dynoxide ends when an expression contains a literal character outside ASCII: pass names and values through `#name` and
`:value`. It neither checks signatures nor removes items whose time to live is over.
"""

import argparse
import os
import platform
import sys
from dataclasses import dataclass
from pathlib import Path

from jatevo_local.errors import StackError
from jatevo_local.ports import LOOPBACK, accepts_connections, answers
from jatevo_local.processes import Child, Children, Program

PROJECT = Path(__file__).resolve().parents[2]
PACKAGES = PROJECT / "local" / "engines" / "node_modules"
MINISTACK = PROJECT / ".tools" / "ministack" / "bin" / "ministack"

# AWS's documented example credentials: every engine here accepts them, and they open nothing else.
REGION = "us-east-1"
ACCESS_KEY_ID = "AKIAIOSFODNN7EXAMPLE"
SECRET_ACCESS_KEY = "wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY"  # noqa: S105 - published by AWS as an example
AWS_ENVIRONMENT = {
    "AWS_ACCESS_KEY_ID": ACCESS_KEY_ID,
    "AWS_SECRET_ACCESS_KEY": SECRET_ACCESS_KEY,
    "AWS_DEFAULT_REGION": REGION,
    "AWS_REGION": REGION,
    "AWS_EC2_METADATA_DISABLED": "true",
}


@dataclass(frozen=True, slots=True)
class Engine:
    """
    An engine that is ready. `persistent` says whether it finds every commit again however it ended.
    """

    name: str
    endpoint_url: str
    process: Child
    persistent: bool


def packaged(maker: str) -> Path | None:
    """
    The binary that a package `@maker/SYSTEM-CPU` brought for this machine, or None.
    """
    cpu = {"x86_64": "x64", "amd64": "x64", "aarch64": "arm64"}.get(platform.machine().lower(), platform.machine())
    binary = PACKAGES / f"@{maker}" / f"{sys.platform}-{cpu}" / maker
    return binary if os.access(binary, os.X_OK) else None


def start_engine(children: Children, port: int, db_path: Path) -> Engine:
    """
    The local stack's engine: Dynoxide on disk or, where no Dynoxide fits this machine, ministack, said in one line.
    """
    if packaged("dynoxide") is not None:
        return start_dynoxide(children, port, db_path)
    print(
        f"no Dynoxide for {sys.platform} on {platform.machine()}: using ministack, which loses its data if it crashes"
    )
    return start_ministack(children, port, db_path.with_name("ministack"))


def start_dynoxide(children: Children, port: int, db_path: Path | None = None) -> Engine:
    """
    Dynoxide with its data in `db_path`, or in memory without one.
    """
    argv = [str(required("dynoxide")), "serve", "--host", LOOPBACK, "--port", str(port)]
    if db_path is not None:
        db_path.parent.mkdir(parents=True, exist_ok=True)
        argv += ["--db-path", str(db_path)]
    program = Program("dynoxide", argv, ready=lambda: accepts_connections(port))
    return Engine("dynoxide", url(port), children.start(program), persistent=db_path is not None)


def start_extenddb(children: Children, port: int) -> Engine:
    """
    ExtendDB in memory.
    """
    program = Program(
        "extenddb",
        [str(required("extenddb")), "serve", "--foreground"],
        ready=lambda: accepts_connections(port),
        environment={"EXTENDDB__SERVER__PORT": str(port), "EXTENDDB__STORAGE__SQLITE__PATH": ":memory:"},
    )
    return Engine("extenddb", url(port), children.start(program), persistent=False)


def start_ministack(children: Children, port: int, state: Path) -> Engine:
    """
    In memory, saved to the folder `state` when it is stopped and read from there when it starts.
    """
    if not MINISTACK.exists():
        raise StackError(f"no database engine runs on {sys.platform} {platform.machine()}; run `make setup`")
    program = Program(
        "ministack",
        [str(MINISTACK)],
        ready=lambda: answers(port, "/_ministack/health"),
        environment={
            "BIND_HOST": LOOPBACK,
            "GATEWAY_PORT": str(port),
            "SERVICES": "dynamodb",
            "PERSIST_STATE": "1",
            "STATE_DIR": str(state),
        },
    )
    return Engine("ministack", url(port), children.start(program), persistent=False)


def required(maker: str) -> Path:
    binary = packaged(maker)
    if binary is None:
        raise StackError(f"{maker} is not installed for {sys.platform} on {platform.machine()}; run `make setup`")
    return binary


def url(port: int) -> str:
    return f"http://{LOOPBACK}:{port}"


def main() -> int:
    """
    Says which packaged engines this machine can run; status 1 when it cannot run Dynoxide.
    """
    parser = argparse.ArgumentParser(prog="jatevo_local.engine", description=main.__doc__)
    parser.parse_args()
    for maker in ("dynoxide", "extenddb"):
        print(f"{maker}: {packaged(maker) or 'none for this machine'}")
    return 0 if packaged("dynoxide") else 1


if __name__ == "__main__":
    sys.exit(main())
