"""One of the model's two processes is killed under `make run`: clients go on getting answers, and it is found again."""

import contextlib
import os
import signal
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import openai
import pytest
from jatevo_testing.stack import Stack, start

from jatevo_local.ports import free_port

_LOOK_S = 0.02
_MOST_S = 90.0


@pytest.fixture
def stack(tmp_path: Path) -> Iterator[Stack]:
    running = start(free_port(), tmp_path)
    yield running
    running.stop()


@pytest.mark.slow
@pytest.mark.timeout(300)
@pytest.mark.parametrize("name", ["model", "model-2"])
def test_a_client_keeps_getting_answers_while_one_of_the_models_is_dead(stack: Stack, name: str) -> None:
    with stack.customer("--requests-per-day", "100000", "--budget-usd-per-day", "100.00") as client:
        assert ask(client, 0)

        with dead(stack, name) as kills, ThreadPoolExecutor(2) as clients:
            # Each a conversation of its own, so that either pool would be asked; every other one is a stream.
            assert all(clients.map(lambda number: ask(client, number), range(1, 17)))
            assert kills.count > 0

        numbers = iter(range(100, 100_000))
        until(lambda: bool(ask(client, next(numbers))) and all_well(stack))


@pytest.mark.slow
@pytest.mark.timeout(300)
def test_a_whole_answer_that_was_under_way_is_made_by_the_other_model(stack: Stack) -> None:
    limits = ("--requests-per-day", "100", "--budget-usd-per-day", "100.00")

    with stack.customer(*limits) as client, ThreadPoolExecutor(1) as clients:
        under_way = clients.submit(ask, client, 2, most=48)
        until(lambda: bool(at_work(stack)) or under_way.done())
        with dead(stack, (at_work(stack) or ["model"])[0]):
            assert under_way.result()


def at_work(stack: Stack) -> list[str]:
    """Return which models have been asked, as their own logs tell."""
    logs = {name: stack.data / "logs" / f"{name}.log" for name in ("model", "model-2")}
    return [name for name, log in logs.items() if "processing task" in log.read_text(errors="replace")]


def ask(client: openai.OpenAI, number: int, *, most: int = 4) -> str:
    """Return the answer to a question that nobody else asks: whole when the number is even, else a stream."""
    question: Any = [{"role": "user", "content": f"Tell me about the number {number}."}]
    with client.chat.completions.with_streaming_response.create(
        model="smollm2", messages=question, max_tokens=most, stream=bool(number % 2)
    ) as answer:
        text = answer.read().decode()
    assert "error" not in text, text
    return text


class Kills:
    """How often something was killed."""

    count = 0


@contextlib.contextmanager
def dead(stack: Stack, name: str) -> Iterator[Kills]:
    """Kill a process of the model, and whatever is started in its place."""
    port, kills, over = (stack.data / f"{name}-port").read_text(), Kills(), threading.Event()

    def kill_all() -> bool:
        found = [pid for pid, line in stack.children().items() if f"--port {port} " in line]
        for pid in found:
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        kills.count += len(found)
        return bool(found)

    def keep_dead() -> None:
        while not over.wait(_LOOK_S):
            kill_all()

    until(kill_all)
    keeper = threading.Thread(target=keep_dead)
    keeper.start()
    try:
        yield kills
    finally:
        over.set()
        keeper.join()


def all_well(stack: Stack) -> bool:
    """Return whether both pools are asked again, as ever."""
    return [route["asked"] for route in stack.cli("routes")["routes"]] == ["closed", "closed"]


def until(look: Callable[[], bool]) -> None:
    gives_up_at = time.monotonic() + _MOST_S
    while not look():
        assert time.monotonic() < gives_up_at, "it never was so"
        time.sleep(_LOOK_S)
