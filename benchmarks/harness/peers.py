"""
Other gateways over the same stub: how each is set up, and what it was told to check.

They are installed from their packages, by version, into `.tools/peers` (`scripts/peers`); none is part of this
repository. Each is told to send nothing anywhere else, and to keep its data in a folder that ends with the run.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx

from harness import meter
from harness.subjects import Laboratory, Subject
from jatevo_local.ports import accepts_connections, free_port
from jatevo_local.processes import Program

PEERS = Path(__file__).parents[2] / ".tools" / "peers"
_SECRET = "sk-benchmark-0123456789"  # noqa: S105 - opens nothing but a process on loopback
_READY_S = 120.0


@dataclass(frozen=True, slots=True)
class Running:
    """A gateway that answers. `ready_cpu_s`: what it took until it listened; `checks`: what it checks on a request."""

    subject: Subject
    checks: str
    ready_cpu_s: float


@dataclass(frozen=True, slots=True)
class Place:
    """Where a peer runs: its port, a folder of its own, and the stub's address, which ends in `/v1`."""

    port: int
    folder: Path
    stub_url: str

    @property
    def base_url(self) -> str:
        return f"http://127.0.0.1:{self.port}"


@dataclass(frozen=True, slots=True)
class Peer:
    """How to start a gateway: `command` and `environment`, and what to do when it serves."""

    name: str
    checks: str
    command: Callable[[Place], Sequence[str]]
    environment: Callable[[Place], Mapping[str, str]]
    model: str
    headers: Callable[[Place], Mapping[str, str]]
    """What a client sends, after this has set up what must be."""
    ready: str | None = None
    """A path that answers with 200 once it serves; None: it serves when it listens."""


def start(lab: Laboratory, peer: Peer) -> Running:
    """Start a peer in processes of its own. Raises StackError when it does not come up, httpx.HTTPError."""
    place = Place(free_port(), lab.logs / peer.name.replace(" ", "-"), lab.stub_url)
    place.folder.mkdir()

    def ready() -> bool:
        return accepts_connections(place.port) and (peer.ready is None or _answers(place.base_url + peer.ready))

    quiet = {"NO_PROXY": "*", "DO_NOT_TRACK": "1", "HOME": str(place.folder)}
    environment = {**quiet, **peer.environment(place)}
    program = Program(peer.name, peer.command(place), ready, environment, ready_timeout_s=_READY_S, restart=False)
    child = lab.children.start(program)
    cpu_s = meter.cpu_s(meter.family(child.pid))
    url = f"{place.base_url}/v1/chat/completions"
    subject = Subject(peer.name, url, peer.model, lambda: meter.family(child.pid), peer.headers(place))
    return Running(subject, peer.checks, cpu_s)


def _answers(url: str) -> bool:
    try:
        return httpx.get(url, timeout=5).status_code == 200
    except httpx.HTTPError:
        return False


_LITELLM = """
model_list:
  - model_name: bench
    litellm_params:
      model: openai/stub
      api_base: "{stub_url}"
      api_key: x
      input_cost_per_token: 1.0e-6
      output_cost_per_token: 2.0e-6
litellm_settings: {{telemetry: false, num_retries: 0}}
general_settings: {{master_key: {secret}}}
{budget}
"""
_LITELLM_BUDGET = 'router_settings: {provider_budget_config: {openai: {budget_limit: 1000000, time_period: "1d"}}}'


def _litellm(place: Place, budget: str) -> Sequence[str]:
    path = place.folder / "config.yaml"
    path.write_text(_LITELLM.format(stub_url=place.stub_url, secret=_SECRET, budget=budget))
    program = str(PEERS / "litellm" / "bin" / "litellm")
    return [program, "--config", str(path), "--host", "127.0.0.1", "--port", str(place.port), "--telemetry", "False"]


def _litellm_environment(_: Place) -> Mapping[str, str]:
    return {"LITELLM_LOCAL_MODEL_COST_MAP": "True", "LITELLM_LOG": "ERROR", "LITELLM_MODE": "PRODUCTION"}


def _with_master_key(_: Place) -> Mapping[str, str]:
    return {"authorization": f"Bearer {_SECRET}"}


def _codex_lb(place: Place) -> Sequence[str]:
    return [str(PEERS / "codex-lb" / "bin" / "codex-lb"), "--host", "127.0.0.1", "--port", str(place.port)]


def _codex_lb_environment(place: Place) -> Mapping[str, str]:
    return {
        "CODEX_LB_DATA_DIR": str(place.folder),
        "CODEX_LB_TELEMETRY_ENABLED": "false",
        "CODEX_LB_MODEL_REGISTRY_ENABLED": "false",
        "CODEX_LB_USAGE_REFRESH_ENABLED": "false",
        "CODEX_LB_RATE_LIMIT_RESET_CREDITS_REFRESH_ENABLED": "false",
        "CODEX_LB_DASHBOARD_AUTH_MODE": "disabled",
        "CODEX_LB_UPSTREAM_BASE_URL": "http://127.0.0.1:9",
    }


def _codex_lb_set_up(place: Place) -> Mapping[str, str]:
    """Add the stub as a source of one priced model, ask for keys, and make one with a budget of a day."""
    model = {"model": "bench", "inputPer1M": 1.0, "outputPer1M": 2.0, "contextWindow": 1_000_000}
    source = {"name": "stub", "baseUrl": place.stub_url, "apiKey": "x", "models": [model]}
    limits = [{"limitType": "cost_usd", "limitWindow": "daily", "maxValue": 10**12}]
    with httpx.Client(base_url=place.base_url, timeout=30) as client:
        _sent(client.post("/api/model-sources/", json=source))
        settings = _sent(client.get("/api/settings"))
        _sent(client.put("/api/settings", json={"expectedVersion": settings.get("version"), "apiKeyAuthEnabled": True}))
        key = _sent(client.post("/api/api-keys/", json={"name": "bench", "limits": limits}))["key"]
    return {"authorization": f"Bearer {key}"}


def _sent(answer: httpx.Response) -> Any:
    if answer.is_error:
        raise httpx.HTTPError(f"{answer.request.url}: {answer.status_code} {answer.text[:300]}")
    return answer.json()


def _portkey(place: Place) -> Sequence[str]:
    program = PEERS / "portkey" / "node_modules" / "@portkey-ai" / "gateway" / "build" / "start-server.js"
    return ["/usr/bin/env", "node", str(program), f"--port={place.port}", "--headless"]


def _portkey_headers(place: Place) -> Mapping[str, str]:
    return {"x-portkey-provider": "openai", "x-portkey-custom-host": place.stub_url, "authorization": "Bearer x"}


ALL = [
    Peer(
        "codex-lb",
        "a key, its daily budget in dollars, on SQLite",
        _codex_lb,
        _codex_lb_environment,
        "bench",
        _codex_lb_set_up,
        "/health/ready",
    ),
    Peer(
        "LiteLLM with a budget",
        "one master key; a daily budget of the provider, in memory",
        lambda place: _litellm(place, _LITELLM_BUDGET),
        _litellm_environment,
        "bench",
        _with_master_key,
        "/health/readiness",
    ),
    Peer(
        "LiteLLM",
        "one master key; no budget",
        lambda place: _litellm(place, ""),
        _litellm_environment,
        "bench",
        _with_master_key,
        "/health/readiness",
    ),
    Peer(
        "Portkey",
        "nothing: its open-source gateway has no keys and no budgets",
        _portkey,
        lambda _: {"NODE_ENV": "production"},
        "stub",
        _portkey_headers,
    ),
]
