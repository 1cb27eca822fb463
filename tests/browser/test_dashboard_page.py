"""The dashboard: a wallet signs in, a key is made, a real client uses it, and both counters move on the open page."""

import base64
import re
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from email.utils import format_datetime
from typing import Any, Protocol

import httpx
import openai
import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from eth_account import Account
from eth_account.messages import encode_defunct
from eth_account.signers.local import LocalAccount
from jatevo_testing.axe import violations
from jatevo_testing.browser import ClientOf, Opener, Shot
from jatevo_testing.stack import Stack
from playwright.sync_api import Page, Route

from jatevo.domain.wallets import base58_encoded
from jatevo_local.engine import PROJECT

SOLANA = (PROJECT / "tests/browser/injected_solana_wallet.js").read_text()
INJECTED = (PROJECT / "tests/browser/injected_wallet.js").read_text()
CONNECT = "#wallets [data-wallet$='000000000001']"
DEMO = "#wallets [data-wallet='demo']"


@dataclass
class InjectedWallet:
    """A wallet in the browser: the page meets it by EIP-6963, its signatures are made here with a real key."""

    account: LocalAccount = field(default_factory=Account.create)
    declines: bool = False
    signs_as: LocalAccount | None = None
    asked: list[str] = field(default_factory=list)

    def request(self, method: str, parameters: list[Any]) -> dict[str, Any]:
        self.asked.append(method)
        if self.declines and method in {"eth_requestAccounts", "personal_sign"}:
            return {"error": {"code": 4001, "message": "User rejected the request."}}
        if method == "eth_requestAccounts":
            return {"result": [self.account.address]}
        text = bytes.fromhex(parameters[0].removeprefix("0x")).decode()
        signed = (self.signs_as or self.account).sign_message(encode_defunct(text=text))
        return {"result": f"0x{signed.signature.hex().removeprefix('0x')}"}


class WithWallet(Protocol):
    """Opens the dashboard in a browser that has this wallet, and one more."""

    def __call__(self, wallet: InjectedWallet, *expects: str) -> Page: ...


@pytest.fixture
def with_wallet(opened: Opener) -> WithWallet:
    """Opens the dashboard in a browser that has a wallet."""

    def open_dashboard(wallet: InjectedWallet, *expects: str) -> Page:
        page = opened("/health", expects=expects)
        page.expose_function("walletRequest", wallet.request)
        page.add_init_script(INJECTED)
        page.goto(page.url.replace("/health", "/dashboard"))
        page.wait_for_selector(CONNECT)
        return page

    return open_dashboard


def signed_in(page: Page, button: str = CONNECT) -> None:
    page.locator(button).click()
    page.wait_for_selector("#account:visible")
    page.wait_for_selector("#requests:not(:text('–'))")


def new_key(page: Page, name: str) -> str:
    page.locator("#new-key").click()
    page.locator("#key-name").fill(name)
    page.locator("#key-create").click()
    page.wait_for_selector("#new-secret")
    return page.locator("#new-secret").inner_text()


def test_the_demo_wallet_leads_to_a_key_and_the_counters_move(opened: Opener, client_of: ClientOf, shot: Shot) -> None:
    page = opened("/dashboard")
    signed_in(page, DEMO)
    assert re.match(r"0\s*/ 11 daily", page.locator("#requests").inner_text())
    assert "$11.00 daily" in page.locator("#budget").inner_text()
    assert "= value" in page.locator("#why").inner_text()

    secret = new_key(page, "production")
    client = client_of(secret)
    client.chat.completions.create(model="smollm2", messages=[{"role": "user", "content": "Hi"}], max_tokens=4)
    page.wait_for_selector("#requests:text-matches('^1')")
    page.wait_for_selector("#budget:text-matches('^[$]0[.]0+[1-9]')")
    page.wait_for_selector("#recent code:text('smollm2')")
    page.wait_for_selector("#chart .bar")

    assert violations(page) == []
    shot(page, "dashboard-1280-light")
    page.set_viewport_size({"width": 768, "height": 900})
    shot(page, "dashboard-768-light")


def test_every_wallet_of_the_browser_is_offered_and_none_can_harm_the_page(with_wallet: WithWallet) -> None:
    page = with_wallet(InjectedWallet())
    page.wait_for_selector(DEMO)

    offered = page.locator("#wallets button > span:nth-child(2)").all_inner_texts()
    assert sorted(offered) == ["<img src=x onerror=alert(1)>", "Demo wallet of this machine", "Test Wallet"]
    assert page.locator("#wallets img").count() == 1, "an icon is an image, or none"


def test_a_wallet_that_signs_for_another_account_is_not_let_in(with_wallet: WithWallet) -> None:
    wallet = InjectedWallet(signs_as=Account.create())
    page = with_wallet(wallet, "401", "403")
    page.locator(CONNECT).click()
    page.wait_for_selector("#notice:has-text('signature')")
    wallet.signs_as = None
    signed_in(page)


def test_a_key_is_text_whatever_its_name_and_its_caps_can_be_changed(with_wallet: WithWallet) -> None:
    page = with_wallet(InjectedWallet())
    signed_in(page)
    name = "=<img src=x onerror=alert(1)>'\"&"
    new_key(page, name)
    assert page.locator("#keys th .short").inner_text() == name
    page.locator("#shown-once button:text('I have it')").click()
    assert "sk-clb-" not in page.locator("#shown-once").inner_text()

    page.locator("#keys button:text('Change')").click()
    page.locator("#key-requests").fill("7")
    page.locator("#key-budget").fill("0.50")
    page.locator("#key-create").click()
    page.wait_for_selector("#keys td:text('0 / 7')")
    page.wait_for_selector("#keys td:text('/ $0.50')")
    page.locator("#keys button:text('Change')").click()
    page.locator("#key-requests").fill("")
    page.locator("#key-create").click()
    page.wait_for_selector("#keys td:text-is('0')")


def test_the_day_is_exported_as_a_file(opened: Opener) -> None:
    page = opened("/dashboard")
    signed_in(page, DEMO)
    with page.expect_download() as downloaded:
        page.locator("#export-csv").click()

    assert re.fullmatch(r"jatevo-ledger-\d{4}-\d\d-\d\d\.csv", downloaded.value.suggested_filename)
    assert downloaded.value.path().read_text().startswith("reservation_id,")


def test_an_open_page_says_that_it_is_not_live_and_goes_on_by_itself(opened: Opener) -> None:
    page = opened("/dashboard", expects=("ERR_INTERNET_DISCONNECTED",))
    signed_in(page, DEMO)
    page.context.set_offline(True)
    page.wait_for_selector("#stale:has-text('cannot be reached')")
    assert page.locator("#requests").is_visible()
    page.context.set_offline(False)
    page.wait_for_selector("#stale", state="hidden")


def test_an_open_page_notices_that_its_session_has_ended(opened: Opener) -> None:
    page = opened("/dashboard", expects=("401",))
    signed_in(page, DEMO)
    new_key(page, "forgotten")
    page.evaluate("localStorage.clear()")  # as signing out in another tab does
    page.context.clear_cookies()
    page.wait_for_selector("#notice:has-text('session has ended')")

    assert page.locator("#connect").is_visible()
    assert "sk-clb-" not in page.content()
    signed_in(page, DEMO)


def test_the_day_turns_on_an_open_page_by_the_gateways_clock(opened: Opener) -> None:
    page = opened("/health")
    page.add_init_script("const real = Date.now; Date.now = () => real() + 5 * 3600 * 1000;")
    page.goto(page.url.replace("/health", "/dashboard"))
    signed_in(page, DEMO)
    told = page.evaluate("fetch('account/v1/budget').then(answer => answer.json())")
    hours = (datetime.fromisoformat(told["resets_at"]) - datetime.now(UTC)).total_seconds() / 3600
    page.wait_for_selector("#countdown:text-matches('^[0-9]{2}:')")
    assert abs(int(page.locator("#countdown").inner_text()[:2]) - hours) <= 1, "not five hours off"

    answered: list[datetime] = []

    def answer(route: Route) -> None:
        answered.append(datetime.now(UTC))
        ends = answered[0] + timedelta(seconds=4)
        after = datetime.now(UTC) >= ends
        today = {**told["today"], "requests_used": 0 if after else 9}
        resets_at = (ends + timedelta(days=1) if after else ends).isoformat(timespec="seconds").replace("+00:00", "Z")
        date = format_datetime(datetime.now(UTC), usegmt=True)
        body = {**told, "today": today, "resets_at": resets_at}
        route.fulfill(json=body, headers={"cache-control": "no-store", "date": date})

    page.route("**/account/v1/budget", answer)
    page.wait_for_selector("#requests:text-matches('^9')")
    page.wait_for_selector("#requests:text-matches('^0')")
    page.wait_for_selector("#countdown:text-matches('^23:5')")


def test_no_page_lets_itself_be_framed(opened: Opener, stack: Stack) -> None:
    page = opened("/health", expects=("frame-ancestors",))
    page.set_content(f"<iframe src='{stack.url}/dashboard'></iframe>")
    page.wait_for_load_state("networkidle")

    assert page.frames[1].locator("#connect").count() == 0


def test_a_disabled_key_stops_at_once(opened: Opener, client_of: ClientOf) -> None:
    page = opened("/dashboard")
    page.on("dialog", lambda dialog: dialog.accept())
    signed_in(page, DEMO)
    secret = new_key(page, "short-lived")
    page.locator("[aria-label='Disable short-lived']").click()
    page.wait_for_selector("[aria-label='Delete short-lived']")
    client = client_of(secret)
    with pytest.raises(openai.PermissionDeniedError):
        client.chat.completions.create(model="smollm2", messages=[{"role": "user", "content": "Hi"}])


def test_a_wallet_of_the_browser_signs_in_and_out(with_wallet: WithWallet) -> None:
    wallet = InjectedWallet()
    page = with_wallet(wallet)
    signed_in(page)

    assert page.locator("#who code").get_attribute("title") == wallet.account.address.lower()
    assert "no budget today" in page.locator("#standing").inner_text()
    assert page.locator("#why li").count() >= 1
    page.reload()
    page.wait_for_selector("#account:visible")
    new_key(page, "left behind")
    page.locator("#sign-out").click()
    page.wait_for_selector("#connect:visible")
    assert "sk-clb-" not in page.content()
    page.reload()
    page.wait_for_selector("#connect:visible")


def test_a_wallet_that_declines_is_told_so_and_may_try_again(with_wallet: WithWallet) -> None:
    wallet = InjectedWallet(declines=True)
    page = with_wallet(wallet)
    page.locator(CONNECT).click()
    page.wait_for_selector("#notice:text('declined')")
    wallet.declines = False
    signed_in(page)


def test_a_wallet_that_changes_its_account_is_noticed(with_wallet: WithWallet) -> None:
    wallet = InjectedWallet()
    page = with_wallet(wallet)
    signed_in(page)
    page.evaluate("emitFromWallet('chainChanged', '0x2105')")
    page.evaluate("address => emitFromWallet('accountsChanged', [address])", wallet.account.address.lower())
    assert not page.locator("#notice").is_visible()
    page.evaluate("emitFromWallet('accountsChanged', ['0x0000000000000000000000000000000000000001'])")

    page.wait_for_selector("#notice:text('another account')")


def test_the_page_says_which_limit_ran_out(
    with_wallet: WithWallet, client_of: ClientOf, stack: Stack, shot: Shot
) -> None:
    page = with_wallet(InjectedWallet())
    signed_in(page)
    secret = new_key(page, "busy")
    client = client_of(secret)
    with httpx.Client(
        base_url=f"{stack.url}/admin/v1", headers={"authorization": f"Bearer {stack.admin_token}"}
    ) as admin:
        keys = page.evaluate("fetch('account/v1/keys').then(answer => answer.json())")
        account = f"/accounts/{keys['keys'][0]['account_id']}"
        limited = admin.patch(account, json={"requests_per_day": 1, "budget_usd_per_day": "1.00"})
        assert limited.status_code == 200, limited.text
        client.chat.completions.create(model="smollm2", messages=[{"role": "user", "content": "Hi"}], max_tokens=4)
        page.wait_for_selector("#standing:has-text('Limit A ran out')")
        shot(page, "dashboard-limit-a-ran-out")
        with pytest.raises(openai.RateLimitError, match="request"):
            client.chat.completions.create(model="smollm2", messages=[{"role": "user", "content": "Hi"}])

        spent = admin.get(f"{account}/window").json()["settled_usd"]
        most = Decimal(spent) * Decimal("1.1")
        admin.patch(account, json={"requests_per_day": 100, "budget_usd_per_day": f"{most:.9f}"})
        page.wait_for_selector('#standing.warn:has-text("of today\'s dollars are left")')
        admin.patch(account, json={"requests_per_day": 100, "budget_usd_per_day": spent})
        page.wait_for_selector("#standing:has-text('Limit B ran out')")
        shot(page, "dashboard-limit-b-ran-out")
        with pytest.raises(openai.RateLimitError, match="budget"):
            client.chat.completions.create(model="smollm2", messages=[{"role": "user", "content": "Hi"}])
    assert "An operator has set" in page.locator("#why").inner_text()


def test_a_solana_wallet_signs_in(opened: Opener) -> None:
    key = Ed25519PrivateKey.generate()
    public = key.public_key().public_bytes_raw()
    page = opened("/health")
    page.expose_function("solanaSign", lambda message: base64.b64encode(key.sign(base64.b64decode(message))).decode())
    page.add_init_script(f"window.solanaAddress = '{base58_encoded(public)}';" + SOLANA)
    page.goto(page.url.replace("/health", "/dashboard"))
    signed_in(page, "#wallets [data-wallet^='standard']")

    assert page.locator("#who code").get_attribute("title") == base58_encoded(public)
    assert "Solana" in page.locator("#who").inner_text()


@pytest.mark.parametrize("theme", ["light", "dark"])
def test_it_can_be_used_on_a_phone(opened: Opener, shot: Shot, theme: str) -> None:
    page = opened("/dashboard", width=360, theme=theme)
    page.wait_for_selector(DEMO)
    assert violations(page) == []
    signed_in(page, DEMO)

    assert violations(page) == []
    assert page.evaluate("document.documentElement.scrollWidth") <= 360
    shot(page, f"dashboard-360-{theme}")
