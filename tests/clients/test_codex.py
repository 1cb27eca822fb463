"""The Codex CLI, headless and without a login: under both base URLs, with a tool that edits a file, and refused."""

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import pytest
from jatevo_testing.clients import CODEX, Shop, said
from jatevo_testing.tool_scripts import calling

BASES = ("/v1", "/backend-api/codex")
BARE = """
web_search = "disabled"
include_permissions_instructions = false
include_apps_instructions = false
include_environment_context = false
[features]
goals = false
shell_tool = false
unified_exec = false
[agents]
enabled = false
[skills]
include_instructions = false
[skills.bundled]
enabled = false
"""
"""Settings that leave Codex almost nothing to say: its usual 40 KB are more than the small model's context."""


@dataclass
class Codex:
    """Codex in a home and a folder of its own."""

    shop: Shop
    home: Path
    work: Path

    async def does(self, prompt: str, *, base: str = "/v1", model: str = "scripted", settings: str = "") -> list[Any]:
        """Run one turn and return the events that Codex tells."""
        models = self.home / "models.json"
        headers = {"authorization": f"Bearer {self.shop.key}"}
        async with httpx.AsyncClient(base_url=self.shop.stack.url, headers=headers) as client:
            answer = await client.get("/backend-api/codex/models", params={"client_version": "0.169.0"})
        models.write_text(answer.text)
        provider = (
            f'model = "{model}"\nmodel_provider = "jatevo"\nmodel_catalog_json = "{models}"\n{settings}\n'
            f'[model_providers.jatevo]\nname = "Jatevo"\nbase_url = "{self.shop.stack.url}{base}"\n'
            'env_key = "JATEVO_KEY"\nwire_api = "responses"\n'
        )
        (self.home / "config.toml").write_text(provider)
        _, printed = await self.shop.run(
            str(CODEX),
            *("exec", "--json", "--skip-git-repo-check", "--dangerously-bypass-approvals-and-sandbox", prompt),
            cwd=self.work,
            CODEX_HOME=str(self.home),
            JATEVO_KEY=self.shop.key,
        )
        return [json.loads(line) for line in printed.splitlines() if line.startswith("{")]


@pytest.fixture
def codex(shop: Shop, tmp_path: Path) -> Codex:
    home, work = tmp_path / "home", tmp_path / "work"
    home.mkdir()
    work.mkdir()
    return Codex(shop, home, work)


def message(events: list[Any]) -> str:
    items = [event["item"] for event in events if event["type"] == "item.completed"]
    return str([item for item in items if item["type"] == "agent_message"][-1]["text"])


def complaint(events: list[Any]) -> str:
    return str(next(event["error"]["message"] for event in events if event["type"] == "turn.failed"))


def counted(events: list[Any]) -> tuple[int, int]:
    usage = next(event["usage"] for event in events if event["type"] == "turn.completed")
    return usage["input_tokens"], usage["output_tokens"]


def ledger(shop: Shop) -> tuple[int, int]:
    inputs, outputs = zip(*shop.charged(), strict=True)
    return sum(inputs), sum(outputs)


@pytest.mark.parametrize("base", BASES)
async def test_codex_edits_a_file_through_a_tool_call(shop: Shop, codex: Codex, base: str) -> None:
    (codex.work / "greeting.txt").write_text("helo\n")
    shop.upstream.script = calling("exec_command", {"cmd": "sed -i s/helo/hello/ greeting.txt && cat greeting.txt"})
    events = await codex.does("Correct the spelling in greeting.txt.", base=base)
    assert (codex.work / "greeting.txt").read_text() == "hello\n"
    assert "hello" in message(events)
    assert counted(events) == ledger(shop) == (20, 40)


async def test_codex_knows_every_model_of_the_list(shop: Shop, codex: Codex) -> None:
    shop.upstream.script = said("hello")
    events = await codex.does("Say hello.")
    assert not [event for event in events if "metadata" in str(event.get("item", {}).get("message"))]
    assert message(events).strip() == "hello"


@pytest.mark.timeout(500)  # a small model on a busy machine, perhaps asked more than once
@pytest.mark.parametrize("model", ["smollm2", "smollm2-native"])
async def test_one_turn_with_the_real_model(shop: Shop, codex: Codex, model: str) -> None:
    events = await whole_turn(shop, codex, model)
    assert message(events)
    assert counted(events) == ledger(shop)


async def whole_turn(shop: Shop, codex: Codex, model: str) -> list[Any]:
    """Return the events of a turn. One whose answer is cut by its cap has failed: then a new customer asks again."""
    events: list[Any] = []
    for _ in range(5):
        shop.customer()
        events = await codex.does("Say hello.", base="/backend-api/codex", model=model, settings=BARE)
        if not any(one["type"] == "turn.failed" and "max_output_tokens" in str(one) for one in events):
            break
    return events


async def test_codex_shows_when_a_quota_resets_and_does_not_try_again(shop: Shop, codex: Codex) -> None:
    shop.customer(requests_per_day=0)
    events = await codex.does("Say hello.", base="/backend-api/codex")
    assert "usage limit" in complaint(events)
    assert "again at" in complaint(events)
    assert not shop.upstream.asked
    assert not [event for event in events if "Reconnecting" in str(event)]


async def test_under_the_plain_base_url_a_quota_is_a_quota(shop: Shop, codex: Codex) -> None:
    shop.customer(requests_per_day=0)
    events = await codex.does("Say hello.")
    assert complaint(events).startswith("Quota exceeded")


async def test_codex_with_a_key_falls_back_from_its_web_socket(shop: Shop, codex: Codex) -> None:
    """As `codex login --with-api-key` leaves it: OpenAI's own provider, at another address."""
    shop.upstream.script = said("hello")
    (codex.home / "auth.json").write_text(json.dumps({"OPENAI_API_KEY": shop.key}))
    address = f"{shop.stack.url}/backend-api/codex"
    (codex.home / "config.toml").write_text(f'model = "scripted"\nopenai_base_url = "{address}"\n')
    _, printed = await shop.run(
        str(CODEX),
        *("exec", "--json", "--skip-git-repo-check", "--dangerously-bypass-approvals-and-sandbox", "Say hello."),
        cwd=codex.work,
        CODEX_HOME=str(codex.home),
    )
    events = [json.loads(line) for line in printed.splitlines() if line.startswith("{")]
    assert message(events).strip() == "hello"
    assert counted(events) == ledger(shop)


async def test_the_turns_state_comes_back(shop: Shop) -> None:
    shop.upstream.script = said("hello")
    async with httpx.AsyncClient(base_url=shop.stack.url, headers={"authorization": f"Bearer {shop.key}"}) as client:
        body = {"model": "scripted", "input": "hi", "store": False}
        first = await client.post("/backend-api/codex/responses", json=body)
        state = first.headers["x-codex-turn-state"]
        again = await client.post("/backend-api/codex/responses", json=body, headers={"x-codex-turn-state": state})
        assert again.headers["x-codex-turn-state"] == state
