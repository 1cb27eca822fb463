"""Windows and decisions as the auditor reads them: decoded from stored items without the product's help."""

import struct
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

EVERY_KEY = "*"

type Item = Mapping[str, Mapping[str, Any]]


@dataclass(frozen=True)
class Entry:
    """One entry of `open`."""

    amount: int
    expires_at: int
    key_ref: str
    counts: int
    mark: str = ""


@dataclass(frozen=True)
class Image:
    """One window as it is stored."""

    requests_limit: int
    requests_left: int
    budget_limit: int
    budget_left: int
    settled: int
    exposed: int
    concurrency: int
    version: int
    open: Mapping[str, Entry]
    blocked: frozenset[str]
    sweep_at: int | None

    @property
    def held(self) -> int:
        return sum(entry.amount for entry in self.open.values())

    @property
    def limits(self) -> tuple[int, int, int]:
        return self.requests_limit, self.budget_limit, self.concurrency

    def refuses(self, amount: int, key_ref: str, *, counts: bool = True) -> bool:
        """Whether any bound refuses a hold, in the plainest words. What it does not take cannot refuse it."""
        blocked = bool(self.blocked & {key_ref, EVERY_KEY})
        quota = counts and self.requests_left < 1
        return blocked or quota or 0 < amount > self.budget_left or len(self.open) >= self.concurrency

    def code_for(self, amount: int, key_ref: str, *, counts: bool = True) -> str:
        """The public code a truthful refusal of this hold carries."""
        if self.blocked & {key_ref, EVERY_KEY}:
            return "key_disabled"
        if counts and self.requests_left < 1:
            return "request_quota_exhausted"
        once_settled = self.budget_left + self.held
        short = 0 < amount > self.budget_left
        if short and once_settled < amount:
            return "budget_exhausted" if once_settled <= 0 else "projected_cost_exceeds_budget"
        if len(self.open) >= self.concurrency:
            return "concurrency_limit"
        return "budget_in_flight" if short else "accepted"


EMPTY_BALANCE = Image(10**12, 10**12, 0, 0, 0, 0, 10**12, 0, {}, frozenset(), None)
"""A balance before its first grant."""


@dataclass(frozen=True)
class Decision:
    """One ledger entry as it is stored."""

    outcome: str
    reason: str
    reserved: int
    cost: int
    margin: int
    charge: int
    overrun: int
    exposure: int
    windows: frozenset[str]
    book: str
    resale: int
    money_in: frozenset[str]

    def charge_in(self, name: str, amount: int) -> int:
        """What is charged in a window: only where an amount is held, and in a key's own at its user's price."""
        if not amount:
            return 0
        return self.resale if kind_of(name) == "key" else self.charge

    @property
    def gives_request_back(self) -> bool:
        return self.outcome == "released"


def number(item: Item, name: str, default: int = 0) -> int:
    return int(item[name]["N"]) if name in item else default


def window_name(key: Item) -> str:
    """`owner#period`, as the ledger names windows too."""
    return f"{key['owner']['S']}#{key['period']['S']}"


def image_of(item: Item) -> Image:
    return Image(
        requests_limit=number(item, "requests_limit"),
        requests_left=number(item, "requests_left"),
        budget_limit=number(item, "budget_limit"),
        budget_left=number(item, "budget_left"),
        settled=number(item, "settled"),
        exposed=number(item, "exposed"),
        concurrency=number(item, "concurrency_limit"),
        version=number(item, "limits_version"),
        open={name: _entry(bytes(value["B"])) for name, value in item["open"]["M"].items()},
        blocked=frozenset(item["blocked"]["SS"]) if "blocked" in item else frozenset(),
        sweep_at=number(item, "sweep_at") if "sweep_at" in item else None,
    )


def decision_of(item: Item) -> Decision:
    return Decision(
        outcome=item["outcome"]["S"],
        reason=item["reason"]["S"],
        reserved=number(item, "reserved"),
        cost=number(item, "cost_nano_usd"),
        margin=number(item, "margin_nano_usd"),
        charge=number(item, "charge_nano_usd"),
        overrun=number(item, "overrun_nano_usd"),
        exposure=number(item, "exposure_nano_usd"),
        windows=frozenset(value["S"] for value in item["windows"]["L"]),
        book=item["book"]["S"],
        resale=number(item, "charge_nano_usd") + number(item, "reseller_margin_nano_usd"),
        money_in=frozenset(value["S"] for value in item.get("money_in", item["windows"])["L"]),
    )


ORDER = ("minute", "slots", "lane", "visitor", "key", "month", "prepaid", "account")
"""In which holds are taken, as decision 31 has it."""
COUNTS = frozenset({"minute", "lane", "visitor", "key", "month", "account"})
"""Where a request counts."""


def kind_of(name: str) -> str:
    """What a window bounds, by its name."""
    parts = name.partition("#")[0].split("/")
    if parts[0] == "lane":
        return "slots" if len(parts) > 2 else "lane"
    if len(parts) == 1:
        return "account"
    return "key" if parts[1].startswith("key_") else parts[1]


def _entry(packed: bytes) -> Entry:
    flags, amount, expires_at = struct.unpack(">BQI", packed[:13])
    key_ref, _, mark = packed[13:].decode().partition("/")
    return Entry(amount, expires_at, key_ref, flags & 1, mark)
