"""The operators' page: everything by the admin API, nothing without a token."""

import httpx
import pytest
from jatevo_testing.axe import violations
from jatevo_testing.browser import ClientOf, Opener, Shot
from jatevo_testing.stack import Stack
from playwright.sync_api import Page


@pytest.fixture
def entered(opened: Opener, stack: Stack) -> Page:
    """The page of an operator who has signed in."""
    page = opened("/admin")
    page.on("dialog", lambda dialog: dialog.accept())
    page.locator("#token").fill(stack.admin_token)
    page.locator("#token-form button").click()
    page.wait_for_selector("#accounts code")
    return page


def test_a_wrong_token_opens_nothing(opened: Opener) -> None:
    page = opened("/admin", expects=("401",))
    page.locator("#token").fill("not-the-token")
    page.locator("#token-form button").click()
    page.wait_for_selector("#notice:visible")

    assert not page.locator("#rooms").is_visible()


def test_an_account_is_looked_at_and_its_limits_changed(entered: Page, stack: Stack, shot: Shot) -> None:
    entered.locator("#accounts button").first.click()
    entered.wait_for_selector("#account:visible")
    entered.locator("#limit-requests").fill("12")
    entered.locator("#limits-form button[type=submit]").click()
    entered.wait_for_selector("#account-requests:has-text('/ 12 daily')")

    assert "Margin" in entered.locator("#account-books").inner_text()
    assert violations(entered) == []
    shot(entered, "admin-accounts")
    answer = httpx.get(f"{stack.url}/v1/usage", headers={"authorization": f"Bearer {stack.key}"})
    assert answer.json()["limits"][0]["max_value"] == 12


def test_an_account_and_its_key_are_made_and_stand_in_the_books(entered: Page, client_of: ClientOf, shot: Shot) -> None:
    entered.locator("#new-account summary").click()
    entered.locator("#new-account-name").fill("<i>reseller</i>")
    entered.locator("#new-account-requests").fill("5")
    entered.locator("#new-account-budget").fill("0.25")
    entered.locator("#new-account-form button").click()
    entered.wait_for_selector("#account-title:has-text('<i>reseller</i>')")
    entered.locator("#admin-key-name").fill("first")
    entered.locator("#admin-key-form button").click()
    entered.wait_for_selector("#admin-secret")
    client = client_of(entered.locator("#admin-secret").inner_text())
    client.chat.completions.create(model="smollm2", messages=[{"role": "user", "content": "Hi"}], max_tokens=4)
    entered.locator("#tab-books").click()

    row = entered.locator("#books tr", has_text="<i>reseller</i>")
    row.wait_for()
    assert row.locator("td").first.inner_text() == "1"
    assert float(row.locator("td").nth(3).inner_text().removeprefix("$")) > 0, "a margin"
    assert violations(entered) == []
    shot(entered, "admin-books")


def test_a_pool_is_drained_and_used_again_and_the_trail_says_by_whom(entered: Page, shot: Shot) -> None:
    entered.locator("#tab-routes").click()
    drain = entered.locator("#routes button:text('Drain')").first
    label = (drain.get_attribute("aria-label") or "").removeprefix("Drain ")
    drain.click()
    entered.wait_for_selector("#routes .pill:text('drained by')")
    assert violations(entered) == []
    shot(entered, "admin-routes")
    entered.locator(f"[aria-label='Use again {label}']").first.click()
    entered.wait_for_selector("#changes td:text('pool.undrain')")

    assert entered.locator("#routes .pill:text('drained by')").count() == 0


def test_a_rate_overrides_the_sources_and_goes_again(entered: Page, shot: Shot) -> None:
    entered.locator("#tab-price").click()
    entered.wait_for_selector("#price dd")
    entered.locator("#rate").fill("0.5")
    entered.locator("#rate-reason").fill("The feed is being moved")
    entered.locator("#rate-form button[type=submit]").click()
    entered.wait_for_selector("#price-notes:has-text('The feed is being moved')")

    assert "$0.5" in entered.locator("#price").inner_text()
    assert violations(entered) == []
    shot(entered, "admin-price")


def test_a_catalogue_that_is_wrong_is_refused_with_its_problem(opened: Opener, stack: Stack) -> None:
    page = opened("/admin", expects=("400", "422"))
    page.locator("#token").fill(stack.admin_token)
    page.locator("#token-form button").click()
    page.locator("#tab-catalogue").click()
    page.wait_for_selector("#catalogue-version:text('version')")
    document = page.locator("#catalogue").input_value()
    page.locator("#catalogue").fill("{nonsense")
    page.locator("#compare").click()
    page.wait_for_selector("#notice:text('not JSON')")
    page.locator("#catalogue").fill(document.replace('"input": "0.15"', '"input": "minus one"'))
    page.locator("#compare").click()
    page.wait_for_selector("#notice:text('price')")
    page.locator("#catalogue").fill(document.replace('"input": "0.15"', '"input": "0.16"'))
    page.locator("#compare").click()

    page.wait_for_selector("#difference:has-text('0.16')")
