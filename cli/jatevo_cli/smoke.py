"""
`make smoke URL=… KEY=…`: what a client of the gateway would notice first, checked with the OpenAI SDK.

Costs the key a handful of requests. Each check is one line; the exit status is 0 when all held, else 1. `BUFFERED=1`
bears streams that come all at once, as `sam local` has them.
"""

import os
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import httpx
import openai

_TIMEOUT_S = 180.0
_MESSAGES: Any = [{"role": "user", "content": "Say hello."}]
_LONG: Any = [{"role": "user", "content": "Count from one to twenty, in words."}]
_SLOW_S, _AT_ONCE_S = 0.5, 0.05
"""An answer that took longer than the first, and whose chunks came within the second, was collected on its way."""


class NotAsExpected(Exception):
    """A check did not hold; the text says what came instead."""


@dataclass
class Smoke:
    """The checks; `url` without `/v1`."""

    url: str
    key: str
    model: str = ""
    buffered: bool = False
    """Streams may come all at once."""

    def client(self, key: str | None = None) -> openai.OpenAI:
        return openai.OpenAI(base_url=f"{self.url}/v1", api_key=key or self.key, max_retries=0, timeout=_TIMEOUT_S)

    def health(self) -> str:
        answer = httpx.get(f"{self.url}/health", timeout=_TIMEOUT_S)
        _expect(answer.status_code == 200 and answer.json().get("status") == "ok", answer.text)
        return f"version {answer.json()['version']}"

    def models(self) -> str:
        names = [model.id for model in self.client().models.list()]
        _expect(bool(names), "no model")
        self.model = self.model or names[0]
        return ", ".join(names)

    def chat(self) -> str:
        raw = self.client().chat.completions.with_raw_response.create(
            model=self.model, messages=_MESSAGES, max_tokens=16
        )
        answer = raw.parse()
        _expect(answer.usage is not None and answer.usage.completion_tokens > 0, str(answer))
        left = raw.headers.get("x-ratelimit-remaining-requests")
        _expect(left is not None and raw.headers.get("x-jatevo-budget-remaining-usd") is not None, "no counters")
        return f"{answer.usage.total_tokens if answer.usage else 0} tokens, {left} requests left"

    def stream(self) -> str:
        began = time.monotonic()
        with self.client().chat.completions.create(
            model=self.model, messages=_LONG, max_tokens=64, stream=True
        ) as stream:
            came_s = [time.monotonic() - began for _ in stream]
        _expect(len(came_s) > 1, f"{len(came_s)} chunks")
        first_s, last_s = came_s[0], came_s[-1]
        at_once = last_s > _SLOW_S and last_s - first_s < _AT_ONCE_S
        _expect(
            self.buffered or not at_once, f"{len(came_s)} chunks came at once after {last_s:.2f} s: is it buffered?"
        )
        return f"{len(came_s)} chunks, the first after {first_s:.2f} s of {last_s:.2f}"

    def usage(self) -> str:
        answer = httpx.get(f"{self.url}/v1/usage", headers={"authorization": f"Bearer {self.key}"}, timeout=_TIMEOUT_S)
        _expect(answer.status_code == 200, answer.text)
        kinds = {row["limit_type"] for row in answer.json()["limits"]}
        _expect(kinds >= {"requests", "budget_usd"}, answer.text)
        return f"{answer.json()['request_count']} requests, ${answer.json()['total_cost_usd']}"

    def unknown_model(self) -> str:
        try:
            self.client().chat.completions.create(model="no-such-model", messages=_MESSAGES)
        except openai.NotFoundError as error:
            _expect(error.code == "model_not_found", str(error))
            return str(error.code)
        raise NotAsExpected("an unknown model was served")

    def unknown_key(self) -> str:
        try:
            self.client("sk-clb-" + "x" * 43).models.list()
        except openai.AuthenticationError as error:
            _expect(error.code == "invalid_api_key", str(error))
            return str(error.code)
        raise NotAsExpected("an unknown key was let in")


def run(smoke: Smoke) -> bool:
    """Run all checks and return whether all held."""
    checks: tuple[Callable[[], str], ...] = (
        smoke.health,
        smoke.models,
        smoke.chat,
        smoke.stream,
        smoke.usage,
        smoke.unknown_model,
        smoke.unknown_key,
    )
    held = [_held(check) for check in checks]  # all of them, also after one that did not hold
    return all(held)


def _held(check: Callable[[], str]) -> bool:
    began = time.monotonic()
    try:
        said, held = check(), True
    except (NotAsExpected, openai.OpenAIError, httpx.HTTPError, ValueError, KeyError) as error:
        said, held = f"{type(error).__name__}: {error}", False
    ms = (time.monotonic() - began) * 1000
    print(f"{'ok  ' if held else 'FAIL'} {check.__name__:14} {ms:6.0f} ms  {said}", flush=True)
    return held


def _expect(held: bool, instead: str) -> None:  # noqa: FBT001 - reads like an assertion
    if not held:
        raise NotAsExpected(instead[:500])


def main() -> int:
    url = sys.argv[1].rstrip("/").removesuffix("/v1") if len(sys.argv) > 1 else ""
    key = os.environ.get("JATEVO_KEY", "")
    if not url or not key:
        print("usage: make smoke URL=https://… KEY=sk-clb-… [MODEL=…] [BUFFERED=1]", file=sys.stderr)
        return 2
    return 0 if run(Smoke(url, key, os.environ.get("MODEL", ""), bool(os.environ.get("BUFFERED")))) else 1


if __name__ == "__main__":
    sys.exit(main())
