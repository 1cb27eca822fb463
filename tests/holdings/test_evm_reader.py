"""What is read of a token on an EVM chain is of one block, of the right chain and fresh, or it is not used."""

from pathlib import Path
from typing import Any

import pytest
from jatevo_testing.chain import TestChain, TestToken, evm_wallet, running_chain
from jatevo_testing.clocks import ManualClock

from jatevo.adapters.chains import evm, evm_node
from jatevo.adapters.chains.evm import EvmReader
from jatevo.adapters.chains.nodes import NodeFailed
from jatevo.application.holdings import ChainUnavailable
from jatevo.domain.holdings import Moment, Token
from jatevo.domain.wallets import Namespace

ALICE, BOB = evm_wallet(1), evm_wallet(2)
NOBODY = "http://127.0.0.1:9"


@pytest.fixture
def token(chain: TestChain) -> TestToken:
    made = chain.token(decimals=9)
    made.mint(ALICE, 70)
    made.mint(BOB, 30)
    return made


def named(token: TestToken) -> Token:
    return Token(Namespace.EIP155, str(token.chain.chain_id), token.address.lower())


def reader(token: TestToken, *urls: str, confirmations: int = 0, lag_s: int = 0, chain: str = "") -> EvmReader:
    of = named(token)
    where = Token(of.namespace, chain or of.chain, of.address)
    addresses = urls or (token.chain.url,)
    return EvmReader(where, lambda: addresses, ManualClock(), confirmations=confirmations, lag_s=lag_s)


async def test_balances_decimals_and_block_come_from_the_chain(token: TestToken) -> None:
    reading = await reader(token).now([ALICE, BOB, evm_wallet(3)])
    assert reading.units == {ALICE: 70, BOB: 30, evm_wallet(3): 0}
    assert (reading.decimals, reading.moment.height) == (9, token.chain.node.block())


async def test_more_wallets_than_one_batch_takes_are_of_one_block(
    token: TestToken, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(evm, "_BATCH", 7)
    crowd = [evm_wallet(number) for number in range(1, 40)]
    reading = await reader(token).now(crowd)
    assert [reading.units[wallet] for wallet in crowd] == [70, 30, *[0] * 37]


async def test_a_block_below_the_confirmations_is_read(token: TestToken) -> None:
    token.transfer(ALICE, BOB, 70)
    assert (await reader(token, confirmations=1).now([ALICE])).units == {ALICE: 70}
    assert (await reader(token).now([ALICE])).units == {ALICE: 0}


async def test_an_old_block_is_read_of_a_node_that_keeps_states(token: TestToken) -> None:
    moment = await reader(token).moment()
    token.transfer(ALICE, BOB, 50)
    assert (await reader(token).at([ALICE, BOB], moment)).units == {ALICE: 70, BOB: 30}


@pytest.fixture
def no_old_states(monkeypatch: pytest.MonkeyPatch) -> None:
    """Make nodes refuse calls at any block but the latest, as those without an archive do."""
    ask_all = evm_node.EvmNode.ask_all

    def pruned(node: evm_node.EvmNode, calls: Any) -> Any:
        latest = node.block("latest").height
        if any(parameters[1] != hex(latest) for _, parameters in calls):
            raise NodeFailed("missing trie node")
        return ask_all(node, calls)

    monkeypatch.setattr(evm_node.EvmNode, "ask_all", pruned)


@pytest.mark.usefixtures("no_old_states")
async def test_without_old_states_a_balance_is_reckoned_back_by_what_moved(
    token: TestToken, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(evm, "_LOG_BLOCKS", 2)
    moment = await reader(token).moment()
    token.transfer(ALICE, BOB, 50)
    token.transfer(BOB, ALICE, 5)
    token.transfer(BOB, BOB, 11)
    token.mint(ALICE, 1000)
    reading = await reader(token).at([ALICE, BOB, evm_wallet(3)], moment)
    assert reading.units == {ALICE: 70, BOB: 30, evm_wallet(3): 0}
    assert reading.moment == moment


async def test_a_node_of_another_chain_is_never_believed(token: TestToken, tmp_path: Path) -> None:
    with pytest.raises(ChainUnavailable, match="of chain 31337, not of 1"):
        await reader(token, chain="1").now([ALICE])
    with running_chain(tmp_path, chain_id=99) as other:
        impostor = other.token()
        impostor.mint(ALICE, 10**6)
        assert (await reader(token, other.url, token.chain.url).now([ALICE])).units == {ALICE: 70}


async def test_the_next_node_is_asked_when_one_fails_and_its_address_stays_secret(token: TestToken) -> None:
    assert (await reader(token, NOBODY, token.chain.url).now([ALICE])).units == {ALICE: 70}
    with pytest.raises(ChainUnavailable) as caught:
        await reader(token, NOBODY).now([ALICE])
    assert "127.0.0.1" not in str(caught.value)


async def test_a_block_that_was_replaced_counts_nothing(token: TestToken) -> None:
    moment = await reader(token).moment()
    replaced = Moment(moment.height, moment.unix_s, "0x" + "00" * 32)
    with pytest.raises(ChainUnavailable, match="another block"):
        await reader(token).at([ALICE], replaced)


async def test_a_node_that_lags_is_not_believed(token: TestToken) -> None:
    with pytest.raises(ChainUnavailable, match="from now"):
        await reader(token, lag_s=300).now([ALICE])


async def test_what_is_no_token_is_refused(chain: TestChain, token: TestToken) -> None:
    nothing = TestToken(chain, "0x" + "55" * 20)
    with pytest.raises(ChainUnavailable):
        await reader(nothing).now([ALICE])


async def test_more_than_the_supply_is_not_believed(token: TestToken, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(evm, "_TOTAL_SUPPLY", evm._DECIMALS)
    with pytest.raises(ChainUnavailable, match="more than the supply"):
        await reader(token).now([ALICE])
