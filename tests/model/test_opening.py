"""A window opens with what is in force at that moment, whoever changes it while it is being opened."""

from collections.abc import Awaitable, Callable
from typing import Any

import pytest
from jatevo_testing.stage import CAPS, Place

from jatevo.adapters.dynamodb.windows import DynamoWindows
from jatevo.application.administration.accounts import AccountChange
from jatevo.application.administration.keys import KeyChange
from jatevo.application.ports import StoreUnavailable
from jatevo.application.reservations import Reservation
from jatevo.domain.accounts import key_window
from jatevo.domain.refusals import Code, Refusal
from jatevo.domain.windows import EVERY_KEY, Limits, Window, WindowKey

type Change = Callable[[], Awaitable[Any]]


def race(patch: pytest.MonkeyPatch, place: Place, owner: str, change: Change) -> list[str]:
    """Let `change` happen when the opener of a window has read everything and not yet written. Return who opened."""
    whole = place.process.reservations._windows.open
    openers: list[str] = []

    async def raced(window: Window, *arguments: Any, **more: Any) -> None:
        openers.append(window.key.owner)
        if window.key.owner == owner and openers.count(owner) == 1:
            await change()
        await whole(window, *arguments, **more)

    patch.setattr(place.process.reservations._windows, "open", raced)
    return openers


def narrow(place: Place) -> WindowKey:
    return key_window(place.caller.account.id, place.caller.key.id, place.key.period)


async def test_a_limit_changed_while_its_window_is_opened_binds_from_the_first_request(
    place: Place, monkeypatch: pytest.MonkeyPatch
) -> None:
    account_id = place.caller.account.id
    nothing = AccountChange(requests_per_day=0)
    race(monkeypatch, place, account_id, lambda: place.process.accounts.change(account_id, nothing))
    result = await place.asked()
    assert isinstance(result, Refusal)
    assert result.code is Code.REQUEST_QUOTA_EXHAUSTED
    assert (await place.window()).limits_version == 2


@pytest.mark.parametrize("place", ["capped"], indirect=True)
async def test_a_cap_changed_while_its_window_is_opened_binds_from_the_first_request(
    place: Place, monkeypatch: pytest.MonkeyPatch
) -> None:
    nothing = KeyChange(requests_per_day=0)
    race(monkeypatch, place, narrow(place).owner, lambda: place.process.keys.change(place.caller.key.id, nothing))
    result = await place.asked()
    assert isinstance(result, Refusal)
    assert result.code is Code.REQUEST_QUOTA_EXHAUSTED
    assert (await place.window(narrow(place))).limits == Limits(requests=0)


async def test_a_key_disabled_while_its_window_is_opened_is_blocked_in_it(
    place: Place, monkeypatch: pytest.MonkeyPatch
) -> None:
    key = place.caller.key
    race(monkeypatch, place, place.caller.account.id, lambda: place.process.keys.disable(key.id))
    result = await place.asked()
    assert isinstance(result, Refusal)
    assert result.code is Code.KEY_DISABLED
    assert (await place.window()).blocked == {key.ref}


async def test_an_account_stopped_while_its_window_is_opened_is_stopped_in_it(
    place: Place, monkeypatch: pytest.MonkeyPatch
) -> None:
    account_id = place.caller.account.id
    stop = AccountChange(enabled=False)
    race(monkeypatch, place, account_id, lambda: place.process.accounts.change(account_id, stop))
    result = await place.asked()
    assert isinstance(result, Refusal)
    assert result.code is Code.KEY_DISABLED
    assert (await place.window()).blocked == {EVERY_KEY}


async def test_a_key_disabled_is_stopped_at_once_in_a_process_that_still_takes_it_for_valid(place: Place) -> None:
    await place.reserved()
    await place.process.keys.disable(place.caller.key.id)
    result = await place.asked(place.caller)
    assert isinstance(result, Refusal)
    assert result.code is Code.KEY_DISABLED


@pytest.mark.parametrize("place", ["capped"], indirect=True)
async def test_a_cap_removed_and_set_again_never_touches_what_is_held(place: Place) -> None:
    keys, key_id = place.process.keys, place.caller.key.id
    reservation = await place.reserved()
    before = await place.window(narrow(place))
    await keys.change(key_id, KeyChange(requests_per_day=None))
    during = await place.window(narrow(place))
    assert during.limits == Limits()
    assert during.open == before.open
    await keys.change(key_id, KeyChange(requests_per_day=CAPS.requests))
    after = await place.window(narrow(place))
    assert (after.limits, after.requests_left, dict(after.open)) == (CAPS, before.requests_left, dict(before.open))
    assert reservation.id in after.open


async def test_an_opener_whom_others_keep_in_the_way_tries_again(place: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    whole = DynamoWindows.open
    refused = 0

    async def conflicting(store: DynamoWindows, *arguments: Any, **more: Any) -> None:
        nonlocal refused
        refused += 1
        if refused == 1:
            raise StoreUnavailable("transaction conflict")
        await whole(store, *arguments, **more)

    monkeypatch.setattr(DynamoWindows, "open", conflicting)
    assert isinstance(await place.asked(), Reservation)
