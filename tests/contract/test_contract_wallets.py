"""
Contract wallets on a real EVM chain: one that is deployed (EIP-1271), one that is not yet (EIP-6492), and those who
pretend.
"""

import os
import time
from collections.abc import Callable
from pathlib import Path

import pytest
from eth_account import Account
from eth_account.messages import encode_defunct
from eth_account.signers.local import LocalAccount
from jatevo_testing import owners
from jatevo_testing.chain import TestChain, running_chain
from jatevo_testing.owners import deployment, wrapped

from jatevo.adapters.signatures.contract_wallets import MAGIC_SUFFIX
from jatevo.adapters.signatures.verifier import WalletSignatures
from jatevo.adapters.system import SystemClock
from jatevo.application.holdings import ChainUnavailable
from jatevo.domain.wallets import Namespace, Wallet, wallet_at

TEXT = "gateway.test wants you to sign in"


def at(address: str) -> Wallet:
    wallet = wallet_at(Namespace.EIP155, address)
    assert wallet is not None
    return wallet


def nodes(*urls: str) -> Callable[[], tuple[str, ...]]:
    return lambda: urls


def asking(urls: Callable[[], tuple[str, ...]], chain_id: int, *, lag_s: int = 0) -> WalletSignatures:
    return WalletSignatures(urls, chain_id, SystemClock(), lag_s=lag_s)


def signed(owner: LocalAccount, text: str = TEXT) -> bytes:
    return bytes(owner.sign_message(encode_defunct(text=text)).signature)


@pytest.fixture
def owner() -> LocalAccount:
    account: LocalAccount = Account.from_key(os.urandom(32))
    return account


@pytest.fixture
def signatures(chain: TestChain) -> WalletSignatures:
    return asking(nodes(chain.url), chain.chain_id)


@pytest.fixture
def factory(chain: TestChain) -> str:
    implementation = chain.node.deploy("smart_wallet", chain.node.accounts()[0])
    return chain.node.deploy("wallet_factory", implementation)


@pytest.fixture
def undeployed(chain: TestChain, factory: str, owner: LocalAccount) -> str:
    """The address that the factory would deploy the owner's wallet at."""
    return owners.undeployed(chain.node, factory, owner.address)


async def test_a_deployed_wallet_vouches_for_its_owner_only(
    chain: TestChain, signatures: WalletSignatures, owner: LocalAccount
) -> None:
    wallet = at(chain.node.deploy("smart_wallet", owner.address))
    assert await signatures.vouched(wallet, TEXT, signed(owner).hex())
    assert not await signatures.vouched(wallet, TEXT + "!", signed(owner).hex())
    assert not await signatures.vouched(wallet, TEXT, signed(Account.from_key(os.urandom(32))).hex())
    assert not await signatures.vouched(wallet, TEXT, "00" * 65)
    assert not await signatures.vouched(wallet, TEXT, "00")


async def test_a_wallet_that_is_not_deployed_yet_vouches_for_its_owner_and_stays_undeployed(
    chain: TestChain, signatures: WalletSignatures, factory: str, undeployed: str, owner: LocalAccount
) -> None:
    block = chain.node.block()
    signature = wrapped(factory, deployment(owner.address), signed(owner))
    assert await signatures.vouched(at(undeployed), TEXT, signature.hex())
    assert not await signatures.vouched(at(undeployed), TEXT + "!", signature.hex())
    assert chain.node.ask("eth_getCode", undeployed, "latest") == "0x"
    assert chain.node.block() == block


async def test_its_signature_is_good_once_it_is_deployed_too(
    chain: TestChain, signatures: WalletSignatures, factory: str, undeployed: str, owner: LocalAccount
) -> None:
    chain.node.send("wallet_factory", factory, "deploy", owner.address, bytes(32))
    assert await signatures.vouched(at(undeployed), TEXT, signed(owner).hex())
    assert await signatures.vouched(
        at(undeployed), TEXT, wrapped(factory, deployment(owner.address), signed(owner)).hex()
    )


async def test_a_wallet_that_is_not_deployed_is_nobody_elses(
    signatures: WalletSignatures, factory: str, undeployed: str, owner: LocalAccount
) -> None:
    thief: LocalAccount = Account.from_key(os.urandom(32))
    wallet = at(undeployed)
    forged: list[Callable[[], bytes]] = [
        lambda: wrapped(factory, deployment(owner.address), signed(thief)),
        lambda: wrapped(factory, deployment(thief.address), signed(thief)),
        lambda: wrapped(factory, b"", signed(owner)),
        lambda: wrapped(thief.address, deployment(owner.address), signed(owner)),
        lambda: signed(owner),
        lambda: wrapped(factory, deployment(owner.address), b""),
    ]
    for forge in forged:
        assert not await signatures.vouched(wallet, TEXT, forge().hex())


async def test_an_address_with_a_key_cannot_be_vouched_for_by_somebodys_contract(
    chain: TestChain, signatures: WalletSignatures, factory: str, owner: LocalAccount
) -> None:
    thief: LocalAccount = Account.from_key(os.urandom(32))
    own = chain.node.deploy("smart_wallet", thief.address)
    for victim in (owner.address, own):
        for call in (deployment(thief.address), b""):
            signature = wrapped(factory, call, signed(thief))
            assert await signatures.vouched(at(victim), TEXT, signature.hex()) == (victim == own)


PRETENDERS = {
    "echoes its input": "3660006000373660006000f3",
    "returns nothing": "00",
    "reverts": "60006000fd",
    "returns one": "600160005260206000f3",
    "returns the magic value on the wrong side": "631626ba7e60005260206000f3",
    "returns less than a word": "631626ba7e60e01b60005260046000f3",
    "burns all gas": "5b600056",
    "is no program": "fe",
}


@pytest.mark.parametrize("name", PRETENDERS)
async def test_only_the_exact_answer_of_a_contract_is_a_yes(
    name: str, chain: TestChain, signatures: WalletSignatures, owner: LocalAccount
) -> None:
    address = f"0x{os.urandom(20).hex()}"
    chain.node.ask("anvil_setCode", address, "0x" + PRETENDERS[name])
    assert not await signatures.vouched(at(address), TEXT, signed(owner).hex())
    assert not await signatures.vouched(at(address), TEXT, wrapped(address, b"", signed(owner)).hex())


async def test_precompiled_contracts_are_no_wallets(
    signatures: WalletSignatures, factory: str, owner: LocalAccount
) -> None:
    for number in range(1, 12):
        wallet = at(f"0x{number:040x}")
        assert not await signatures.vouched(wallet, TEXT, signed(owner).hex())
        assert not await signatures.vouched(wallet, TEXT, wrapped(factory, b"", signed(owner)).hex())


async def test_a_wrapping_that_lies_about_its_lengths_is_refused(
    signatures: WalletSignatures, factory: str, undeployed: str, owner: LocalAccount
) -> None:
    whole = wrapped(factory, deployment(owner.address), signed(owner))
    padding = 31
    broken = [whole[:cut] + MAGIC_SUFFIX for cut in range(0, len(whole) - len(MAGIC_SUFFIX) - padding, 16)]
    broken += [b"\xff" * 12 + whole[12:], whole[:32] + b"\xff" * 32 + whole[64:], MAGIC_SUFFIX]
    for data in broken:
        assert not await signatures.vouched(at(undeployed), TEXT, data.hex())


async def test_whether_a_contract_signed_is_unknown_without_a_node_of_its_chain(
    chain: TestChain, owner: LocalAccount
) -> None:
    wallet = at(chain.node.deploy("smart_wallet", owner.address))
    nobody = "http://127.0.0.1:9"
    for urls, chain_id in (((nobody,), chain.chain_id), ((chain.url,), 1)):
        with pytest.raises(ChainUnavailable):
            await asking(nodes(*urls), chain_id).vouched(wallet, TEXT, signed(owner).hex())
    assert await asking(nodes(nobody, chain.url), chain.chain_id).vouched(wallet, TEXT, signed(owner).hex())
    assert not await asking(tuple, chain.chain_id).vouched(wallet, TEXT, signed(owner).hex())
    assert await asking(nodes(nobody), 1).signed(at(owner.address), TEXT, signed(owner).hex())


async def test_a_node_that_is_stuck_vouches_for_nobody(tmp_path: Path, owner: LocalAccount) -> None:
    """It would know a wallet's former owners only."""
    with running_chain(tmp_path) as stuck:
        wallet, text = at(stuck.node.deploy("smart_wallet", owner.address)), signed(owner).hex()
        assert await asking(nodes(stuck.url), stuck.chain_id, lag_s=300).vouched(wallet, TEXT, text)
        stuck.node.mine(at_unix_s=int(time.time()) + 301)
        with pytest.raises(ChainUnavailable):
            await asking(nodes(stuck.url), stuck.chain_id, lag_s=300).vouched(wallet, TEXT, text)
