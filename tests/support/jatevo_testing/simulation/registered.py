"""
What operators have said, and since when it must hold: limits by version, keys disabled, accounts stopped.

`looked` is called after every write of the registry, so that each version's limits are known; `promised` when a change
has been confirmed to the operator: from then on no window may be behind it.
"""

from collections import defaultdict
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

from jatevo.adapters.dynamodb.schema import TableNames
from jatevo_testing.simulation.images import EVERY_KEY, Image, Item, number

_LATELY_S = 600
"""Some process may take a key for valid that was disabled less long ago."""
_LONG_OVER_S = 200
UNLIMITED = (10**12, 10**18, 10**12)


class Registered:
    """The registered state of one account and its keys, read past everything."""

    def __init__(
        self, dynamodb: Any, names: TableNames, account_id: str, digests: list[str], now_ms: Callable[[], int]
    ) -> None:
        self._dynamodb = dynamodb
        self._names = names
        self._account_id = account_id
        self._digests = digests
        self._now_ms = now_ms
        self._limits: dict[tuple[str, int], tuple[int, int, int]] = {}
        self._entitled_day: dict[tuple[str, int], str] = {}
        self._stopped_by: dict[tuple[str, int], bool] = {}
        self._latest: dict[str, int] = {}
        self._promised: dict[str, int] = defaultdict(int)
        self._others: set[str] = set()
        self._revoked: dict[str, int] = {}
        """Keys that were disabled, and when, in unix seconds."""
        self._enabled = True
        self._stopped = False
        self.anything_was_disabled = False
        self._capped_since_ms: dict[str, int] = {}
        self._disabled_keys: set[str] = set()
        self.under_way = 0
        """Changes begun and not ended."""
        self.unfinished = False
        """A change was broken off: what it promised is open."""
        self.looked()

    def known(self, owner: str, limits: tuple[int, int, int]) -> None:
        """A window whose limits are as they were said once: of a visitor, of a lane."""
        self._others.add(owner)
        self._remember(owner, 1, limits)

    def looked(self) -> None:
        """Read what is registered now."""
        self.note_account(self._get(self._names.accounts, {"account_id": {"S": self._account_id}}))
        for digest in self._digests:
            self.note_key(self._get(self._names.keys, {"digest": {"S": digest}}))

    def note_account(self, item: Item) -> None:
        """Take note of an account as it is stored now."""
        limits = (
            number(item, "requests_per_day"),
            number(item, "budget_nano_usd_per_day"),
            number(item, "concurrency"),
        )
        version = number(item, "version", 1)
        self._remember(self._account_id, version, limits)
        if "entitled_day" in item:
            self._entitled_day[self._account_id, version] = item["entitled_day"]["S"]
        month = number(item, "monthly_requests", 10**12), number(item, "monthly_budget_nano_usd", 10**18), 10**12
        self._remember(f"{self._account_id}/month", version, month)
        self._remember(
            f"{self._account_id}/minute", version, (number(item, "requests_per_minute", 10**12), 10**18, 10**12)
        )
        self._enabled = item["enabled"]["BOOL"]
        self._stopped_by[self._account_id, number(item, "version", 1)] = not self._enabled
        if self._enabled:
            self._stopped = False
        self._revoked = {ref: int(at["N"]) for ref, at in item.get("revoked", {"M": {}})["M"].items()}
        self.anything_was_disabled |= bool(self._revoked) or not self._enabled

    def note_key(self, key: Item) -> None:
        """Take note of a key as it is stored now."""
        caps = (
            number(key, "cap_requests_per_day", UNLIMITED[0]),
            number(key, "cap_budget_nano_usd_per_day", UNLIMITED[1]),
            number(key, "cap_concurrency", UNLIMITED[2]),
        )
        self._remember(f"{self._account_id}/{key['key_id']['S']}", number(key, "caps_version", 1), caps)
        if caps == UNLIMITED:
            self._capped_since_ms.pop(key["key_id"]["S"], None)
        else:
            self._capped_since_ms.setdefault(key["key_id"]["S"], self._now_ms())

    def capped_since_ms(self, key_id: str) -> int | None:
        """Since when a key has had caps of its own; None: it has none."""
        return self._capped_since_ms.get(key_id)

    def owns(self, name: str) -> bool:
        """Whether a window or book is the account's: a sweeper may come across others."""
        owner = name.partition("#")[0]
        return owner in self._others or owner.partition("/")[0] == self._account_id

    def promised(self, owner: str, version: int) -> None:
        """An operator was told that this version of an account or key is in force."""
        self._promised[owner] = max(self._promised[owner], version)
        if owner == self._account_id and version == self._latest[owner]:
            self._stopped = not self._enabled
            self.unfinished = False

    def promised_disabled(self, key_ref: str) -> None:
        """An operator was told that this key is disabled."""
        self._disabled_keys.add(key_ref)

    def check_opened(self, name: str, image: Image) -> None:
        owner = name.partition("#")[0]
        assert image.version == self._latest[owner], f"{name} was opened with limits that are no longer in force"
        assert image.limits == self._limits[owner, image.version]
        if owner == self._account_id:
            now_unix_s = self._now_ms() // 1000
            lately = {ref for ref, at in self._revoked.items() if now_unix_s - at < _LATELY_S}
            assert image.blocked >= lately, "a window was opened without a key that was disabled lately"
            assert (EVERY_KEY in image.blocked) == (not self._enabled)

    def check_adjusted(self, name: str, image: Image) -> None:
        owner, _, period = name.partition("#")
        day = self._entitled_day.get((owner, image.version))
        # Holdings give limits for one day: windows of others follow the version, and keep what they have.
        of_another = day is not None and day != period
        assert of_another or image.limits == self._limits[owner, image.version], "limits that nobody has set"
        stopped = self._stopped_by.get((owner, image.version), False)
        assert (EVERY_KEY in image.blocked) == stopped, "a window and its account's version differ in who may ask"

    def check_taken(self, name: str, image: Image, key_ref: str) -> None:
        owner, _, period = name.partition("#")
        if self._long_over(period):
            # Whoever still asks in it was held up for minutes: changes reach the days that may be today for somebody.
            return
        assert image.version >= self._promised[owner], f"{name} is behind a change that was confirmed"
        if owner == self._account_id:
            assert key_ref not in self._disabled_keys, "a key was used after its disabling was confirmed"
            assert not self._stopped, "an account was used after its disabling was confirmed"

    def _long_over(self, period: str) -> bool:
        """Return whether a day ended longer ago than any clock is off."""
        if len(period) != len("2026-11-23"):
            return False
        begins = datetime.fromisoformat(period).replace(tzinfo=UTC).timestamp()
        return self._now_ms() / 1000 > begins + 86_400 + _LONG_OVER_S

    def check_block(self, key_ref: str, blocked: frozenset[str], name: str) -> None:
        truly = key_ref in self._revoked or not self._enabled
        assert truly or self.under_way or self.unfinished, (
            f"{key_ref} is blocked in {name} by {sorted(blocked)} for no reason"
        )

    def _remember(self, owner: str, version: int, limits: tuple[int, int, int]) -> None:
        assert self._limits.setdefault((owner, version), limits) == limits, "one version, two sets of limits"
        assert version >= self._latest.get(owner, 0)
        self._latest[owner] = version

    def _get(self, table: str, key: dict[str, dict[str, str]]) -> Any:
        return self._dynamodb.get_item(TableName=table, Key=key, ConsistentRead=True)["Item"]
