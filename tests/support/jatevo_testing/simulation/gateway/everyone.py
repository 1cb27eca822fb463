"""
What is registered of all accounts, keys, lanes and prices, as the engine stores it: for the auditor to judge by.

It follows the tables themselves, so it knows each version at the moment at which it comes into force.
"""

import json
from collections.abc import Callable, Mapping
from fractions import Fraction
from typing import Any

from jatevo.adapters.dynamodb.schema import TableNames
from jatevo_testing.engine_model import MemoryEngine
from jatevo_testing.engine_model.tables import Table
from jatevo_testing.holders import TOKEN_UNITS
from jatevo_testing.simulation.gateway.expiries import Expiries
from jatevo_testing.simulation.gateway.goods import DEFAULT_MARGIN_BPS, PLAYGROUND_ID, Tariff, tariffs_of
from jatevo_testing.simulation.gateway.lambdas import VISITOR_NANO_USD, VISITOR_REQUESTS
from jatevo_testing.simulation.gateway.token_prices import TOKENS, TokenPrices
from jatevo_testing.simulation.images import Image, Item, kind_of, number
from jatevo_testing.simulation.registered import UNLIMITED, Registered

_EVER_MS = -(10**12)
"""Since long before anything begins."""


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
        self._given: dict[str, tuple[str, int, Fraction | int]] = {}
        """By account that lives of the bag: the day, and what it is given for it, in dollars and in tokens."""
        self._written_ms: dict[str, int] = {}
        self._claims: dict[tuple[str, str], str] = {}
        """By wallet and day: the account that it counts for."""
        self._claimed_day: dict[str, str] = {}
        self.peak_units: Mapping[str, int] = {}
        """By wallet: the most that it has ever held."""
        self.expiries = Expiries()
        self.token_prices = TokenPrices()
        engine.on_write = self._wrote

    def add(self, account_id: str, digests: list[str]) -> None:
        """Follow an account from now on. Its keys are stored already."""
        self.accounts[account_id] = Registered(self._engine, self._names, account_id, digests, self._now_ms)
        for digest in digests:
            self.expiries.note(self._read(self._names.keys, {"digest": {"S": digest}}), _EVER_MS)
        item = self._read(self._names.accounts, {"account_id": {"S": account_id}})
        own = number(item, "margin_bps") if "margin_bps" in item else None
        self.margins[account_id] = own, number(item, "reseller_margin_bps") if "reseller_margin_bps" in item else None

    def _read(self, table: str, key: Item) -> Item:
        item: Item = self._engine.get_item(TableName=table, Key=key, ConsistentRead=True)["Item"]
        return item

    def margin_bps(self, account_id: str, lane: str, price_version: int) -> int:
        """Return the margin of a request."""
        own = self.margins[account_id][0]
        return self._lane_margins[price_version].get(lane, DEFAULT_MARGIN_BPS) if own is None else own

    # What an auditor asks.

    def owns(self, name: str) -> bool:
        owner = name.partition("#")[0]
        account_id = owner.partition("/")[0]
        return account_id == "lane" or account_id in self.accounts

    def check_opened(self, name: str, image: Image) -> None:
        owner = name.partition("#")[0]
        if kind_of(name) == "visitor":
            assert image.limits[:2] == (VISITOR_REQUESTS, VISITOR_NANO_USD), "a visitor has another quota than was set"
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
        if table.name == self._names.accounts:
            account_id = item["account_id"]["S"]
            if account_id == PLAYGROUND_ID and account_id not in self.accounts:
                self.add(account_id, [])
            elif account_id in self.accounts:
                self.accounts[account_id].note_account(item)
                self._entitled(item)
        elif table.name == self._names.keys and item["account_id"]["S"] in self.accounts:
            self.accounts[item["account_id"]["S"]].note_key(item)
            self.expiries.note(item, self._now_ms())
        elif table.name == self._names.wallets:
            self._claimed(item)
        elif table.name == self._names.prices and item["series"]["S"] == "state":
            self.token_prices.note(item, self._now_ms())
        elif table.name == self._names.catalogue:
            self._catalogue(number(item, "version"), json.loads(item["document"]["S"]))

    def _entitled(self, item: Item) -> None:
        """
        An account is given no more than what wallets that count for it that day have held; all who live of one bag, no
        more of it than there is.

        How much of it an account is given, its dollars tell by a price that held since it was written before: nothing
        is stored over another version than it was reckoned from.
        """
        account_id = item["account_id"]["S"]
        before_ms, self._written_ms[account_id] = self._written_ms.get(account_id, 0), self._now_ms()
        if "entitled_day" not in item:
            return
        day, budget = item["entitled_day"]["S"], number(item, "budget_nano_usd_per_day")
        if (day, budget) == self._given.get(account_id, ("", 0, 0))[:2]:
            return
        price = self.token_prices.best_pico_usd(day, before_ms)
        assert price or not budget, "something is given for tokens that have no price"
        tokens = Fraction(budget * 1000, price or 1)
        theirs = [wallet for (wallet, of), owner in self._claims.items() if (of, owner) == (day, account_id)]
        held = sum(self.peak_units[wallet] for wallet in theirs)
        assert tokens * TOKEN_UNITS <= held, f"{account_id} is given more than its wallets have ever held"
        self._given[account_id] = day, budget, tokens
        given = sum(tokens for of, _, tokens in self._given.values() if of == day)
        assert given <= TOKENS, f"{float(given)} tokens count, of a bag that has {TOKENS}"

    def _claimed(self, item: Item) -> None:
        """A wallet counts for one account a day, whoever it belongs to, and for no day again that is over."""
        if "claimed_day" not in item:
            return
        wallet, day, owner = item["wallet"]["S"], item["claimed_day"]["S"], item["claimed_by"]["S"]
        assert self._claims.setdefault((wallet, day), owner) == owner, f"{wallet} counts twice on one day"
        assert day >= self._claimed_day.get(wallet, ""), f"{wallet} counts for a day that was over for it"
        self._claimed_day[wallet] = day

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
