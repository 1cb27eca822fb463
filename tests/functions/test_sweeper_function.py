"""The sweeper's Lambda handler: any number of invocations in one process, each ending what is due by then."""

import asyncio
import logging
from collections.abc import Iterator

import pytest
from jatevo_testing.tables import plain_client, put_account

from jatevo.adapters.dynamodb.schema import TableNames
from jatevo.application.ports import StoreUnavailable
from jatevo.bootstrap import Gateway
from jatevo.domain import ids
from jatevo.domain.accounts import Account, account_window
from jatevo.domain.calendar import utc_day
from jatevo.domain.ledger import Outcome
from jatevo.domain.windows import Hold, Limits, Window, WindowKey, opened
from jatevo_sweeper import handler

EVENT = {"source": "aws.scheduler", "detail-type": "Scheduled Event"}
NOTHING = {"windows": 0, "expired": 0, "applied": 0, "failed": 0}
ONE = {"windows": 1, "expired": 1, "applied": 0, "failed": 0}
ACCOUNT = Account("acct_a", "a", Limits(11, 11 * 10**9, 64))


@pytest.fixture
def gateway(dynoxide: str, tables: TableNames, monkeypatch: pytest.MonkeyPatch) -> Iterator[Gateway]:
    """The gateway that the handler makes from its environment, with one account."""
    monkeypatch.setenv("JATEVO_DYNAMODB_ENDPOINT", dynoxide)
    monkeypatch.setenv("JATEVO_TABLE_PREFIX", tables.windows.removesuffix("-windows"))
    client = plain_client(dynoxide)
    put_account(client, tables, ACCOUNT)
    client.close()
    handler.gateway.cache_clear()
    yield handler.gateway()
    handler.gateway().close()
    handler.gateway.cache_clear()


def abandon(gateway: Gateway, *, expires_in_s: int) -> WindowKey:
    """Leave a hold behind as a handler that died would, and return its window."""
    now_ms = gateway.clock.now_ms()
    key = account_window(ACCOUNT.id, utc_day(now_ms // 1000))
    hold = Hold(1000, now_ms // 1000 + expires_in_s, "aaaaaaaaaa")

    async def reserve() -> None:
        await gateway.windows.open(opened(key, ACCOUNT.limits, 1), 1)
        reservation_id = ids.reservation_id(now_ms, gateway.randomness.bits(64))
        assert isinstance(await gateway.windows.reserve(key, reservation_id, hold), Window)

    asyncio.run(reserve())
    return key


def window(gateway: Gateway, key: WindowKey) -> Window:
    found = asyncio.run(gateway.windows.read(key))
    assert found is not None
    return found


def test_each_invocation_of_a_process_ends_what_is_due_by_then(gateway: Gateway) -> None:
    assert handler.lambda_handler(EVENT, None) == NOTHING
    key = abandon(gateway, expires_in_s=-1)
    assert handler.lambda_handler(EVENT, None) == ONE
    assert handler.lambda_handler(EVENT, None) == NOTHING
    abandon(gateway, expires_in_s=-1)
    waiting = abandon(gateway, expires_in_s=600)
    assert waiting == key
    assert handler.lambda_handler(EVENT, None) == ONE

    assert len(window(gateway, key).open) == 1
    entries = asyncio.run(gateway.ledger.entries(ACCOUNT.id, key.period))
    assert [entry.outcome for entry in entries] == [Outcome.EXPIRED] * 2


def test_a_full_sweep_finds_a_window_that_fell_out_of_the_index(gateway: Gateway) -> None:
    key = abandon(gateway, expires_in_s=-1)
    names = {"#sweep_at": "sweep_at"}
    asyncio.run(
        gateway.dynamodb.once(
            "update_item",
            TableName=gateway.names.windows,
            Key={"owner": {"S": key.owner}, "period": {"S": key.period}},
            UpdateExpression="REMOVE #sweep_at",
            ExpressionAttributeNames=names,
        )
    )

    assert handler.lambda_handler(EVENT, None) == NOTHING
    assert handler.lambda_handler(EVENT | {"full": True}, None) == ONE

    assert not window(gateway, key).open


def test_an_invocation_that_fails_says_so_and_leaves_the_next_one_whole(
    gateway: Gateway, monkeypatch: pytest.MonkeyPatch
) -> None:
    abandon(gateway, expires_in_s=-1)

    async def fail(*_args: object) -> None:
        raise StoreUnavailable("down")

    with monkeypatch.context() as broken:
        broken.setattr(gateway.windows, "due", fail)
        with pytest.raises(StoreUnavailable):
            handler.lambda_handler(EVENT, None)

    assert handler.lambda_handler(EVENT, None) == ONE


def test_the_report_is_logged(gateway: Gateway, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO, logger="jatevo_sweeper")
    abandon(gateway, expires_in_s=-1)

    handler.lambda_handler(EVENT, None)

    [told] = [record for record in caplog.records if record.message == "sweep"]
    assert vars(told)["fields"] == {"windows": 1, "expired": 1, "applied": 0, "failed": 0}
