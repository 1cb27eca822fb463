"""From holdings to the limits of a day: one snapshot a day, one claim a wallet and day, limits of their own day."""

import asyncio
from dataclasses import replace

from jatevo_testing.clocks import ManualClock
from jatevo_testing.holders import TOKEN_UNITS, Holders, solana_wallet

from jatevo.domain.accounts import Account, LimitsFrom, account_window
from jatevo.domain.calendar import day_start_unix_s, utc_day
from jatevo.domain.entitlement import Why
from jatevo.domain.windows import opened

ALICE, BOB = solana_wallet(1), solana_wallet(2)
DAY_S = 86_400


async def test_eleven_dollars_held_are_eleven_requests_and_eleven_dollars_a_day(holders: Holders) -> None:
    account = await holders.account(1, ALICE)
    await holders.snapshot({ALICE: 11 * TOKEN_UNITS})
    assert await holders.limits_of(account) == (11, 11_00)


async def test_what_is_not_in_the_snapshot_counts_from_the_next_one(holders: Holders) -> None:
    account = await holders.account(1, ALICE)
    await holders.snapshot({BOB: 11 * TOKEN_UNITS})
    assert await holders.limits_of(account) == (0, 0)
    await holders.claims.saw(ALICE, 11 * TOKEN_UNITS, holders.now_unix_s + 60)
    assert await holders.limits_of(account) == (0, 0)
    holders.clock.advance(DAY_S)
    await holders.snapshot({ALICE: 11 * TOKEN_UNITS})
    assert await holders.limits_of(account) == (11, 11_00)


async def test_a_day_counts_by_the_snapshot_that_was_pinned_first(holders: Holders) -> None:
    alice, bob = await holders.account(1, ALICE), await holders.account(2, BOB)
    await holders.snapshot({ALICE: 11 * TOKEN_UNITS})
    assert await holders.limits_of(alice) == (11, 11_00)
    holders.clock.advance(60)
    await holders.snapshot({BOB: 11 * TOKEN_UNITS})
    assert await holders.limits_of(bob) == (0, 0)
    assert await holders.limits_of(alice) == (11, 11_00)
    tomorrow = utc_day(holders.now_unix_s + DAY_S)
    assert await holders.limits_of(bob, tomorrow) == (11, 11_00)
    assert await holders.limits_of(alice, tomorrow) == (0, 0)


async def test_a_snapshot_older_than_two_days_counts_nothing(holders: Holders) -> None:
    account = await holders.account(1, ALICE)
    await holders.snapshot({ALICE: 11 * TOKEN_UNITS})
    holders.clock.advance(2 * DAY_S)
    assert await holders.limits_of(account) == (11, 11_00)
    holders.clock.advance(DAY_S)
    assert await holders.limits_of(account) == (0, 0)
    await holders.snapshot({ALICE: 5 * TOKEN_UNITS})
    assert await holders.limits_of(account) == (5, 5_00)


async def test_selling_lowers_the_limits_and_what_was_spent_stays_spent(holders: Holders) -> None:
    account = await holders.account(1, ALICE)
    await holders.snapshot({ALICE: 11 * TOKEN_UNITS})
    await holders.limits_of(account)
    stored = await holders.accounts.account(account)
    assert stored is not None
    key = account_window(account, holders.today)
    window = replace(opened(key, stored.limits, stored.version), requests_left=4, budget_left_nano_usd=7 * 10**9)
    await holders.windows.open(replace(window, settled_nano_usd=4 * 10**9), stored.version)

    await holders.claims.saw(ALICE, 3 * TOKEN_UNITS, holders.now_unix_s + 60)
    assert await holders.limits_of(account) == (3, 3_00)

    after = await holders.window(account)
    assert after is not None
    assert (after.requests_left, after.budget_left_nano_usd) == (-4, -1 * 10**9)


async def test_a_wallet_counts_for_one_account_a_day_however_it_is_linked(holders: Holders) -> None:
    first, second = await holders.account(1, ALICE, solana_wallet(8)), await holders.account(2, BOB)
    await holders.snapshot({ALICE: 11 * TOKEN_UNITS})
    assert await holders.limits_of(first) == (11, 11_00)
    assert await holders.wallets.unlink(ALICE, first, staying=solana_wallet(8))
    assert await holders.wallets.link(ALICE, second, holders.now_unix_s)
    assert await holders.limits_of(second) == (0, 0)
    assert await holders.limits_of(first) == (0, 0)
    why = (await holders.entitlements.of(second, holders.today)).earned.why
    assert Why.CLAIMED_ELSEWHERE in why
    holders.clock.advance(DAY_S)
    assert await holders.limits_of(second) == (11, 11_00)


async def test_limits_never_go_back_to_an_earlier_day(holders: Holders) -> None:
    account = await holders.account(1, ALICE)
    await holders.snapshot({ALICE: 11 * TOKEN_UNITS})
    tomorrow = utc_day(holders.now_unix_s + DAY_S)
    await holders.limits_of(account, tomorrow)
    behind = await holders.process(ManualClock(holders.clock.now_ms())).renew(account, holders.today, afresh=True)
    assert behind is not None
    assert behind.entitled_day == tomorrow


async def test_an_open_window_is_never_moved_to_another_days_limits(holders: Holders) -> None:
    account = await holders.account(1, ALICE)
    await holders.snapshot({ALICE: 11 * TOKEN_UNITS})
    await holders.limits_of(account)
    stored = await holders.accounts.account(account)
    assert stored is not None
    today = holders.today
    await holders.windows.open(opened(account_window(account, today), stored.limits, stored.version), stored.version)
    midnight = day_start_unix_s(today) + DAY_S
    holders.clock.at_ms = (midnight - 240) * 1000
    await holders.snapshot({ALICE: 100 * TOKEN_UNITS})
    holders.clock.at_ms = (midnight - 2) * 1000
    ahead = ManualClock((midnight + 2) * 1000)
    for process, day in ((holders.process(ahead), utc_day(midnight)), (holders.process(), today)):
        renewed = await process.renew(account, day, afresh=True)
        assert renewed is not None
        assert (renewed.entitled_day, renewed.limits.requests) == (utc_day(midnight), 100)
        window = await holders.window(account)
        assert window is not None
        assert (window.key.period, window.limits.requests, window.requests_left) == (today, 11, 11)


async def test_a_wallet_that_changes_hands_at_this_moment_counts_once(holders: Holders) -> None:
    first, second = await holders.account(1, ALICE, solana_wallet(8)), await holders.account(2, BOB)
    await holders.snapshot({ALICE: 11 * TOKEN_UNITS})

    async def relinked() -> Account | None:
        assert await holders.wallets.unlink(ALICE, first, staying=solana_wallet(8))
        assert await holders.wallets.link(ALICE, second, holders.now_unix_s)
        return await holders.process().renew(second, holders.today, afresh=True)

    before = (holders.process().renew(first, holders.today, afresh=afresh) for afresh in (False, True))
    *of_first, of_second = await asyncio.gather(*before, relinked())
    assert of_second is not None
    assert max(found.limits.requests for found in of_first if found is not None) + of_second.limits.requests <= 11


async def test_an_operators_limits_stay(holders: Holders) -> None:
    account = await holders.account(1, ALICE)
    await holders.snapshot({ALICE: 11 * TOKEN_UNITS})
    await holders.limits_of(account)
    stored = await holders.accounts.account(account)
    assert stored is not None
    await holders.client.once(
        "update_item",
        TableName=holders.names.accounts,
        Key={"account_id": {"S": account}},
        UpdateExpression="SET #from = :operator",
        ExpressionAttributeNames={"#from": "limits_from"},
        ExpressionAttributeValues={":operator": {"S": LimitsFrom.OPERATOR.value}},
    )
    await holders.claims.saw(ALICE, 0, holders.now_unix_s + 60)
    assert await holders.limits_of(account) == (11, 11_00)


async def test_without_a_price_nothing_new_is_given_and_what_was_given_stays(holders: Holders) -> None:
    account = await holders.account(1, ALICE)
    await holders.snapshot({ALICE: 11 * TOKEN_UNITS})
    assert await holders.limits_of(account) == (11, 11_00)
    holders.price.price_pico_usd = None
    assert await holders.limits_of(account) == (11, 11_00)
    holders.clock.advance(DAY_S)
    assert await holders.limits_of(account) == (0, 0)


async def test_many_processes_that_renew_at_once_agree(holders: Holders) -> None:
    account = await holders.account(1, ALICE)
    await holders.snapshot({ALICE: 11 * TOKEN_UNITS})
    renewed = await asyncio.gather(*(holders.process().renew(account, holders.today) for _ in range(6)))
    assert {(found.limits.requests, found.version) for found in renewed if found is not None} == {(11, 2)}
