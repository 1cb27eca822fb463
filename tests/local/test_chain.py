"""The chain of this machine, and what our own contracts do on it."""

from pathlib import Path

import pytest
from eth_hash.auto import keccak
from eth_keys.datatypes import PrivateKey
from jatevo_testing.chain import TestChain, evm_wallet

from jatevo_local.chain import ChainError, Node, start_chain
from jatevo_local.demo_chain import DemoChain
from jatevo_local.ports import free_port
from jatevo_local.processes import Children

_KEY = PrivateKey(keccak(b"a key of this test"))
_OTHER = PrivateKey(keccak(b"somebody else's key"))
_DIGEST = keccak(b"what is signed")


def _signature(key: PrivateKey, digest: bytes = _DIGEST) -> bytes:
    made = key.sign_msg_hash(digest)
    return bytes(made.r.to_bytes(32) + made.s.to_bytes(32) + bytes([made.v + 27]))


def test_old_blocks_know_the_balances_of_their_time(chain: TestChain) -> None:
    token, alice, bob = chain.token(), evm_wallet(1), evm_wallet(2)
    before = token.mint(alice, 100)
    token.transfer(alice, bob, 30)

    def at(block: int | str) -> list[int]:
        return [
            chain.node.call("token", token.address, "balanceOf", wallet.address, block=block) for wallet in (alice, bob)
        ]

    assert at(before) == [100, 0]
    assert at("latest") == [70, 30]
    with pytest.raises(ChainError):
        token.transfer(bob, alice, 31)


def test_a_state_file_brings_the_chain_back(tmp_path: Path) -> None:
    state = tmp_path / "chain" / "state.json"
    for first in (True, False):
        with (
            Children(tmp_path, say=lambda _: None) as children,
            Node(start_chain(children, free_port(), state).url) as node,
        ):
            if first:
                address = node.deploy("token", "Jatevo", "JTVO", 9)
                (tmp_path / "address").write_text(address)
            assert node.call("token", (tmp_path / "address").read_text(), "decimals") == 9


def test_who_sets_where_a_price_comes_from_means_it(monkeypatch: pytest.MonkeyPatch) -> None:
    chain = DemoChain("http://127.0.0.1:1", "0xT", "0xF", "0xW", Path("key"))
    assert "aggregator" in chain.environment()["JATEVO_PRICE_SOURCES"]
    monkeypatch.setenv("JATEVO_PRICE_SOURCES", "[]")
    assert chain.environment()["JATEVO_PRICE_SOURCES"] == "[]"
    assert chain.environment()["JATEVO_PRICE_RULES"] == "quorum=1,sustain_s=0"


def test_a_contract_wallet_vouches_for_its_owner_only(chain: TestChain) -> None:
    wallet = chain.node.deploy("smart_wallet", _KEY.public_key.to_address())

    def verdict(digest: bytes, signature: bytes) -> str:
        return bytes(chain.node.call("smart_wallet", wallet, "isValidSignature", digest, signature)).hex()

    assert verdict(_DIGEST, _signature(_KEY)) == "1626ba7e"
    assert verdict(_DIGEST, _signature(_OTHER)) == "ffffffff"
    assert verdict(keccak(b"another"), _signature(_KEY)) == "ffffffff"
    assert verdict(_DIGEST, b"short") == "ffffffff"


def test_a_counterfactual_wallet_has_its_address_before_it_is_there(chain: TestChain) -> None:
    owner = _KEY.public_key.to_address()
    implementation = chain.node.deploy("smart_wallet", "0x" + "11" * 20)
    factory = chain.node.deploy("wallet_factory", implementation)
    wallet = chain.node.call("wallet_factory", factory, "deploy", owner, bytes(32))
    assert chain.node.ask("eth_getCode", wallet, "latest") == "0x"

    chain.node.send("wallet_factory", factory, "deploy", owner, bytes(32))

    answer = chain.node.call("smart_wallet", wallet, "isValidSignature", _DIGEST, _signature(_KEY))
    assert answer.hex() == "1626ba7e"
    with pytest.raises(ChainError):  # an owner cannot be set anew
        chain.node.send("smart_wallet", wallet, "initialise", _OTHER.public_key.to_address())


def test_an_aggregator_answers_its_latest_round(chain: TestChain) -> None:
    feed = chain.node.deploy("aggregator", "JTVO / USD", 8)
    with pytest.raises(ChainError, match="No data present"):
        chain.node.call("aggregator", feed, "latestRoundData")
    chain.node.send("aggregator", feed, "publish", 100_000_000, 1_000)
    chain.node.send("aggregator", feed, "publish", 110_000_000, 2_000)
    assert chain.node.call("aggregator", feed, "latestRoundData") == (2, 110_000_000, 2_000, 2_000, 2)
    assert chain.node.call("aggregator", feed, "decimals") == 8


def test_a_pool_observes_ticks_weighted_by_time(chain: TestChain) -> None:
    pool = chain.node.deploy("pool", evm_wallet(1).address, evm_wallet(2).address, 3000)
    start = chain.node.now_unix_s()
    for after, tick in ((100, 1000), (160, -500)):
        chain.node.ask("evm_setNextBlockTimestamp", start + after)
        chain.node.send("pool", pool, "set", tick, 2**96, 10**18)
    chain.node.mine(at_unix_s=start + 200)

    cumulatives, _ = chain.node.call("pool", pool, "observe", [100, 70, 40, 0])

    assert [later - cumulatives[0] for later in cumulatives] == [0, 30_000, 60_000, 60_000 - 500 * 40]
    assert chain.node.call("pool", pool, "slot0")[:2] == (2**96, -500)
    assert chain.node.call("pool", pool, "liquidity") == 10**18
    with pytest.raises(ChainError, match="OLD"):
        chain.node.call("pool", pool, "observe", [101])
