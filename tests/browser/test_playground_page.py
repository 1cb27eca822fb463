"""The playground: a prompt streams, says what it cost, and can be stopped; a key is used where one is given."""

import json
import os
import re
import subprocess
import sys

import pytest
from jatevo_testing.axe import violations
from jatevo_testing.browser import Opener, Shot
from jatevo_testing.stack import Stack
from playwright.sync_api import Page

COUNT_UPDATES = """
window.updates = new Set();
new MutationObserver(() => updates.add(document.querySelector(".turn.assistant .text")?.textContent.length))
  .observe(document.getElementById("log"), {childList: true, characterData: true, subtree: true});
"""
SAID = ".turn.assistant:not(.busy) .text:not(:empty)"


def asked(page: Page, text: str, *, cap: int = 24) -> None:
    page.wait_for_selector("#model option:not([value=''])", state="attached")
    page.locator("#cap").fill(str(cap))
    page.locator("#prompt").fill(text)
    page.locator("#send").click()


def test_a_visitor_sees_tokens_stream_and_what_they_cost(opened: Opener, shot: Shot) -> None:
    page = opened("/playground")
    page.evaluate(COUNT_UPDATES)
    asked(page, "Write down the numbers from one to thirty.", cap=40)
    page.wait_for_selector(SAID)

    assert page.evaluate("updates.size") > 3, "the answer grew as it came"
    assert re.search(r"\d+ in · \d+ out · \$0\.\d+", page.locator(".turn .cost").inner_text())
    assert re.match(r"1\s*/ \d+ daily", page.locator("#left-a").inner_text())
    assert "left of $" in page.locator("#left-b").inner_text()
    shot(page, "playground-1280-light")


def test_an_answer_can_be_stopped_and_the_conversation_goes_on(opened: Opener) -> None:
    page = opened("/playground", expects=("429",))
    asked(page, "Tell a very long story.", cap=400)
    page.wait_for_selector(".turn.assistant.busy .text:not(:empty)")
    page.locator("#stop").click()
    page.wait_for_selector(".turn .cost:text('stopped')")

    assert page.locator("#send").is_visible()
    asked(page, "Go on.")
    page.wait_for_selector(".turn.assistant >> nth=1 >> .text:not(:empty)")


def test_an_answer_that_breaks_off_is_told_and_kept(opened: Opener) -> None:
    page = opened("/playground")
    said = json.dumps({"choices": [{"delta": {"content": "<b>Half</b> an"}}]})
    page.route(
        "**/playground/v1/chat/completions",
        lambda route: route.fulfill(body=f"data: {said}\n\n", content_type="text/event-stream"),
    )
    asked(page, "<img src=x onerror=alert(1)>")
    page.wait_for_selector("#notice:has-text('broke before the answer ended')")

    assert page.locator(".turn .text").all_inner_texts() == ["<img src=x onerror=alert(1)>", "<b>Half</b> an"]
    assert page.locator("#send").is_visible()


def test_a_question_that_nobody_could_answer_is_given_back(opened: Opener) -> None:
    page = opened("/playground", expects=("429",))
    error = {"message": "All 10 requests are used.", "code": "request_quota_exhausted"}
    page.route("**/playground/v1/chat/completions", lambda route: route.fulfill(status=429, json={"error": error}))
    asked(page, "One more?")
    page.wait_for_selector("#notice a:text('Connect a wallet')")

    assert page.locator("#prompt").input_value() == "One more?"
    assert page.locator(".turn").count() == 0


def test_with_a_key_it_spends_the_keys_account(opened: Opener, stack: Stack) -> None:
    page = opened("/playground")
    page.locator("summary").click()
    page.locator("#key").fill(stack.key)
    page.locator("#key").blur()
    asked(page, "Say hello.")
    page.wait_for_selector(SAID)

    assert re.search(r"/ 11 daily", page.locator("#left-a").inner_text())


def test_who_is_signed_in_spends_the_own_account_also_in_a_new_tab(opened: Opener, stack: Stack) -> None:
    """A new tab has the cookie, but not the proof of the session: the page fetches it."""
    page = opened("/dashboard")
    page.locator("#wallets [data-wallet='demo']").click()
    page.wait_for_selector("#account:visible")
    page.goto(f"{stack.url}/playground")
    page.wait_for_selector("#who:has-text('your own account')")
    asked(page, "Say hello.", cap=8)
    page.wait_for_selector(SAID)

    assert re.search(r"/ 11 daily", page.locator("#left-a").inner_text())


def assert_runs(tab: str, copied: str, stack: Stack) -> None:
    """What can be pasted into a terminal here gets an answer as it stands; JavaScript would want a package of npm's."""
    program = {"curl": ["bash", "-c"], "python": [sys.executable, "-c"]}.get(tab)
    if program is not None:
        environment = {**os.environ, "JATEVO_KEY": stack.key}
        done = subprocess.run(
            [*program, copied], env=environment, capture_output=True, text=True, check=True, timeout=60
        )
        assert done.stdout.strip()
        assert '"error"' not in done.stdout


@pytest.mark.parametrize(
    ("tab", "word"), [("curl", "curl -N {url}/v1"), ("python", 'base_url="{url}/v1"'), ("js", 'baseURL: "{url}/v1"')]
)
def test_the_same_request_can_be_copied_as_code(opened: Opener, stack: Stack, tab: str, word: str) -> None:
    page = opened("/playground")
    page.wait_for_selector("#model option:not([value=''])", state="attached")
    page.locator("#prompt").fill('It\'s "quoted"')
    page.locator("#cap").fill("4")
    page.locator(f"#tab-{tab}").click()
    page.locator("#copy").click()
    page.wait_for_selector("#copy:text('Copied')")
    copied = page.evaluate("navigator.clipboard.readText()")

    assert word.format(url=stack.url) in copied
    assert_runs(tab, copied, stack)
    assert "quoted" in copied
    assert "sk-clb-" not in copied


def test_a_key_that_does_not_work_is_told_in_words(opened: Opener) -> None:
    page = opened("/playground", expects=("401",))
    page.locator("summary").click()
    page.locator("#key").fill("sk-clb-nonsense")
    page.locator("#key").blur()
    page.wait_for_selector("#notice:visible")

    assert "not a valid API key" in page.locator("#notice").inner_text()


@pytest.mark.parametrize("theme", ["light", "dark"])
@pytest.mark.parametrize("width", [360, 1280])
def test_it_can_be_used_by_everybody(opened: Opener, shot: Shot, width: int, theme: str) -> None:
    page = opened("/playground", width=width, theme=theme)
    asked(page, "Say hello.", cap=8)
    page.wait_for_selector(SAID)

    assert violations(page) == []
    assert page.evaluate("document.documentElement.scrollWidth") <= width
    shot(page, f"playground-{width}-{theme}")
