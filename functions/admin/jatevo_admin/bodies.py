"""
What the admin API takes: bodies, checked for fields and types. Bounds are the use cases' own.

Money is a decimal string of US dollars. In a change, a field that is left out stays as it is; null removes a limit or
brings back a default where there is one.
"""

from typing import Any

from pydantic import BaseModel, ConfigDict

from jatevo.application.administration.accounts import AccountChange, NewAccount
from jatevo.application.administration.keys import KeyChange, NewKey
from jatevo.application.administration.problems import InvalidValue
from jatevo.domain.accounts import DEFAULT_CONCURRENCY
from jatevo.domain.money import MoneyError, parse_usd


class _Body(BaseModel):
    model_config = ConfigDict(extra="forbid", strict=True)

    def given(self) -> dict[str, Any]:
        """Return the fields that were sent, money as nano-USD."""
        fields = {name: getattr(self, name) for name in self.model_fields_set}
        if "budget_usd_per_day" in fields:
            fields["budget_nano_usd_per_day"] = _nano_usd(fields.pop("budget_usd_per_day"))
        return fields


class CatalogueBody(_Body):
    """A catalogue document; with `dry_run` it is only compared."""

    document: dict[str, Any]
    dry_run: bool = False


class NewAccountBody(_Body):
    """A new account."""

    name: str
    requests_per_day: int
    budget_usd_per_day: str
    concurrency: int = DEFAULT_CONCURRENCY
    margin_bps: int | None = None
    lanes: list[str] = []
    zdr: bool = False

    def wanted(self) -> NewAccount:
        return NewAccount(**self.given())


class AccountChangeBody(_Body):
    """What is to become of an account."""

    name: str = ""
    requests_per_day: int = 0
    budget_usd_per_day: str = ""
    concurrency: int = 0
    margin_bps: int | None = None
    enabled: bool = True
    lanes: list[str] = []
    zdr: bool = False

    def wanted(self) -> AccountChange:
        return AccountChange(**self.given())


class NewKeyBody(_Body):
    """A new key."""

    name: str = ""
    models: list[str] | None = None
    lanes: list[str] | None = None
    ip_ranges: list[str] | None = None
    requests_per_day: int | None = None
    budget_usd_per_day: str | None = None
    concurrency: int | None = None
    expires_at_unix_s: int | None = None

    def wanted(self) -> NewKey:
        return NewKey(**self.given())


class KeyChangeBody(NewKeyBody):
    """What is to become of a key."""

    def changes(self) -> KeyChange:
        return KeyChange(**self.given())


class OperatorBody(_Body):
    """A new operator."""

    name: str


class RateBody(_Body):
    """A price of the token that an operator sets."""

    price_usd: str
    expires_at_unix_s: int
    reason: str


class SweepBody(_Body):
    """A run of the sweeper; `full` looks at every window, a repair."""

    full: bool = False


def _nano_usd(text: str | None) -> int | None:
    try:
        return None if text is None else parse_usd(text)
    except MoneyError as error:
        raise InvalidValue(f"{error}.", param="budget_usd_per_day") from error
