"""
The registry on a real engine: what it writes the request path reads, and nothing is overwritten unseen.
"""

import asyncio
from collections.abc import AsyncIterator
from dataclasses import dataclass, replace
from typing import Any

import pytest

from jatevo.adapters.dynamodb.client import ClientOptions, DynamoClient
from jatevo.adapters.dynamodb.directory import DynamoDirectory
from jatevo.adapters.dynamodb.models import Tables as Models
from jatevo.adapters.dynamodb.registry import DynamoRegistry
from jatevo.adapters.dynamodb.schema import TableNames
from jatevo.adapters.system import SystemClock
from jatevo.application.ports import Conflict, StoreUnavailable
from jatevo.application.registry import AlreadyThere, CatalogueRecord, Operator, TooManyKeys
from jatevo.domain.accounts import MAX_KEYS_PER_ACCOUNT, Account, ApiKey
from jatevo.domain.windows import UNLIMITED_BUDGET_NANO_USD, UNLIMITED_REQUESTS, Limits
from jatevo_local.engine import REGION

ACCOUNT = Account(
    id="acct_a",
    name="Ada’s",
    limits=Limits(11, 11 * 10**9, 64),
    margin_bps=250,
    created_at_unix_s=1_795_000_000,
)
KEY = ApiKey(
    id="key_abcdefghij",
    digest="d" * 64,
    account_id="acct_a",
    name="laptop",
    prefix="sk-clb-abcdef",
    models=frozenset({"smollm2", "other"}),
    caps=Limits(5, 10**18 - 1, 2),
    expires_at_unix_s=1_895_000_000,
    created_at_unix_s=1_795_000_001,
)
DOCUMENT: dict[str, Any] = {
    "pools": [{"id": "p", "base_url": "https://p.example/v1"}],
    "models": [
        {
            "id": "m",
            "context_window": 100,
            "max_output_tokens": 50,
            "price": {"input": "1", "output": "2"},
            "routes": [{"pool": "p", "model": "upstream-model"}],
        }
    ],
}


@dataclass(frozen=True, slots=True)
class Both:
    registry: DynamoRegistry
    directory: DynamoDirectory


@pytest.fixture
async def both(dynoxide: str, tables: TableNames) -> AsyncIterator[Both]:
    options = ClientOptions(REGION, dynoxide)
    client = DynamoClient(options)
    yield Both(
        DynamoRegistry(Models.connect(options, tables)), DynamoDirectory(client, tables, SystemClock(), keep_ms=0)
    )
    client.close()


@pytest.mark.parametrize(
    "account",
    [
        ACCOUNT,
        replace(ACCOUNT, margin_bps=None),
        replace(ACCOUNT, limits=Limits(0, 0, 1), enabled=False),
        replace(ACCOUNT, limits=Limits(10**9, 10**18, 1000), estimate_permille=1700, estimate_raised_at_unix_s=9),
        replace(ACCOUNT, revoked={"abcdefghij": 1_795_000_000}),
    ],
)
async def test_the_directory_reads_an_account_as_the_registry_wrote_it(both: Both, account: Account) -> None:
    await both.registry.create_account(account)
    assert await both.directory.account(account.id) == account
    assert await both.registry.account(account.id) == account


@pytest.mark.parametrize(
    "key",
    [
        KEY,
        replace(KEY, models=None, caps=None, expires_at_unix_s=None, name=""),
        replace(KEY, caps=Limits(requests=3)),
        replace(KEY, caps=Limits(budget_nano_usd=0)),
        replace(KEY, caps=Limits(UNLIMITED_REQUESTS, UNLIMITED_BUDGET_NANO_USD, 1)),
    ],
)
async def test_the_directory_reads_a_key_as_the_registry_wrote_it(both: Both, key: ApiKey) -> None:
    await both.registry.create_account(ACCOUNT)
    await both.registry.create_key(key)
    assert await both.directory.key(key.digest) == key
    assert await both.registry.key(key.id) == key
    assert await both.registry.keys(key.account_id) == [key]


async def test_the_directory_reads_the_newest_catalogue_and_older_versions_are_kept(both: Both) -> None:
    assert await both.registry.latest_catalogue() is None
    assert (await both.directory.catalogue()).version == 0
    for version in (1, 2, 10):
        await both.registry.add_catalogue(CatalogueRecord(version, DOCUMENT, 1_795_000_000, "ada"))
    assert (await both.directory.catalogue()).version == 10
    assert (await both.directory.catalogue()).models["m"].price.base.input == 10**9
    latest = await both.registry.latest_catalogue()
    assert latest == CatalogueRecord(10, DOCUMENT, 1_795_000_000, "ada")
    assert await both.registry.catalogue(2) == replace(latest, version=2)
    assert await both.registry.catalogue(3) is None


async def test_a_catalogue_version_is_never_overwritten(both: Both) -> None:
    record = CatalogueRecord(1, DOCUMENT, 1_795_000_000, "ada")
    await both.registry.add_catalogue(record)
    with pytest.raises(Conflict):
        await both.registry.add_catalogue(replace(record, applied_by="eve"))
    assert await both.registry.latest_catalogue() == record


async def test_a_change_of_an_account_needs_the_version_before_it(both: Both) -> None:
    await both.registry.create_account(ACCOUNT)
    changed = replace(ACCOUNT, name="new", limits=Limits(1, 2, 3), margin_bps=None, enabled=False, version=2)
    await both.registry.change_account(changed)
    assert await both.registry.account(ACCOUNT.id) == changed
    for version in (1, 2, 4):
        with pytest.raises(Conflict):
            await both.registry.change_account(replace(changed, name="late", version=version))
    assert await both.registry.account(ACCOUNT.id) == changed


async def test_a_change_of_an_account_that_does_not_exist_makes_none(both: Both) -> None:
    with pytest.raises(Conflict):
        await both.registry.change_account(replace(ACCOUNT, version=2))
    assert await both.registry.account(ACCOUNT.id) is None


async def test_a_change_of_an_account_leaves_its_observed_estimate(both: Both) -> None:
    await both.registry.create_account(ACCOUNT)
    await both.directory.raise_estimate(ACCOUNT.id, 1500, 1_795_000_100)
    await both.registry.change_account(replace(ACCOUNT, version=2))
    stored = await both.registry.account(ACCOUNT.id)
    assert stored is not None
    assert (stored.estimate_permille, stored.estimate_raised_at_unix_s) == (1500, 1_795_000_100)


async def test_creating_never_overwrites_but_may_be_repeated(both: Both) -> None:
    for _ in range(2):
        await both.registry.create_account(ACCOUNT)
    with pytest.raises(AlreadyThere):
        await both.registry.create_account(replace(ACCOUNT, name="other"))
    for _ in range(2):
        await both.registry.create_key(KEY)
    with pytest.raises(AlreadyThere):
        await both.registry.create_key(replace(KEY, name="other"))
    assert await both.registry.account(ACCOUNT.id) == ACCOUNT
    assert await both.registry.keys(ACCOUNT.id) == [KEY]


async def test_a_key_needs_an_account(both: Both) -> None:
    with pytest.raises(Conflict):
        await both.registry.create_key(KEY)
    assert await both.registry.key(KEY.id) is None


async def test_an_account_has_at_most_so_many_enabled_keys_however_fast_they_come(both: Both) -> None:
    await both.registry.create_account(ACCOUNT)

    async def create(number: int) -> bool:
        key = replace(KEY, id=f"key_{number:010}", digest=f"{number:064}")
        try:
            await both.registry.create_key(key)
        except TooManyKeys:
            return False
        return True

    created = await asyncio.gather(*(create(number) for number in range(MAX_KEYS_PER_ACCOUNT + 20)))
    assert sum(created) == MAX_KEYS_PER_ACCOUNT
    keys = await both.registry.keys(ACCOUNT.id)
    assert len(keys) == MAX_KEYS_PER_ACCOUNT
    gone = replace(keys[0], enabled=False, disabled_at_unix_s=5)
    await both.registry.disable_key(gone, replace(ACCOUNT, version=2, revoked={gone.ref: 5}))
    assert await create(10**6)
    assert not await create(10**6 + 1)


async def test_disabling_a_key_changes_key_and_account_together(both: Both) -> None:
    await both.registry.create_account(ACCOUNT)
    await both.registry.create_key(KEY)
    disabled = replace(KEY, enabled=False, disabled_at_unix_s=1_795_000_500)
    account = replace(ACCOUNT, version=2, revoked={KEY.ref: 1_795_000_500})
    with pytest.raises(Conflict):
        await both.registry.disable_key(disabled, replace(account, version=3))
    assert await both.directory.key(KEY.digest) == KEY
    await both.registry.disable_key(disabled, account)
    assert await both.directory.key(KEY.digest) == disabled
    assert await both.directory.account(ACCOUNT.id) == account
    with pytest.raises(Conflict):
        await both.registry.disable_key(disabled, replace(account, version=3))
    assert await both.directory.account(ACCOUNT.id) == account


async def test_a_change_of_a_key_needs_the_version_before_it_and_can_remove_limits(both: Both) -> None:
    await both.registry.create_account(ACCOUNT)
    await both.registry.create_key(KEY)
    free = replace(KEY, name="", models=None, caps=None, expires_at_unix_s=None, caps_version=2)
    await both.registry.change_key(free)
    assert await both.directory.key(KEY.digest) == free
    with pytest.raises(Conflict):
        await both.registry.change_key(replace(KEY, caps_version=2))
    await both.registry.change_key(replace(KEY, caps_version=3))
    assert await both.directory.key(KEY.digest) == replace(KEY, caps_version=3)


async def test_lists_continue_where_they_stopped(both: Both) -> None:
    wanted = {f"acct_{number}" for number in range(7)}
    for account_id in wanted:
        await both.registry.create_account(replace(ACCOUNT, id=account_id))
    seen: list[str] = []
    after = None
    while True:
        page = await both.registry.accounts(after=after, limit=3)
        seen += [account.id for account in page.entries]
        if page.next is None:
            break
        after = page.next
    assert len(seen) == len(wanted)
    assert set(seen) == wanted


async def test_operators_are_created_once_and_changed_by_compare_and_set(both: Both) -> None:
    ada = Operator("ada", "a" * 64, created_at_unix_s=7)
    await both.registry.create_operator(ada)
    with pytest.raises(AlreadyThere):
        await both.registry.create_operator(replace(ada, digest="b" * 64))
    stopped = replace(ada, enabled=False)
    await both.registry.change_operator(stopped, previous=ada)
    with pytest.raises(Conflict):
        await both.registry.change_operator(ada, previous=ada)
    assert await both.registry.operators() == [stopped]


async def test_an_engine_that_is_not_there_is_unavailable() -> None:
    nobody = ClientOptions(REGION, "http://127.0.0.1:9")
    registry = DynamoRegistry(Models.connect(nobody, TableNames.with_prefix("none")))
    with pytest.raises(StoreUnavailable):
        await registry.account("acct_a")
    with pytest.raises(StoreUnavailable):
        await registry.create_key(KEY)


async def test_several_deployments_live_in_one_process(both: Both, dynoxide: str) -> None:
    await both.registry.create_account(ACCOUNT)
    elsewhere = DynamoRegistry(Models.connect(ClientOptions(REGION, dynoxide), TableNames.with_prefix("none")))
    with pytest.raises(StoreUnavailable):
        await elsewhere.account(ACCOUNT.id)
    assert await both.registry.account(ACCOUNT.id) == ACCOUNT
