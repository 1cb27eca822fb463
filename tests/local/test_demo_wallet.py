"""The demo wallet signs as a wallet in a browser does."""

import httpx
from eth_account import Account
from eth_account.messages import encode_defunct
from eth_keys.datatypes import PrivateKey

from jatevo_local.demo_wallet import DemoWallet, demo_wallet_app

WALLET = DemoWallet(PrivateKey(b"\x07" * 32))


def client(wallet: DemoWallet | None) -> httpx.AsyncClient:
    return httpx.AsyncClient(transport=httpx.ASGITransport(demo_wallet_app(wallet)), base_url="http://local")


async def test_what_it_signs_was_signed_by_its_address() -> None:
    async with client(WALLET) as browser:
        shown = (await browser.get("/local/v1/demo-wallet")).json()
        text = "127.0.0.1 wants you to sign in… ✓"
        signed = (await browser.post("/local/v1/demo-wallet/sign", json={"message": text})).json()

    assert shown["chain"] == "ethereum"
    assert Account.recover_message(encode_defunct(text=text), signature=signed["signature"]) == shown["address"]


async def test_a_stack_without_one_says_so_and_nonsense_is_refused() -> None:
    async with client(None) as browser:
        assert (await browser.get("/local/v1/demo-wallet")).json()["address"] is None
        assert (await browser.post("/local/v1/demo-wallet/sign", json={"message": "x"})).status_code == 404
    async with client(WALLET) as browser:
        for body in ("nonsense", "[]", "{}", '{"message": 5}', '{"message": "' + "x" * 5000 + '"}'):
            answer = await browser.post("/local/v1/demo-wallet/sign", content=body)
            assert answer.status_code == 400
