"""What is rare enough to be forgotten: bad entries in a sweep, blocks that grow old, crashes between two writes."""

from collections.abc import Iterator, Sequence
from dataclasses import replace
from typing import Any

import pytest
from jatevo_testing.simulation.processes import Engine, connected
from jatevo_testing.simulation.strands import MODEL
from jatevo_testing.stage import Place
from jatevo_testing.tables import put_account, put_key

from jatevo.application import sweeper
from jatevo.application.ports import StoreUnavailable
from jatevo.application.reservations import Reservation, Wanted
from jatevo.domain.accounts import REVOCATION_MEMORY_S, ApiKey, Caller
from jatevo.domain.binding import Kind, kind_of, lane_window
from jatevo.domain.calendar import period_end_unix_s
from jatevo.domain.lanes import Lane
from jatevo.domain.ledger import LedgerEntry, Outcome, Reason, Timings
from jatevo.domain.projection import Ask, InputSize
from jatevo.domain.refusals import Code, Refusal, Scope
from jatevo.domain.settlement import counted_free, released
from jatevo.domain.windows import Limits, Refused, Window, unbalanced_nano_usd

EXPIRED_S = 91


@pytest.fixture
def engine(dynoxide: str) -> Iterator[Engine]:
    """Tables of a test's own: sweeps count what they find."""
    with connected(dynoxide) as engine:
        yield engine


async def a_decision_fails_for(place: Place, patch: pytest.MonkeyPatch, poisoned: Sequence[str]) -> None:
    """Let deciding about some reservations fail for good, as a bug or a broken item would."""
    whole = place.process.sweeper._ledger.decide

    async def deciding(entry: LedgerEntry) -> LedgerEntry:
        if entry.reservation_id in poisoned:
            raise ValueError("a broken entry")
        return await whole(entry)

    patch.setattr(place.process.sweeper._ledger, "decide", deciding)


@pytest.mark.parametrize("bad", [0, 1, 2])
async def test_an_entry_that_cannot_be_ended_stops_no_other_of_its_window(
    place: Place, monkeypatch: pytest.MonkeyPatch, bad: int
) -> None:
    reservations = [await place.reserved() for _ in range(3)]
    place.clock.advance(EXPIRED_S)
    with monkeypatch.context() as patch:
        await a_decision_fails_for(place, patch, [reservations[bad].id])
        report = await place.process.sweeper.run()
    assert (report.expired, report.failed > 0) == (2, True)
    assert list((await place.window()).open) == [reservations[bad].id]

    place.clock.advance(sweeper._PUT_OFF_S + 1)
    assert (await place.process.sweeper.run()).expired == 1
    assert not (await place.window()).open


async def test_windows_that_always_fail_keep_no_others_waiting(place: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    """They are put off, so that the next run of a narrow batch comes to those behind them."""
    bad = await place.reserved()
    place.clock.advance(1)
    windows = place.process.sweeper._windows
    late = [replace(place.caller.account, id=f"{place.caller.account.id}l{number}") for number in range(3)]
    for account in late:
        put_account(place.engine.calls, place.engine.names, account)
        key = ApiKey(f"key_{account.id[5:]:>010}", f"digest {account.id}", account.id, "", "")
        put_key(place.engine.calls, place.engine.names, key)
        await place.reserved(Caller(key, account))
    place.clock.advance(EXPIRED_S)
    monkeypatch.setattr(sweeper, "_WINDOWS_PER_SHARD", 1)
    await a_decision_fails_for(place, monkeypatch, [bad.id])
    report = await place.process.sweeper.run()
    assert (report.expired, report.failed) == (3, len(bad.holds))
    now = place.clock.now_ms() // 1000
    for held, _ in bad.holds:
        assert held not in await windows.due(now + sweeper._PUT_OFF_S, 100)
        assert held in await windows.due(now + sweeper._PUT_OFF_S + 1, 100)


async def test_a_window_that_cannot_even_be_read_stops_no_other(place: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    await place.reserved()
    place.clock.advance(EXPIRED_S)
    whole = place.process.sweeper._sweep

    async def sweeping(key: Any) -> Any:
        if key == place.key:
            raise ValueError("a broken item")
        return await whole(key)

    monkeypatch.setattr(place.process.sweeper, "_sweep", sweeping)
    report = await place.process.sweeper.run()
    assert report.failed == 1
    assert place.key not in await place.process.sweeper._windows.due(place.clock.now_ms() // 1000 + 1, 100)


def another_key(place: Place, name: str) -> ApiKey:
    key = ApiKey(f"key_{name}{place.caller.account.id[5:]:>09}", f"{name} {place.key.owner}", place.key.owner, "", "")
    put_key(place.engine.calls, place.engine.names, key)
    return key


async def test_old_blocks_are_forgotten_and_no_new_one_with_them(place: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    """Who forgets has read the account before another operator disabled one more key: that one stays blocked."""
    old, mine, theirs = (another_key(place, name) for name in "omt")
    keys = place.process.keys
    await place.reserved()
    await keys.disable(old.id)
    assert old.ref in (await place.window()).blocked
    place.clock.advance(REVOCATION_MEMORY_S + 1)
    whole = place.process.keys._limits.key_disabled
    raced: list[str] = []

    async def after_another(account: Any, key_ref: str, **forgotten: Any) -> None:
        if not raced:
            raced.append(key_ref)
            await keys.disable(theirs.id)
        await whole(account, key_ref, **forgotten)

    await place.reserved()
    monkeypatch.setattr(place.process.keys._limits, "key_disabled", after_another)
    await keys.disable(mine.id)
    assert raced == [mine.ref]
    assert (await place.window()).blocked == {mine.ref, theirs.ref}


async def test_a_key_whose_disabling_broke_off_before_its_window_knew_is_blocked_by_the_next_request(
    place: Place, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The key is stored as disabled, the process died: whoever still takes it for valid is stopped all the same."""
    other = another_key(place, "x")
    await place.reserved()

    async def died(*_: Any, **__: Any) -> None:
        raise StoreUnavailable("killed")

    with monkeypatch.context() as patch:
        patch.setattr(place.process.keys._limits, "key_disabled", died)
        with pytest.raises(StoreUnavailable):
            await place.process.keys.disable(place.caller.key.id)
    assert not (await place.window()).blocked
    account = await place.process.reservations._openings._directory.account(place.caller.account.id, fresh=True)
    assert account is not None
    assert isinstance(await place.asked(Caller(other, account)), Reservation)
    assert (await place.window()).blocked == {place.caller.key.ref}
    refusal = await place.asked()
    assert isinstance(refusal, Refusal)
    assert refusal.code is Code.KEY_DISABLED


async def test_disabling_a_key_again_repairs_what_a_crash_left(place: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    await place.reserved()

    async def died(*_: Any, **__: Any) -> None:
        raise StoreUnavailable("killed")

    with monkeypatch.context() as patch:
        patch.setattr(place.process.keys._limits, "key_disabled", died)
        with pytest.raises(StoreUnavailable):
            await place.process.keys.disable(place.caller.key.id)
    await place.process.keys.disable(place.caller.key.id)
    assert (await place.window()).blocked == {place.caller.key.ref}


async def test_a_refusal_resets_when_its_own_window_does(place: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    """Midnight may pass between asking the window and telling the client: the window that refused is of yesterday."""
    account = replace(place.caller.account, limits=Limits(1, 10**9, 64))
    put_account(place.engine.calls, place.engine.names, account)
    caller, end = replace(place.caller, account=account), period_end_unix_s(place.key.period)
    assert end is not None
    place.clock.at_ms = end * 1000 - 1
    await place.reserved(caller)
    whole = place.process.reservations._windows.reserve

    async def at_midnight(*arguments: Any) -> Window | Refused | None:
        result = await whole(*arguments)
        place.clock.at_ms = end * 1000
        return result

    with monkeypatch.context() as patch:
        patch.setattr(place.process.reservations._windows, "reserve", at_midnight)
        refusal = await place.asked(caller)
    assert isinstance(refusal, Refusal)
    assert refusal.quota is not None
    assert (refusal.code, refusal.quota.resets_at_unix_s) == (Code.REQUEST_QUOTA_EXHAUSTED, end)
    assert isinstance(await place.asked(caller), Reservation)


# A lane as a whole: its requests and dollars of a day, whoever asks.

LANE = Lane("gold", limits=Limits(2, 250, 64))


async def in_lane(place: Place, lane: Lane = LANE) -> Reservation | Refusal:
    ask = Ask(InputSize(), output_cap=90, exact_input_tokens=10)
    return await place.process.reservations.reserve(Wanted(place.caller, MODEL, 1, ask, lane))


async def test_a_lanes_day_bounds_it_in_requests_and_dollars_and_says_so(place: Place) -> None:
    lane = replace(LANE, id=f"gold-{place.caller.account.id}")
    key = lane_window(lane.id, place.key.period)
    first = await in_lane(place, lane)
    assert isinstance(first, Reservation)
    assert next(kind_of(held) for held, _ in first.holds) is Kind.LANE
    assert isinstance(await in_lane(place, lane), Reservation)
    refusal = await in_lane(place, lane)
    assert isinstance(refusal, Refusal)
    assert refusal.quota is not None
    assert (refusal.code, refusal.quota.scope) == (Code.REQUEST_QUOTA_EXHAUSTED, Scope.LANE)
    assert refusal.quota.resets_at_unix_s == period_end_unix_s(place.key.period)
    await place.process.reservations.settle(first, released(Reason.UPSTREAM_REFUSED), Timings())
    window = await place.window(key)
    assert (window.requests_left, window.budget_left_nano_usd, len(window.open)) == (1, 150, 1)
    assert unbalanced_nano_usd(window) == 0

    dear = replace(lane, id=f"{lane.id}-dear", limits=Limits(9, 150, 64))
    assert isinstance(await in_lane(place, dear), Reservation)
    refusal = await in_lane(place, dear)
    assert isinstance(refusal, Refusal)
    assert (refusal.code, refusal.quota and refusal.quota.scope) == (Code.BUDGET_IN_FLIGHT, Scope.LANE)


async def test_what_a_lane_holds_for_a_crashed_request_is_ended_from_either_window(place: Place) -> None:
    lane = replace(LANE, id=f"gold-{place.caller.account.id}")
    left = await in_lane(place, lane)
    assert isinstance(left, Reservation)
    place.clock.advance(EXPIRED_S)
    assert (await place.process.sweeper.run()).expired == 1
    [entry] = (await place.book()).values()
    assert entry.outcome is Outcome.EXPIRED
    for key, _ in left.holds:
        window = await place.window(key)
        assert (len(window.open), unbalanced_nano_usd(window)) == (0, 0)
        assert window.settled_nano_usd == entry.charged_in(key)


async def test_a_lanes_day_starts_anew_with_the_day(place: Place) -> None:
    lane = replace(LANE, id=f"gold-{place.caller.account.id}", limits=Limits(1, 10**9, 64))
    kept = await in_lane(place, lane)
    assert isinstance(kept, Reservation)
    await place.process.reservations.settle(kept, counted_free(Reason.CLIENT_ERROR), Timings())
    assert isinstance(await in_lane(place, lane), Refusal)
    place.clock.advance(86_400)
    assert isinstance(await in_lane(place, lane), Reservation)


@pytest.mark.parametrize("place", ["capped"], indirect=True)
async def test_a_refused_request_holds_nothing_in_any_window(place: Place) -> None:
    account = replace(place.caller.account, limits=Limits(0, 10**9, 64), monthly=Limits(9, 10**9))
    put_account(place.engine.calls, place.engine.names, account)
    assert isinstance(await place.asked(replace(place.caller, account=account)), Refusal)
    swept = [key async for key in place.windows.all_open()]
    assert swept == []
