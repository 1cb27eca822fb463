"""
Claude Code against `make run`: an answer, a file written through a tool call, and a quota that it shows.

Its program is 235 MB and not installed with the other clients: name one to run this, as
`CLAUDE_CODE=…/claude make test-clients` (npm: `@anthropic-ai/claude-code`).
"""

import json
import os
from pathlib import Path
from typing import Any

import pytest
from jatevo_testing.clients import Shop, said
from jatevo_testing.tool_scripts import calling

CLAUDE = os.environ.get("CLAUDE_CODE")

pytestmark = pytest.mark.skipif(CLAUDE is None, reason="CLAUDE_CODE names no Claude Code to run: it is 235 MB")


async def claude(shop: Shop, tmp: Path, prompt: str) -> tuple[int, dict[str, Any]]:
    """Run Claude Code on a prompt in a folder of its own; return its status and what it printed."""
    assert CLAUDE is not None
    home, work = tmp / "home", tmp / "work"
    home.mkdir(exist_ok=True)
    work.mkdir(exist_ok=True)
    status, printed = await shop.run(
        *(CLAUDE, "-p", prompt, "--permission-mode", "acceptEdits", "--output-format", "json"),
        cwd=work,
        HOME=str(home),
        ANTHROPIC_BASE_URL=shop.stack.url,
        ANTHROPIC_AUTH_TOKEN=shop.key,
        ANTHROPIC_MODEL="scripted",
        ANTHROPIC_DEFAULT_HAIKU_MODEL="scripted",
        CLAUDE_CODE_DISABLE_NONESSENTIAL_TRAFFIC="1",
        DISABLE_AUTOUPDATER="1",
    )
    told: dict[str, Any] = json.loads(printed.strip().splitlines()[-1])
    return status, told


async def test_claude_code_answers_and_counts_what_the_ledger_says(shop: Shop, tmp_path: Path) -> None:
    shop.upstream.script = said("hello there")
    status, told = await claude(shop, tmp_path, "Say hello.")
    assert (status, told["result"].strip()) == (0, "hello there"), told
    assert [(told["usage"]["input_tokens"], told["usage"]["output_tokens"])] == shop.charged()


async def test_claude_code_writes_a_file_through_a_tool_call(shop: Shop, tmp_path: Path) -> None:
    made = tmp_path / "work" / "hello.txt"
    shop.upstream.script = calling("Write", {"file_path": str(made), "content": "made by a tool\n"})
    status, told = await claude(shop, tmp_path, "Write hello.txt.")
    assert status == 0, told
    assert made.read_text() == "made by a tool\n"
    assert told["usage"]["output_tokens"] == sum(output for _, output in shop.charged())


async def test_claude_code_shows_the_quota_and_does_not_try_again(shop: Shop, tmp_path: Path) -> None:
    shop.customer(requests_per_day=1)
    shop.upstream.script = said("hello there")
    await claude(shop, tmp_path, "Say hello.")
    status, told = await claude(shop, tmp_path, "Say hello.")
    assert status == 1
    assert "quota of 1 request" in told["result"]
    assert len(shop.upstream.asked) == 1
