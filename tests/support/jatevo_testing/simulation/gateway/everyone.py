"""
What is registered of all accounts, keys, lanes and prices, as the engine stores it: for the auditor to judge by.

It follows the tables themselves, so it knows each version at the moment at which it comes into force.
"""

import json
from collections.abc import Callable, Mapping
from typing import Any

from jatevo.adapters.dynamodb.schema import TableNames
from jatevo_testing.engine_model import MemoryEngine
from jatevo_testing.engine_model.tables import Table
from jatevo_testing.simulation.gateway.goods import DEFAULT_MARGIN_BPS, Tariff, tariffs_of
from jatevo_testing.simulation.gateway.holders import WORTH_NANO_USD
from jatevo_testing.simulation.images import Image, Item, kind_of, number
from jatevo_testing.simulation.registered import UNLIMITED, Registered


class Everyone:
    """All that is registered. It has what an `Auditor` asks of a `Registered`, for any number of accounts."""

    def __init__(self, engine: MemoryEngine, names: TableNames, now_ms: Callable[[], int]) -> None:
        self._engine = engine
        self._names = names
        self._now_ms = now_ms
        self.accounts: dict[str, Registered] = {}
        self.margins: dict[str, tuple[int | None, int | None]] = {}
        """By account: its own margin, and the one on top that it resells at."""
        self.prices: dict[int, dict[str, Tariff]] = {}
        self._lane_margins: dict[int, dict[str, int]] = {}
        self._lanes: dict[tuple[str, int], tuple[int, int, int]] = {}
        self._budgets: dict[str, tuple[str, int]] = {}
        self._claims: dict[str, tuple[str, str]] = {}
        self._others: dict[str, tuple[int, int, int]] = {}
        engine.on_write = self._wrote

    def add(self, account_id: str, digests: list[str]) -> None:
        """Follow an account from now on. Its keys are stored already."""
        self.accounts[account_id] = Registered(self._engine, self._names, account_id, digests, self._now_ms)
        item = self._engine.get_item(TableName=self._names.accounts, Key={"account_id": {"S": account_id}})["Item"]
        own = number(item, "margin_bps") if "margin_bps" in item else None
        self.margins[account_id] = own, number(item, "reseller_margin_bps") if "reseller_margin_bps" in item else None

    def known(self, owner: str, limits: tuple[int, int, int]) -> None:
        """A window whose limits are as they were said once: a visitor's."""
        self._others[owner] = limits

    def margin_bps(self, account_id: str, lane: str, price_version: int) -> int:
        """Return the margin of a request."""
        own = self.margins[account_id][0]
        return self._lane_margins[price_version].get(lane, DEFAULT_MARGIN_BPS) if own is None else own

    # What an auditor asks.

    def owns(self, name: str) -> bool:
        owner = name.partition("#")[0]
        return owner.partition("/")[0] in {*self.accounts, "lane"}

    def check_opened(self, name: str, image: Image) -> None:
        owner = name.partition("#")[0]
        if owner in self._others:
            assert image.limits == self._others[owner], "a visitor's window has limits that nobody said"
        elif kind_of(name) in {"slots", "lane"}:
            self._check_lane(owner, image)
        else:
            self._of(name).check_opened(name, image)

    def check_adjusted(self, name: str, image: Image) -> None:
        owner = name.partition("#")[0]
        if kind_of(name) in {"slots", "lane"}:
            self._check_lane(owner, image)
        else:
            self._of(name).check_adjusted(name, image)

    def check_taken(self, name: str, image: Image, key_ref: str) -> None:
        if kind_of(name) not in {"slots", "lane", "visitor"}:
            self._of(name).check_taken(name, image, key_ref)

    def check_block(self, key_ref: str, blocked: frozenset[str], name: str) -> None:
        self._of(name).check_block(key_ref, blocked, name)

    def _check_lane(self, owner: str, image: Image) -> None:
        """A lane's window has the limits of a catalogue: of which one, each process knows a little late."""
        assert self._lanes[owner, image.version] == image.limits, f"{owner} has limits that no catalogue said"

    def _of(self, name: str) -> Registered:
        return self.accounts[name.partition("#")[0].partition("/")[0]]

    def _wrote(self, table: Table, item: Item | None) -> None:
        if item is None:
            return
        if table.name == self._names.accounts and item["account_id"]["S"] in self.accounts:
            self.accounts[item["account_id"]["S"]].note_account(item)
            self._entitled(item)
        elif table.name == self._names.keys and item["account_id"]["S"] in self.accounts:
            self.accounts[item["account_id"]["S"]].note_key(item)
        elif table.name == self._names.wallets:
            self._claimed(item)
        elif table.name == self._names.catalogue:
            self._catalogue(number(item, "version"), json.loads(item["document"]["S"]))

    def _entitled(self, item: Item) -> None:
        """All who live of one bag are given no more for a day than it is worth."""
        if "entitled_day" not in item:
            return
        day = item["entitled_day"]["S"]
        self._budgets[item["account_id"]["S"]] = day, number(item, "budget_nano_usd_per_day")
        given = sum(budget for of, budget in self._budgets.values() if of == day)
        assert given <= WORTH_NANO_USD, f"{given} are given for a bag that is worth {WORTH_NANO_USD}"

    def _claimed(self, item: Item) -> None:
        """A wallet counts for one account a day, whoever it belongs to."""
        if "claimed_day" not in item:
            return
        wallet, claim = item["wallet"]["S"], (item["claimed_day"]["S"], item["claimed_by"]["S"])
        before = self._claims.get(wallet, ("", ""))
        assert claim == before or claim[0] > before[0], f"{wallet} counts twice on one day"
        self._claims[wallet] = claim

    def _catalogue(self, version: int, document: Mapping[str, Any]) -> None:
        self.prices[version] = tariffs_of(document)
        lanes = document.get("lanes", [])
        self._lane_margins[version] = {lane["id"]: lane["margin_bps"] for lane in lanes if "margin_bps" in lane}
        shares = {(lane["id"], pool): size for lane in lanes for pool, size in lane.get("guaranteed", {}).items()}
        for pool in document["pools"]:
            taken = sum(size for (_, name), size in shares.items() if name == pool["id"])
            if taken:
                shares["shared", pool["id"]] = pool["concurrency"] - taken
        for (lane_id, pool_id), size in shares.items():
            self._lanes[f"lane/{lane_id}/{pool_id}", version] = (*UNLIMITED[:2], size)
        for lane in lanes:
            if "requests_per_day" in lane:
                dollars = lane["budget_usd_per_day"]
                budget = round(float(dollars) * 10**9)
                self._lanes[f"lane/{lane['id']}", version] = (lane["requests_per_day"], budget, UNLIMITED[2])
