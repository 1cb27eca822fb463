"""What must hold once nothing is under way: everything ended exactly once, and ledger and windows agree."""

from dataclasses import dataclass
from typing import Any

from jatevo.application.sweeper import Sweeper
from jatevo_testing.simulation.auditor import Auditor
from jatevo_testing.simulation.images import COUNTS, Decision, decision_of, image_of, kind_of
from jatevo_testing.simulation.processes import Engine
from jatevo_testing.simulation.wire import CURRENT, Handler

_MOST_SWEEPS = 60


@dataclass(frozen=True)
class Rest:
    """What is compared: an engine's contents with an auditor's books, once `sweeper` has ended what was left."""

    engine: Engine
    auditor: Auditor
    sweeper: Sweeper

    async def check(self) -> None:
        """Sweep, and compare the books with what is stored. Everything has expired."""
        CURRENT.set(Handler("the last sweep", "rest"))
        await self._sweep()
        stored = self._ledger()
        assert stored == self.auditor.decisions, "the ledger is not what was decided"
        for name in self.auditor.windows:
            self._check_window(name, stored)
        for reservation_id in stored:
            assert reservation_id in self.auditor.attempted, "something was decided that was never attempted"

    def _check_window(self, name: str, stored: dict[str, Decision]) -> None:
        account = self.auditor.windows[name]
        owner, _, period = name.partition("#")
        item = self.engine.calls.get_item(
            TableName=self.engine.names.windows,
            Key={"owner": {"S": owner}, "period": {"S": period}},
            ConsistentRead=True,
        )["Item"]
        assert image_of(item) == account.image
        assert not account.image.open
        named = {one: stored[one] for one in account.held_once if one in stored and name in stored[one].windows}
        counts = kind_of(name) in COUNTS
        counted = {reservation_id for reservation_id, entry in named.items() if counts and not entry.gives_request_back}
        assert account.counted == counted, f"the ledger and {name} count different requests"
        carried = [entry for entry in named.values() if name in entry.money_in]
        priced = sum(entry.resale if kind_of(name) == "key" else entry.charge for entry in carried)
        assert account.image.settled == priced, f"{name} is not the ledger's sum"
        assert account.charged == sum(account.charges.values())
        assert account.held_once <= stored.keys(), "a reservation never ended"

    async def _sweep(self) -> None:
        """Sweep until nothing is open: by a full scan only where somebody took a window out of the index."""
        auditor = self.auditor
        left: set[str] = set()
        for _ in range(_MOST_SWEEPS):
            report = await self.sweeper.run()
            assert report.failed == 0
            left = {name for name, account in auditor.windows.items() if account.image.open or account.image.sweep_at}
            if left <= auditor.sweep_lost:
                break
        else:
            raise AssertionError(f"the sweeper does not end {sorted(left)}")
        if left:
            auditor.reached["recovered by a full sweep"] += 1
            await self.sweeper.run(full=True)
            assert not any(account.image.open for account in auditor.windows.values())

    def _ledger(self) -> dict[str, Decision]:
        found: dict[str, Decision] = {}
        # An account's window of a day is named as its book of that day.
        books = {name for name in self.auditor.windows if kind_of(name) == "account"}
        for book in sorted(books | {entry.book for entry in self.auditor.decisions.values()}):
            query: dict[str, Any] = {
                "TableName": self.engine.names.ledger,
                "KeyConditionExpression": "book = :book",
                "ExpressionAttributeValues": {":book": {"S": book}},
                "ConsistentRead": True,
            }
            while query:
                answer = self.engine.calls.query(**query)
                for item in answer["Items"]:
                    found[item["reservation_id"]["S"]] = decision_of(item)
                last = answer.get("LastEvaluatedKey")
                query = {**query, "ExclusiveStartKey": last} if last else {}
        return found
