"""
What stands around the functions when `sam local` runs them in containers: engine, model, tables, catalogue, demo key.

`make services` runs it. It writes `DATA/sam-env.json`, which `sam local start-api --env-vars` takes. Everything listens
on loopback; engine and model also where containers find this machine (`jatevo_local.containers`).
"""

import argparse
import json
import sys
import threading
from pathlib import Path

from jatevo_local import stack
from jatevo_local.containers import open_to_containers, usual_host
from jatevo_local.demo import Admin, apply_catalogue, demo_key, write_private
from jatevo_local.engine import AWS_ENVIRONMENT, start_engine
from jatevo_local.errors import StackError
from jatevo_local.lock import exclusive
from jatevo_local.model import start_model
from jatevo_local.ports import LOOPBACK, answers, free_port
from jatevo_local.processes import Children, Program
from jatevo_local.tables import PREFIX, create_missing_tables

_START = "scripts/sam local start-api --env-vars"


def start(data: Path, children: Children, host: str) -> str:
    """Start everything, write the file for containers that find this machine at `host`, and return the demo key."""
    engine_port, model_port = free_port(), free_port()
    engine = start_engine(children, engine_port, data / "dynamodb.db")
    create_missing_tables(engine.endpoint_url)
    # Without a key: `sam local` passes on only what the template names, and a model's key is not among that.
    start_model(children, model_port)
    open_to_containers(host, [engine_port, model_port])
    token = stack.kept_secret(data / "admin-token")
    settings = {
        "JATEVO_DYNAMODB_ENDPOINT": engine.endpoint_url,
        "JATEVO_TABLE_PREFIX": PREFIX,
        "JATEVO_OPERATOR_TOKEN": token,
        "JATEVO_PUBLIC_URL": "http://127.0.0.1:3000",  # where `sam local start-api` listens
    }
    in_containers = settings | {"JATEVO_DYNAMODB_ENDPOINT": f"http://{host}:{engine_port}"}
    write_private(data / "sam-env.json", json.dumps({"Parameters": in_containers}, indent=2) + "\n")
    places = stack.model_addresses([f"http://{host}:{model_port}/v1"])
    return _set_up(data, children, token, {**AWS_ENVIRONMENT, **settings, **places})


def _set_up(data: Path, children: Children, token: str, environment: dict[str, str]) -> str:
    """Apply the catalogue and make the demo key, as an operator would, through a gateway that serves just this."""
    port = free_port()
    gateway = children.start(
        Program(
            "gateway",
            [sys.executable, "-m", "jatevo_local.gateway", "--port", str(port)],
            ready=lambda: answers(port, "/health"),
            environment=environment,
        )
    )
    admin = Admin(f"http://{LOOPBACK}:{port}", token)
    try:
        apply_catalogue(admin, stack.CATALOGUE)
        return demo_key(admin, data / "demo.json")
    finally:
        admin.close()
        gateway.stop()


def main() -> int:
    parser = argparse.ArgumentParser(prog="jatevo_local.services", description="Run what `sam local` needs around it.")
    parser.add_argument("--data", type=Path, default=Path(".local"))
    parser.add_argument(
        "--host",
        default=usual_host(),
        help="where containers find this machine: an address or a name (default: %(default)s)",
    )
    options = parser.parse_args()
    data: Path = options.data
    data.mkdir(parents=True, exist_ok=True)
    stack.stop_on_signals()
    try:
        with exclusive(data), Children(data / "logs") as children:
            key = start(data, children, options.host)
            print(f"\nready; demo key {key}\n\n  {_START} {data}/sam-env.json", flush=True)
            threading.Event().wait()
    except stack.Stopped:
        print("stopped", flush=True)
    except StackError as error:
        print(f"jatevo: {error}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
