"""
A real browser in front of a real stack.

The browser comes as an npm package (`scripts/npm-packages tests/browser`), so that every machine runs the same one. A
page that logs an error, or is stopped by its own Content-Security-Policy, fails its test.
"""

import contextlib
import os
import platform
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest
from jatevo_testing.browser import ClientOf, Opener, Shot
from jatevo_testing.stack import Stack, start
from playwright.sync_api import Browser, Page, sync_playwright

from jatevo_local.engine import PROJECT
from jatevo_local.ports import free_port

HERE = Path(__file__).parent
SHOTS = PROJECT / "build" / "screenshots"
PATIENCE_S = 90
"""A busy machine runs browser, model and gateway on the same few cores."""


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        if item.path.is_relative_to(HERE):
            item.add_marker(pytest.mark.timeout(4 * PATIENCE_S))


@pytest.fixture(scope="session")
def chromium(tmp_path_factory: pytest.TempPathFactory) -> tuple[str, dict[str, str]]:
    """The browser's program and what it needs in its environment."""
    if (platform.system(), platform.machine()) != ("Linux", "x86_64"):
        pytest.skip("the packaged browser is for Linux on x86-64")
    place = tmp_path_factory.mktemp("chromium")
    node = shutil.which("node") or str(next((PROJECT / ".tools/node").rglob("bin/node")))
    # The package unpacks the libraries it was built with only where it believes to be in Lambda.
    environment = {**os.environ, "TMPDIR": str(place), "AWS_EXECUTION_ENV": "AWS_Lambda_nodejs22.x"}
    unpacked = subprocess.run(
        [node, str(HERE / "unpack.mjs")], env=environment, capture_output=True, text=True, check=True, timeout=60
    )
    return unpacked.stdout.strip(), {"LD_LIBRARY_PATH": str(place / "al2023" / "lib"), "HOME": str(place)}


@pytest.fixture(scope="module")
def browser(chromium: tuple[str, dict[str, str]]) -> Iterator[Browser]:
    """A browser for one file of tests: its event loop runs as long, and tests of other kinds cannot bear that."""
    path, environment = chromium
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(
            executable_path=path, args=["--no-sandbox", "--headless=shell", "--disable-gpu"], env={**environment}
        )
        yield browser
        browser.close()


@pytest.fixture(scope="module")
def stack(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stack]:
    running = start(free_port(), tmp_path_factory.mktemp("stack"))
    assert running.process.poll() is None, running.printed
    yield running
    running.stop()


@pytest.fixture
def opened(browser: Browser, stack: Stack) -> Iterator[Opener]:
    """Opens a page of the stack; complaints of its console fail the test."""
    complaints: list[str] = []
    pages: list[Page] = []

    def open_page(path: str, *, width: int = 1280, theme: str = "light", expects: tuple[str, ...] = ()) -> Page:
        page = browser.new_page(
            viewport={"width": width, "height": 900},
            color_scheme="dark" if theme == "dark" else "light",
            permissions=["clipboard-read", "clipboard-write"],
        )
        page.on("pageerror", lambda error: complaints.append(f"{path}: {error}"))
        page.on(
            "console",
            lambda message: (
                complaints.append(f"{path}: {message.text}")
                if message.type == "error" and not any(word in message.text for word in expects)
                else None
            ),
        )
        page.set_default_timeout(PATIENCE_S * 1000)
        pages.append(page)
        page.goto(f"{stack.url}{path}")
        return page

    yield open_page
    for page in pages:
        page.close()
    assert not complaints


@pytest.fixture
def client_of(stack: Stack) -> Iterator[ClientOf]:
    """Makes the official client for a key; all are closed at the end."""
    with contextlib.ExitStack() as closing:
        yield lambda key: closing.enter_context(stack.client(api_key=key))


@pytest.fixture
def shot() -> Shot:

    def keep(page: Page, name: str) -> None:
        SHOTS.mkdir(parents=True, exist_ok=True)
        page.evaluate("scrollTo({top: 0, behavior: 'instant'})")
        page.screenshot(path=SHOTS / f"{name}.png", full_page=True)

    return keep
