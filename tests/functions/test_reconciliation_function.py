"""The reconciliation's Lambda handler: a difference is logged by its window, and measured once."""

import time
from collections.abc import Iterator
from dataclasses import replace

import pytest
from jatevo_testing.tables import plain_client, put_account, put_window

from jatevo.adapters.dynamodb.schema import TableNames
from jatevo.application import day_audits
from jatevo.domain import metrics
from jatevo.domain.accounts import Account, account_window
from jatevo.domain.calendar import DAY_S, utc_day
from jatevo.domain.windows import Limits, opened
from jatevo_reconciliation import handler

ACCOUNT = Account("acct_a", "a", Limits(11, 11 * 10**9, 64))
EVENT = {"source": "aws.scheduler", "detail-type": "Scheduled Event"}


class Hurried:
    """A Lambda context whose time is over."""

    def get_remaining_time_in_millis(self) -> int:
        return 1000


@pytest.fixture
def yesterday(dynoxide: str, tables: TableNames, monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    """A finished day on which somebody moved a counter."""
    monkeypatch.setenv("JATEVO_DYNAMODB_ENDPOINT", dynoxide)
    monkeypatch.setenv("JATEVO_TABLE_PREFIX", tables.windows.removesuffix("-windows"))
    monkeypatch.setattr(day_audits, "_DAYS_BACK", 2)
    day = utc_day(time.time_ns() // 10**9 - 2 * DAY_S)
    client = plain_client(dynoxide)
    put_account(client, tables, ACCOUNT)
    window = opened(account_window(ACCOUNT.id, day), ACCOUNT.limits, 1)
    put_window(client, tables, replace(window, settled_nano_usd=7), {})
    client.close()
    handler.gateway.cache_clear()
    yield day
    handler.gateway().close()
    handler.gateway.cache_clear()


def test_a_difference_is_logged_by_its_window_and_measured_once(
    yesterday: str, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    measured: list[int] = []

    def add(metric: metrics.Metric, value: int = 1, *, label: str = "") -> None:
        if metric is metrics.AUDIT_DIFFERENCES:
            measured.append(value)

    monkeypatch.setattr(handler.gateway().meter, "add", add)
    [begun] = handler.lambda_handler(EVENT, Hurried())["audited"]
    assert begun["complete"] is False, "what there is no time for is left"
    audited = handler.lambda_handler(EVENT, None)["audited"]
    found = {report["day"]: (report["complete"], report["differences"]) for report in audited}
    assert found.pop(yesterday) == (True, 1)
    assert set(found.values()) == {(True, 0)}
    said = [record.fields for record in caplog.records if record.message == "the books differ"]  # type: ignore[attr-defined]
    assert [(one["window"], one["period"], one["counter"]) for one in said] == [
        ("acct_a", yesterday, "settled_nano_usd")
    ]
    assert handler.lambda_handler(EVENT, None)["audited"] == [], "each day is audited once"
    assert sum(measured) == 1
