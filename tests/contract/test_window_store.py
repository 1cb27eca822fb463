"""
The window store on two real engines does exactly what the pure rules say: same windows, same refusals, same nothing.

Each test sends the same steps to a `DynamoWindows` and to `domain.windows`, and compares what came back and what is
stored afterwards.
"""

from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass, replace

import pytest
from jatevo_testing.simulation.processes import Engine
from jatevo_testing.tables import put_account, put_key

from jatevo.adapters.dynamodb.client import ClientOptions, DynamoClient
from jatevo.adapters.dynamodb.windows import DynamoWindows
from jatevo.application.ports import Conflict, OutcomeUnknown
from jatevo.domain import ids, windows
from jatevo.domain.accounts import Account, ApiKey, account_window, key_window
from jatevo.domain.windows import EVERY_KEY, Bound, Hold, Limits, Refused, Window, WindowKey, opened
from jatevo_local.engine import REGION

DAY = "2026-11-23"
LIMITS = Limits(requests=3, budget_nano_usd=100, concurrency=2)
IDS = [ids.reservation_id(1_795_003_200_000 + place, place) for place in range(8)]
MOST_LOOKS = 200
"""An index may lag behind: it is asked again so many times, which takes a second or two."""


@dataclass(frozen=True)
class Stores:
    engine: Engine
    windows: DynamoWindows
    names: Iterator[int]

    def account(self, limits: Limits = LIMITS, *, version: int = 1) -> Account:
        account = Account(f"acct_{next(self.names)}", "test", limits, version=version)
        put_account(self.engine.calls, self.engine.names, account)
        return account

    async def opened(self, limits: Limits = LIMITS) -> Window:
        """Open an account's window and return it as the rules have it."""
        account = self.account(limits)
        window = opened(account_window(account.id, DAY), limits, account.version)
        await self.windows.open(window, account.version)
        return window


def hold(amount: int = 10, *, ref: str = "abcdefghij", expires_at: int = 1_795_003_300, requests: int = 1) -> Hold:
    return Hold(amount, expires_at, ref, requests)


@pytest.fixture
async def stores(engine: Engine, counted: Iterator[int]) -> AsyncIterator[Stores]:
    client = DynamoClient(ClientOptions(REGION, engine.endpoint_url))
    yield Stores(engine, DynamoWindows(client, engine.names), counted)
    client.close()


async def take(stores: Stores, window: Window, place: int, wanted: Hold) -> Window | Refused:
    """Reserve on both sides and return what both say."""
    expected = windows.reserve(window, IDS[place], wanted)
    assert await stores.windows.reserve(window.key, IDS[place], wanted) == expected
    stored = await stores.windows.read(window.key)
    assert stored == (expected.window if isinstance(expected, Refused) else expected)
    return expected


async def taken(stores: Stores, window: Window, place: int, wanted: Hold) -> Window:
    after = await take(stores, window, place, wanted)
    assert isinstance(after, Window)
    return after


async def test_an_opened_window_has_all_of_its_limits_left(stores: Stores) -> None:
    window = await stores.opened()
    assert await stores.windows.read(window.key) == window


@pytest.mark.parametrize(
    ("limits", "wanted", "bound"),
    [
        (replace(LIMITS, requests=0), hold(), Bound.REQUESTS_EMPTY),
        (replace(LIMITS, budget_nano_usd=0), hold(), Bound.BUDGET_EMPTY),
        (replace(LIMITS, budget_nano_usd=9), hold(), Bound.BUDGET_TOO_SMALL),
        (replace(LIMITS, concurrency=0), hold(), Bound.CONCURRENCY),
        (Limits(0, 0, 0), hold(), Bound.REQUESTS_EMPTY),
    ],
)
async def test_a_refusal_names_the_bound_and_brings_the_window_back(
    stores: Stores, limits: Limits, wanted: Hold, bound: Bound
) -> None:
    refused = await take(stores, await stores.opened(limits), 0, wanted)
    assert isinstance(refused, Refused)
    assert refused.bound is bound


async def test_holds_fill_a_window_to_each_bound_exactly(stores: Stores) -> None:
    window = await taken(stores, await stores.opened(), 0, hold(60))
    refused = await take(stores, window, 1, hold(41))
    assert isinstance(refused, Refused)
    assert refused.bound is Bound.BUDGET_IN_FLIGHT
    window = await taken(stores, window, 1, hold(40))
    assert (window.budget_left_nano_usd, window.free_slots) == (0, 0)
    refused = await take(stores, window, 2, hold(0))
    assert isinstance(refused, Refused)
    assert refused.bound is Bound.CONCURRENCY


async def test_the_largest_amounts_are_exact(stores: Stores) -> None:
    unlimited = Limits()
    window = await taken(stores, await stores.opened(unlimited), 0, hold(10**18 - 1))
    assert window.budget_left_nano_usd == 1


async def test_a_hold_that_counts_no_request_needs_none(stores: Stores) -> None:
    window = await taken(stores, await stores.opened(replace(LIMITS, requests=0)), 0, hold(requests=0))
    assert window.requests_left == 0


async def test_where_no_window_is_nothing_is_taken(stores: Stores) -> None:
    nowhere = WindowKey("acct_nobody", DAY)
    assert await stores.windows.reserve(nowhere, IDS[0], hold()) is None
    assert await stores.windows.read(nowhere) is None
    assert not await stores.windows.block(nowhere, "abcdefghij")
    await stores.windows.unblock(nowhere, frozenset({"abcdefghij"}))
    assert not await settled(stores, nowhere, 0, hold())
    assert await stores.windows.read(nowhere) is None


async def test_an_id_is_taken_once(stores: Stores) -> None:
    window = await taken(stores, await stores.opened(), 0, hold())
    with pytest.raises(OutcomeUnknown):
        await stores.windows.reserve(window.key, IDS[0], hold())
    assert await stores.windows.read(window.key) == window


async def settled(
    stores: Stores, key: WindowKey, place: int, held: Hold, *, charge: int = 0, back: bool = False, exposed: int = 0
) -> bool:
    return await stores.windows.settle(
        key, IDS[place], held, charge_nano_usd=charge, give_request_back=back, exposed_nano_usd=exposed
    )


@pytest.mark.parametrize(
    ("charge", "back", "exposed"), [(0, False, 0), (7, False, 0), (10, False, 0), (0, True, 0), (0, False, 10)]
)
async def test_settling_gives_back_what_was_not_charged_once(
    stores: Stores, charge: int, exposed: int, *, back: bool
) -> None:
    window = await taken(stores, await stores.opened(), 0, hold())
    expected = windows.settle(window, IDS[0], charge_nano_usd=charge, give_request_back=back, exposed_nano_usd=exposed)
    assert await settled(stores, window.key, 0, hold(), charge=charge, back=back, exposed=exposed)
    assert await stores.windows.read(window.key) == expected
    assert not await settled(stores, window.key, 0, hold(), charge=charge, back=back, exposed=exposed)
    assert await stores.windows.read(window.key) == expected


async def test_exposure_adds_up(stores: Stores) -> None:
    window = await stores.opened()
    for place in range(3):
        window = await taken(stores, window, place, hold())
        assert await settled(stores, window.key, place, hold(), exposed=place)
        window = await read(stores, window.key)
    assert window.exposed_nano_usd == 3


async def read(stores: Stores, key: WindowKey) -> Window:
    window = await stores.windows.read(key)
    assert window is not None
    return window


async def test_a_window_is_opened_once_and_only_by_the_version_in_force(stores: Stores) -> None:
    account = stores.account(version=2)
    window = opened(account_window(account.id, DAY), LIMITS, 2)
    with pytest.raises(Conflict):
        await stores.windows.open(replace(window, limits_version=1), 1)
    assert await stores.windows.read(window.key) is None
    await stores.windows.open(window, 2)
    held = await taken(stores, window, 0, hold())
    await stores.windows.open(window, 2)
    assert await stores.windows.read(window.key) == held


async def test_a_keys_window_is_opened_only_with_the_caps_in_force(stores: Stores) -> None:
    account = stores.account()
    key = ApiKey("key_abcdefghij", f"digest of {account.id}", account.id, "", "", caps=LIMITS, caps_version=3)
    put_key(stores.engine.calls, stores.engine.names, key)
    window = opened(key_window(account.id, key.id, DAY), LIMITS, 2)
    with pytest.raises(Conflict):
        await stores.windows.open(window, account.version, key_digest=key.digest)
    with pytest.raises(Conflict):
        await stores.windows.open(replace(window, limits_version=3), account.version + 1, key_digest=key.digest)
    assert await stores.windows.read(window.key) is None
    await stores.windows.open(replace(window, limits_version=3), account.version, key_digest=key.digest)
    assert await stores.windows.read(window.key) == replace(window, limits_version=3)


@pytest.mark.parametrize("limits", [Limits(1, 10, 1), Limits(9, 1000, 64), Limits(0, 0, 1)])
@pytest.mark.parametrize("stopped", [True, False])
async def test_limits_move_what_is_left_by_the_difference(stores: Stores, limits: Limits, *, stopped: bool) -> None:
    window = await taken(stores, await stores.opened(), 0, hold(30))
    assert await stores.windows.adjust(window, limits, 2, stopped=stopped)
    expected = windows.adjust(window, limits, 2, stopped=stopped)
    assert await stores.windows.read(window.key) == expected
    assert await stores.windows.adjust(expected, LIMITS, 3)
    assert await stores.windows.read(window.key) == replace(window, limits_version=3)


async def test_limits_are_moved_only_from_the_version_that_was_read(stores: Stores) -> None:
    window = await stores.opened()
    assert await stores.windows.adjust(window, Limits(9, 9, 9), 2)
    assert not await stores.windows.adjust(window, Limits(5, 5, 5), 3)
    assert await stores.windows.read(window.key) == windows.adjust(window, Limits(9, 9, 9), 2)


async def test_a_blocked_key_is_refused_and_others_are_not(stores: Stores) -> None:
    window = await stores.opened()
    assert await stores.windows.block(window.key, "blocked")
    assert await stores.windows.block(window.key, "blocked")
    window = replace(window, blocked=frozenset({"blocked"}))
    refused = await take(stores, window, 0, hold(ref="blocked"))
    assert isinstance(refused, Refused)
    assert refused.bound is Bound.KEY_BLOCKED
    window = await taken(stores, window, 1, hold(ref="another"))
    assert await stores.windows.block(window.key, EVERY_KEY)
    window = replace(window, blocked=frozenset({"blocked", EVERY_KEY}))
    assert isinstance(await take(stores, window, 2, hold(ref="another")), Refused)
    await stores.windows.unblock(window.key, frozenset({"blocked", EVERY_KEY}))
    await taken(stores, replace(window, blocked=frozenset()), 3, hold(ref="blocked"))


async def due(stores: Stores, key: WindowKey, before_unix_s: int, *, expected: bool) -> bool:
    """Whether a window is due, asked until it is as expected: an index may lag."""
    for _ in range(MOST_LOOKS):
        if (key in await stores.windows.due(before_unix_s, 100)) == expected:
            return True
    return False


async def test_a_window_is_due_from_its_earliest_expiry_until_nothing_is_open(stores: Stores) -> None:
    window = await taken(stores, await stores.opened(), 0, hold(expires_at=1000))
    window = await taken(stores, window, 1, hold(expires_at=2000))
    assert window.sweep_at_unix_s == 1000
    assert await due(stores, window.key, 1001, expected=True)
    assert await due(stores, window.key, 1000, expected=False)
    await stores.windows.schedule_sweep(window, None)
    assert await stores.windows.read(window.key) == window
    await stores.windows.schedule_sweep(window, 2000)
    assert (await read(stores, window.key)).sweep_at_unix_s == 2000
    await stores.windows.schedule_sweep(window, 3000)
    assert (await read(stores, window.key)).sweep_at_unix_s == 2000
    for place in range(2):
        assert await settled(stores, window.key, place, hold())
    await stores.windows.schedule_sweep(window, None)
    assert (await read(stores, window.key)).sweep_at_unix_s is None
    assert await due(stores, window.key, 10**10, expected=False)


async def test_a_window_that_lost_its_place_in_the_index_is_found_by_a_scan_and_put_back(stores: Stores) -> None:
    window = await taken(stores, await stores.opened(), 0, hold(expires_at=1000))
    stores.engine.calls.update_item(
        TableName=stores.engine.names.windows,
        Key={"owner": {"S": window.key.owner}, "period": {"S": window.key.period}},
        UpdateExpression="REMOVE sweep_at",
    )
    assert window.key in [key async for key in stores.windows.all_open()]
    await stores.windows.schedule_sweep(await read(stores, window.key), 1500)
    assert (await read(stores, window.key)).sweep_at_unix_s == 1500
    assert await settled(stores, window.key, 0, hold())
    assert window.key not in [key async for key in stores.windows.all_open()]
