"""What is read of a mint on Solana is whole, of one slot, of the right cluster and fresh, or it is not used."""

from collections.abc import Callable, Iterator
from typing import Any

import pytest
from jatevo_testing.clocks import ManualClock
from jatevo_testing.holders import solana_wallet
from jatevo_testing.solana import Lie, SolanaStandIn, solana_node

from jatevo.adapters.chains.solana import SolanaReader
from jatevo.adapters.chains.spl_accounts import TOKEN_2022_PROGRAM
from jatevo.application.holdings import ChainUnavailable
from jatevo.domain.holdings import Token
from jatevo.domain.wallets import Namespace

ALICE, BOB = solana_wallet(1), solana_wallet(2)
NOBODY = "http://127.0.0.1:9"


@pytest.fixture
def node() -> Iterator[SolanaStandIn]:
    with solana_node() as served:
        served.hold(ALICE, 70)
        served.hold(BOB, 30)
        yield served


def reader(*nodes: SolanaStandIn, token: Token | None = None, first: str = "") -> SolanaReader:
    urls = ([first] if first else []) + [node.url for node in nodes]
    return SolanaReader(token or nodes[0].token, lambda: urls, ManualClock(), lag_s=300)


async def test_all_holders_are_read_in_one_call_with_its_slot(node: SolanaStandIn) -> None:
    node.hold(ALICE, 5, account=1)
    node.hold(solana_wallet(3), 0)
    reading = await reader(node).everybody()
    assert reading.units == {ALICE: 75, BOB: 30}
    assert (reading.decimals, reading.moment.height) == (6, node.slot)
    assert [method for method, _ in node.asked].count("getProgramAccounts") == 1


async def test_accounts_of_token_2022_are_read_with_their_extensions_and_withheld_fees() -> None:
    with solana_node(SolanaStandIn(program=TOKEN_2022_PROGRAM, withheld=9)) as node:
        node.hold(ALICE, 70, withheld=3)
        node.hold(BOB, 30)
        assert node.supply == 112
        assert (await reader(node).everybody()).units == {ALICE: 70, BOB: 30}
        assert (await reader(node).now([ALICE])).units == {ALICE: 70}


async def test_a_wallet_holds_what_all_of_its_accounts_hold(node: SolanaStandIn) -> None:
    node.hold(ALICE, 5, account=1)
    assert (await reader(node).now([ALICE, BOB, solana_wallet(3)])).units == {ALICE: 75, BOB: 30, solana_wallet(3): 0}


def of(method: str, change: Callable[[Any], Any]) -> Lie:
    return lambda asked, result: change(result) if asked == method else result


def without_the_last(result: Any) -> Any:
    return {**result, "value": result["value"][:-1]}


def with_the_last_twice(result: Any) -> Any:
    return {**result, "value": [*result["value"], result["value"][-1]]}


def with_a_copy(result: Any) -> Any:
    return {**result, "value": [*result["value"], {**result["value"][-1], "pubkey": ALICE.address}]}


def with_less(result: Any) -> Any:
    return {**result, "context": {"slot": 5}}


def of_another_program(result: Any) -> Any:
    first = result["value"][0]
    return {**result, "value": [{**first, "account": {**first["account"], "owner": ALICE.address}}]}


UNUSABLE = {
    "a holder is missing": of("getProgramAccounts", without_the_last),
    "an account is listed twice": of("getProgramAccounts", with_the_last_twice),
    "more than the supply": of("getProgramAccounts", with_a_copy),
    "no slot": of("getProgramAccounts", lambda result: result["value"]),
    "an older slot": of("getProgramAccounts", with_less),
    "nothing at all": of("getProgramAccounts", lambda _: None),
    "an account of another program": of("getProgramAccounts", of_another_program),
    "another cluster": of("getGenesisHash", lambda _: "11111111111111111111111111111111111111111111"),
    "a node that lags": of("getBlockTime", lambda at: at - 301),
    "a slot without a time": of("getBlockTime", lambda _: None),
    "no mint": of("getAccountInfo", lambda result: {**result, "value": None}),
}


@pytest.mark.parametrize("lie", UNUSABLE.values(), ids=UNUSABLE.keys())
async def test_a_node_that_says_what_cannot_be_is_not_believed(node: SolanaStandIn, lie: Lie) -> None:
    node.lies.append(lie)
    with pytest.raises(ChainUnavailable):
        await reader(node).everybody()


async def test_supply_that_moves_while_it_is_read_is_no_lie(node: SolanaStandIn) -> None:
    burnt: list[int] = []

    def burn(method: str, result: Any) -> Any:
        if method == "getProgramAccounts" and not burnt:
            burnt.append(1)
            node.hold(BOB, 10)
        return result

    node.lies.append(burn)
    assert (await reader(node).everybody()).units == {ALICE: 70, BOB: 30}


async def test_the_next_node_is_asked_when_one_fails_and_its_address_stays_secret(node: SolanaStandIn) -> None:
    both = reader(node, first=NOBODY)
    assert (await both.everybody()).units == {ALICE: 70, BOB: 30}
    with solana_node(SolanaStandIn(lies=[UNUSABLE["a holder is missing"]])) as partial:
        partial.hold(ALICE, 1)
        partial.hold(BOB, 1)
        assert (await reader(partial, node).everybody()).units == {ALICE: 70, BOB: 30}
        with pytest.raises(ChainUnavailable) as caught:
            await reader(partial, first=NOBODY).everybody()
    assert "127.0.0.1" not in str(caught.value)


async def test_accounts_of_another_owner_or_mint_count_for_nobody(node: SolanaStandIn) -> None:
    others = of(
        "getTokenAccountsByOwner", lambda result: node._with_context([node._listed("x", node._account(BOB, 9, None))])
    )
    node.lies.append(others)
    with pytest.raises(ChainUnavailable):
        await reader(node).now([ALICE])
    foreign = Token(Namespace.SOLANA, "", ALICE.address)
    node.lies.clear()
    with pytest.raises(ChainUnavailable):
        await reader(node, token=foreign).everybody()
