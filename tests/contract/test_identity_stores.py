"""Wallets, challenges, sessions and counters on two engines: each is taken once, whoever else reaches for it."""

import asyncio
from collections.abc import AsyncIterator, Iterator

import pytest
from jatevo_testing.chain import evm_wallet
from jatevo_testing.tables import fresh_tables

from jatevo.adapters.dynamodb.client import ClientOptions, DynamoClient
from jatevo.adapters.dynamodb.models import Tables
from jatevo.adapters.dynamodb.registry import DynamoRegistry
from jatevo.adapters.dynamodb.schema import TableNames
from jatevo.adapters.dynamodb.sessions import DynamoSessions
from jatevo.adapters.dynamodb.wallets import DynamoWallets
from jatevo.application.identity import Unsigned
from jatevo.domain.accounts import Account, LimitsFrom
from jatevo.domain.sessions import Session
from jatevo.domain.sign_in import MAX_ATTEMPTS, Challenge
from jatevo.domain.windows import Limits
from jatevo_local.engine import REGION

NOW = 1_800_000_000
WALLET, OTHER = evm_wallet(1), evm_wallet(2)
CHALLENGE = Challenge("nonce", WALLET, "text\nof two lines", NOW + 300, account_id="acct_a")


@pytest.fixture(params=["dynoxide", "extenddb"])
def endpoint(request: pytest.FixtureRequest) -> str:
    url: str = request.getfixturevalue(request.param)
    return url


@pytest.fixture
def names(endpoint: str) -> Iterator[TableNames]:
    with fresh_tables(endpoint) as made:
        yield made


@pytest.fixture
async def client(endpoint: str) -> AsyncIterator[DynamoClient]:
    made = DynamoClient(ClientOptions(region=REGION, endpoint_url=endpoint))
    yield made
    made.close()


@pytest.fixture
def wallets(client: DynamoClient, names: TableNames) -> DynamoWallets:
    return DynamoWallets(client, names)


@pytest.fixture
def sessions(client: DynamoClient, names: TableNames) -> DynamoSessions:
    return DynamoSessions(client, names)


def account(number: int) -> Account:
    return Account(f"acct_{number}", "a wallet's", Limits(0, 0, 64), limits_from=LimitsFrom.HOLDINGS)


def session(digest: str, *, account_id: str = "acct_1") -> Session:
    return Session(account_id, digest, WALLET, NOW, NOW + 60)


async def test_an_account_made_for_a_wallet_reads_back_as_any_other(
    wallets: DynamoWallets, endpoint: str, names: TableNames
) -> None:
    assert await wallets.create_account(account(1), WALLET)
    registry = DynamoRegistry(Tables.connect(ClientOptions(region=REGION, endpoint_url=endpoint), names))
    assert await registry.account("acct_1") == account(1)
    [linked] = await wallets.of_account("acct_1")
    assert (linked.wallet, linked.account_id) == (WALLET, "acct_1")


async def test_a_wallet_that_many_reach_for_gets_one_account(wallets: DynamoWallets) -> None:
    won = await asyncio.gather(*(wallets.create_account(account(number), WALLET) for number in range(6)))
    assert won.count(True) == 1
    stored = await wallets.wallet(WALLET)
    assert stored is not None
    assert stored.account_id == f"acct_{won.index(True)}"


async def test_creating_an_account_twice_is_doing_it_once(wallets: DynamoWallets) -> None:
    assert await wallets.create_account(account(1), WALLET)
    assert await wallets.create_account(account(1), WALLET)
    assert not await wallets.create_account(account(2), WALLET)


async def test_a_linked_wallet_cannot_be_linked_again_until_it_is_unlinked(wallets: DynamoWallets) -> None:
    assert await wallets.create_account(account(1), WALLET)
    assert await wallets.link(OTHER, "acct_1", NOW)
    assert not await wallets.link(OTHER, "acct_2", NOW)
    assert not await wallets.unlink(OTHER, "acct_2", staying=WALLET)
    assert await wallets.unlink(OTHER, "acct_1", staying=WALLET)
    assert await wallets.link(OTHER, "acct_2", NOW)


async def test_unlinking_needs_another_wallet_that_stays(wallets: DynamoWallets) -> None:
    assert await wallets.create_account(account(1), WALLET)
    assert not await wallets.unlink(WALLET, "acct_1", staying=OTHER)
    assert await wallets.link(OTHER, "acct_1", NOW)
    assert await wallets.unlink(WALLET, "acct_1", staying=OTHER)
    assert not await wallets.unlink(OTHER, "acct_1", staying=WALLET)


async def test_a_challenge_is_used_by_one_of_many(sessions: DynamoSessions) -> None:
    await sessions.add_challenge(CHALLENGE)
    used = await asyncio.gather(*(sessions.consume("nonce", NOW) for _ in range(12)))
    assert used.count(True) == 1
    assert await sessions.attempt("nonce", NOW) is Unsigned.USED


async def test_an_attempt_returns_what_was_stored_and_counts(sessions: DynamoSessions) -> None:
    assert await sessions.attempt("nonce", NOW) is Unsigned.UNKNOWN
    assert not await sessions.consume("nonce", NOW)
    await sessions.add_challenge(CHALLENGE)
    for count in range(1, MAX_ATTEMPTS + 1):
        found = await sessions.attempt("nonce", NOW)
        assert isinstance(found, Challenge)
        assert (found.message, found.wallet, found.account_id, found.attempts) == (
            CHALLENGE.message,
            WALLET,
            "acct_a",
            count,
        )
    assert await sessions.attempt("nonce", NOW) is Unsigned.SPENT
    assert await sessions.attempt("nonce", NOW + 300) is Unsigned.EXPIRED
    assert not await sessions.consume("nonce", NOW + 300)


async def test_a_session_opens_only_for_a_wallet_of_its_account(
    sessions: DynamoSessions, wallets: DynamoWallets
) -> None:
    assert not await sessions.open(session("d1"))
    await wallets.create_account(account(1), WALLET)
    assert await sessions.open(session("d1"))
    assert not await sessions.open(session("d2", account_id="acct_2"))
    assert await sessions.session("acct_1", "d1") == session("d1")
    assert await sessions.session("acct_1", "d2") is None
    assert list(await sessions.of_account("acct_1")) == [session("d1")]
    await sessions.end("acct_1", "d1")
    await sessions.end("acct_1", "d1")
    assert await sessions.session("acct_1", "d1") is None


async def test_a_counter_never_passes_its_bound(sessions: DynamoSessions) -> None:
    counted = await asyncio.gather(*(sessions.count("ip", "2026", 5, NOW) for _ in range(12)))
    assert counted.count(True) == 5
    assert await sessions.count("ip", "2027", 5, NOW)
    assert await sessions.count("other", "2026", 5, NOW)
