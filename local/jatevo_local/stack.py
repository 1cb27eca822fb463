"""
The whole gateway on one machine: engine, model, gateway and scheduled jobs, started and ended together.

Guarantees: only this machine can reach it; data and secrets stay under `data`; a second start finds them again; each
thing that can be wrong with the machine is one line; when this process ends, however it ends, so do its children.
"""

import contextlib
import json
import os
import secrets
import signal
import socket
import sys
import threading
from dataclasses import dataclass
from pathlib import Path
from types import FrameType

from jatevo_local.demo import Admin, apply_catalogue, demo_key, wait_for_price, write_private
from jatevo_local.demo_chain import TOKENS, DemoChain, start_demo_chain
from jatevo_local.engine import AWS_ENVIRONMENT, PROJECT, Engine, start_engine
from jatevo_local.errors import StackError, explain
from jatevo_local.lock import exclusive
from jatevo_local.model import start_model
from jatevo_local.ports import LOOPBACK, answers, free_port, require_free
from jatevo_local.processes import Children, Program
from jatevo_local.tables import PREFIX, create_missing_tables

CATALOGUE = PROJECT / "local" / "catalog.toml"
_MODEL_KEY = "JATEVO_LOCAL_MODEL_KEY"
_MODELS = ("JATEVO_LOCAL_MODEL", "JATEVO_LOCAL_MODEL_2")


class Stopped(BaseException):
    """A signal asked this process to end."""


@dataclass(frozen=True, slots=True)
class Options:
    """What to run, and where its data is."""

    port: int
    data: Path
    built: bool = False
    """Run what `make build` made, as Lambda would, instead of the sources."""
    models: int = 2
    """Processes of the model: two, each a pool of its own, or one behind both pools."""

    @property
    def url(self) -> str:
        return f"http://{LOOPBACK}:{self.port}{'/prod' if self.built else ''}"


def run(options: Options) -> int:
    """Run the stack until SIGINT or SIGTERM. Returns the exit status."""
    os.umask(0o077)  # data and logs are for their owner
    stop_on_signals()
    try:
        _make_folder(options.data)
        with exclusive(options.data), Children(options.data / "logs") as children:
            _start(options, children)
            threading.Event().wait()
    except Stopped:
        with contextlib.suppress(OSError):  # nobody may be left to read it
            print("stopped", flush=True)
    except StackError as error:
        print(f"jatevo: {error}", file=sys.stderr)
        return 1
    return 0


def _start(options: Options, children: Children) -> None:
    require_free(options.port, purpose="the gateway", remedy="choose another one: make run PORT=8001")
    engine = start_engine(children, free_port(), options.data / "dynamodb.db")
    created = create_missing_tables(engine.endpoint_url)
    (options.data / "engine-url").write_text(engine.endpoint_url)  # for `jatevo tables --local`
    model_key = kept_secret(options.data / "model-key")
    models = [start_model(children, _kept_port(port), model_key, name) for name, port in _models(options)]
    token = kept_secret(options.data / "admin-token")
    chain = start_demo_chain(children, _kept_port(options.data / "chain-port"), options.data)
    environment = {
        **AWS_ENVIRONMENT,
        "JATEVO_DYNAMODB_ENDPOINT": engine.endpoint_url,
        "JATEVO_TABLE_PREFIX": PREFIX,
        "JATEVO_PLAYGROUND": "on",
        "JATEVO_OPERATOR_TOKEN": token,
        "JATEVO_PUBLIC_URL": options.url,
        **({} if chain is None else chain.environment()),
        _MODEL_KEY: model_key,
        **model_addresses([model.base_url for model in models]),
    }
    telemetry = telemetry_folder(options.data)
    children.start(_gateway(options, {**environment, **told_in(telemetry, "gateway")}, chain))
    jobs = [sys.executable, "-m", "jatevo_local.jobs"]
    children.start(Program("jobs", jobs, environment={**environment, **told_in(telemetry, "jobs")}))
    admin = Admin(options.url, token)
    apply_catalogue(admin, CATALOGUE)
    key = demo_key(admin, options.data / "demo.json")
    if chain is not None:
        admin.ask("POST", "/holdings/snapshot")
        wait_for_price(admin)
    admin.close()
    _print_welcome(options, engine, key, token, first=bool(created))
    if chain is not None:
        _print_wallet(options, chain)
    print("\nCtrl-C ends it.", flush=True)


def _models(options: Options) -> list[tuple[str, Path]]:
    """Return the names of the model's processes, and where the port of each is kept."""
    names = ["model", "model-2"][: options.models]
    return [(name, options.data / f"{name}-port") for name in names]


def telemetry_folder(data: Path) -> Path:
    """Return where the stack's processes write what they measure."""
    folder = (data / "metrics").resolve()  # built functions run elsewhere
    _make_folder(folder)
    return folder


def told_in(folder: Path, process: str) -> dict[str, str]:
    """Return the settings of how a process tells of itself; those of this process's own environment stand."""
    own = {name: os.environ[name] for name in ("JATEVO_LOG_FORMAT", "JATEVO_LOG_LEVEL") if name in os.environ}
    return {"JATEVO_LOG_FORMAT": "text", "JATEVO_METRICS": str(folder / f"{process}.jsonl"), **own}


def model_addresses(base_urls: list[str]) -> dict[str, str]:
    """Return where the catalogue's pools are, and count tokens: with one process for both, the same addresses twice."""
    addresses = {}
    for place, name in enumerate(_MODELS):
        base_url = base_urls[min(place, len(base_urls) - 1)]
        addresses[f"{name}_URL"] = base_url
        addresses[f"{name}_TOKENIZER_URL"] = base_url.removesuffix("/v1")
    return addresses


def _gateway(options: Options, environment: dict[str, str], chain: DemoChain | None) -> Program:
    """Return the process that serves: the functions' apps in one, or what was built under the local Lambda."""
    argv = [sys.executable, "-m", "jatevo_local.gateway", "--port", str(options.port)]
    ready = "/health"
    if options.built:
        argv[2] = "jatevo_local.built_gateway"
        argv += ["--logs", str(options.data / "logs" / "lambda")]
        ready = "/prod/health"
    elif chain is not None:
        argv += ["--demo-wallet", str(chain.key_file)]
    return Program(
        "gateway", argv, ready=lambda: answers(options.port, ready), environment=environment, stop_timeout_s=35.0
    )


def _print_welcome(options: Options, engine: Engine, key: str, token: str, *, first: bool) -> None:
    url = options.url
    body = json.dumps({"model": "smollm2", "messages": [{"role": "user", "content": "Say hello."}], "stream": True})
    state = "new" if first else "found again"
    print(
        f"""
Jatevo Gateway is ready: {url}

  demo key      {key}
                11 requests and $11.00 a day, for any OpenAI client with base_url {url}/v1
  admin token   {token}
                also in {options.data / "admin-token"}; try: .venv/bin/jatevo admin account list
  data          {options.data} ({state}; engine {engine.name}, logs in {options.data / "logs"})

  curl -N {url}/v1/chat/completions \\
    -H 'Authorization: Bearer {key}' -H 'Content-Type: application/json' \\
    -d '{body}'""",
        flush=True,
    )


def _print_wallet(options: Options, chain: DemoChain) -> None:
    print(
        f"""
  demo wallet   {chain.wallet}
                holds {TOKENS} demo tokens worth $1.00 each on the chain {chain.url}; its key: {chain.key_file}
                sign in with it at {options.url}/dashboard""",
        flush=True,
    )


def stop_on_signals() -> None:
    """Leave whatever is being done at the first SIGINT or SIGTERM; further ones do not disturb the clearing up."""

    def handler(_number: int, _frame: FrameType | None) -> None:
        signal.signal(signal.SIGINT, signal.SIG_IGN)
        signal.signal(signal.SIGTERM, signal.SIG_IGN)
        raise Stopped

    signal.signal(signal.SIGINT, handler)
    signal.signal(signal.SIGTERM, handler)


def _make_folder(folder: Path) -> None:
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise explain(error, f"making {folder}") from error


def kept_secret(file: Path) -> str:
    """Return the secret in `file`, made on first use."""
    try:
        if file.exists() and (kept := file.read_text().strip()):
            return kept
    except OSError as error:
        raise explain(error, f"reading {file}") from error
    secret = secrets.token_urlsafe(32)
    write_private(file, secret + "\n")
    return secret


def _kept_port(file: Path) -> int:
    """Return the port used last time while it is free, so that the catalogue need not change; else a free one."""
    try:
        port = int(file.read_text())
        with socket.socket() as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            probe.bind((LOOPBACK, port))
    except (OSError, ValueError, OverflowError):
        port = free_port()
        write_private(file, str(port))
    return port
