"""What handlers leave behind is ended once, paid for within bounds, and found again whatever got lost."""

from dataclasses import replace
from typing import Any

import pytest
from jatevo_testing.stage import AMOUNT, Place

from jatevo.application.ports import StoreUnavailable
from jatevo.domain import settlement
from jatevo.domain.accounts import Caller
from jatevo.domain.ledger import Outcome, Reason, Timings
from jatevo.domain.windows import Limits, Window, WindowKey

UNPAID = 3
"""So many requests without an answer fit the exposure of a day."""


async def test_abandoned_requests_are_free_up_to_the_days_exposure_and_charged_beyond(place: Place) -> None:
    reservations = [await place.reserved() for _ in range(9)]
    place.clock.advance(91)
    report = await place.process.sweeper.run()
    assert (report.expired, report.failed) == (9, 0)
    window, book = await place.window(), await place.book()
    assert window.exposed_nano_usd == UNPAID * AMOUNT
    assert (
        window.settled_nano_usd
        == (9 - UNPAID) * AMOUNT
        == sum(entry.figures.charge_nano_usd for entry in book.values())
    )
    assert window.requests_left == 100 - 9
    assert {entry.outcome for entry in book.values()} == {Outcome.EXPIRED}
    for reservation in reservations:
        assert set(book[reservation.id].windows) == {key for key, _ in reservation.holds}
        for key, _ in reservation.holds:
            assert not (await place.window(key)).open


async def test_silent_upstreams_cost_the_client_nothing_up_to_the_days_exposure_then_an_estimate(place: Place) -> None:
    charges = []
    for _ in range(6):
        reservation = await place.reserved()
        verdict = place.process.reservations.unanswered(reservation, Reason.NO_ANSWER)
        entry = await place.process.reservations.settle(reservation, verdict, Timings())
        charges.append(entry.figures.charge_nano_usd)
    assert charges[:3] == [0, 0, 0]
    assert len(set(charges[3:])) == 1
    assert 0 < charges[-1] <= AMOUNT


@pytest.mark.parametrize("place", ["capped"], indirect=True)
async def test_a_hold_that_the_account_never_took_is_given_back_whole(place: Place) -> None:
    reservation = await place.reserved()
    settled = await place.process.reservations.settle(
        reservation, settlement.counted_free(Reason.CLIENT_ERROR), Timings()
    )
    narrow, hold = reservation.holds[0]
    before = await place.window(narrow)
    alone = settled.reservation_id[:-1] + ("a" if settled.reservation_id[-1] != "a" else "b")
    assert isinstance(await place.windows.reserve(narrow, alone, hold), Window)
    place.clock.advance(91)
    await place.process.sweeper.run()
    assert (await place.book())[alone].outcome is Outcome.RELEASED
    after = await place.window(narrow)
    assert (after.requests_left, after.budget_left_nano_usd) == (before.requests_left, before.budget_left_nano_usd)


async def test_a_window_that_lost_its_place_in_the_sweep_index_gets_it_back_with_the_next_request(place: Place) -> None:
    abandoned = await place.reserved()
    lose_sweep_at(place, *(key for key, _ in abandoned.holds))
    place.clock.advance(91)
    assert (await place.process.sweeper.run()).expired == 0
    await place.reserved()
    place.clock.advance(91)
    assert (await place.process.sweeper.run()).expired == 2
    assert not (await place.window()).open


async def test_a_full_sweep_finds_what_the_index_lost_and_puts_back_what_is_not_due(place: Place) -> None:
    await place.reserved()
    place.clock.advance(80)
    waiting = await place.reserved()
    lose_sweep_at(place, *(key for key, _ in waiting.holds))
    place.clock.advance(11)
    assert (await place.process.sweeper.run(full=True)).expired == 1
    for key, hold in waiting.holds:
        window = await place.window(key)
        assert list(window.open) == [waiting.id]
        assert window.sweep_at_unix_s == hold.expires_at_unix_s


async def test_a_handler_that_comes_too_late_is_told_what_the_sweeper_decided(place: Place) -> None:
    reservation = await place.reserved()
    place.clock.advance(91)
    await place.process.sweeper.run()
    verdict = settlement.released(Reason.UPSTREAM_REFUSED)
    entry = await place.process.reservations.settle(reservation, verdict, Timings())
    assert entry.outcome is Outcome.EXPIRED
    assert (await place.window()).requests_left == 99


async def test_an_accepted_request_stands_when_its_window_cannot_be_brought_up_to_date(
    place: Place, monkeypatch: pytest.MonkeyPatch
) -> None:
    await place.reserved()
    changed = replace(place.caller.account, version=2, limits=Limits(50, 600, 64))
    newer = replace(place.caller, account=changed)

    async def unreadable(*_: object) -> None:
        raise StoreUnavailable("not now")

    with monkeypatch.context() as patch:
        patch.setattr(place.process.reservations._windows, "read", unreadable)
        reservation = await place.reserved(newer)
    assert reservation.id in (await place.window()).open
    await place.reserved(newer)
    assert (await place.window()).limits == changed.limits


async def test_a_request_that_took_too_long_to_reserve_is_not_accepted_and_holds_nothing(
    place: Place, monkeypatch: pytest.MonkeyPatch
) -> None:
    await place.reserved()
    whole = place.process.reservations._windows.reserve

    async def slow(*arguments: Any) -> Any:
        result = await whole(*arguments)
        place.clock.advance(61)
        return result

    monkeypatch.setattr(place.process.reservations._windows, "reserve", slow)
    before = len((await place.window()).open)
    with pytest.raises(StoreUnavailable):
        await place.asked()
    assert len((await place.window()).open) == before


async def test_a_request_brings_all_windows_that_a_crash_left_behind_up_to_date(place: Place) -> None:
    await place.reserved()
    account = replace(place.caller.account, version=2, limits=Limits(50, 600, 64))
    key = replace(place.caller.key, caps_version=2)
    if key.caps is not None:
        key = replace(key, caps=Limits(requests=20))
    reservation = await place.reserved(Caller(key, account))
    for window_key, _ in reservation.holds:
        window = await place.window(window_key)
        assert window.limits == (account.limits if window_key == place.key else key.caps)
        assert window.limits_version == 2


def lose_sweep_at(place: Place, *keys: WindowKey) -> None:
    for key in keys:
        place.engine.calls.update_item(
            TableName=place.engine.names.windows,
            Key={"owner": {"S": key.owner}, "period": {"S": key.period}},
            UpdateExpression="REMOVE sweep_at",
        )
