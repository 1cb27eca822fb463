"""
What the admin API takes: bodies, checked for fields and types. Bounds are the use cases' own.

Money is a decimal string of US dollars. In a change, a field that is left out stays as it is; null removes a limit or
brings back a default where there is one.
"""

from typing import Any, Literal

from pydantic import Field

from jatevo.adapters.http.key_bodies import Body, nano_usd
from jatevo.application.administration.accounts import AccountChange, NewAccount
from jatevo.application.administration.grants import NewGrant
from jatevo.domain.accounts import DEFAULT_CONCURRENCY, LimitsFrom


class CatalogueBody(Body):
    """A catalogue document; with `dry_run` it is only compared."""

    document: dict[str, Any]
    dry_run: bool = False


class NewAccountBody(Body):
    """A new account."""

    name: str
    requests_per_day: int
    budget_usd_per_day: str
    concurrency: int = DEFAULT_CONCURRENCY
    margin_bps: int | None = None
    lanes: list[str] = Field(default_factory=list)
    zdr: bool = False
    requests_per_minute: int | None = None
    requests_per_month: int | None = None
    budget_usd_per_month: str | None = None
    reseller_margin_bps: int | None = None

    def wanted(self) -> NewAccount:
        return NewAccount(**self.given())


class AccountChangeBody(Body):
    """What is to become of an account. `limits_from`: hand it back to its holdings, or keep the limits it has."""

    name: str = ""
    requests_per_day: int = 0
    budget_usd_per_day: str = ""
    concurrency: int = 0
    margin_bps: int | None = None
    enabled: bool = True
    lanes: list[str] = Field(default_factory=list)
    zdr: bool = False
    requests_per_minute: int | None = None
    requests_per_month: int | None = None
    budget_usd_per_month: str | None = None
    reseller_margin_bps: int | None = None
    limits_from: Literal["operator", "holdings"] = "operator"

    @property
    def by_holdings(self) -> bool:
        """Whether holdings are to set the limits from now on."""
        return self.limits_from == "holdings"

    def wanted(self) -> AccountChange:
        fields = self.given()
        if "limits_from" in fields:
            fields["limits_from"] = LimitsFrom(self.limits_from)
        return AccountChange(**fields)


class QuestionBody(Body):
    """A request as far as routing it goes."""

    model: str
    lane: str | None = None
    key_id: str | None = None
    input_bytes: int = Field(default=400, ge=0, le=100_000_000)
    output_tokens: int | None = Field(default=None, ge=1, le=10_000_000)
    images: int = Field(default=0, ge=0, le=1000)
    fields: list[str] = Field(default_factory=list)
    prompt_cache_key: str | None = None
    zdr: bool = False


class GrantBody(Body):
    """Money for an account's balance, or, as a correction, from it."""

    grant_id: str
    amount_usd: str
    reason: str
    correction: bool = False
    not_after_unix_s: int | None = None

    def wanted(self) -> NewGrant:
        amount = nano_usd(self.amount_usd, "amount_usd")
        return NewGrant(self.grant_id, amount or 0, self.reason, self.correction, self.not_after_unix_s)


class OperatorBody(Body):
    """A new operator."""

    name: str


class RateBody(Body):
    """A price of the token that an operator sets."""

    price_usd: str
    expires_at_unix_s: int
    reason: str


class ReasonBody(Body):
    """Why an operator does what is asked; kept in the audit trail."""

    reason: str


class CeilingBody(ReasonBody):
    """What a day may cost at most; "0.00": no ceiling, null: that of the settings."""

    usd: str | None

    def wanted(self) -> int | None:
        return None if self.usd is None else nano_usd(self.usd, "usd")


class RefreshBody(Body):
    """Whose wallets to look at again; nobody named: those of all active accounts."""

    account_id: str | None = Field(default=None, min_length=1, max_length=64)


class SweepBody(Body):
    """A run of the sweeper; `full` looks at every window, a repair."""

    full: bool = False
