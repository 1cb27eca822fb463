"""What must hold once nothing is under way: everything ended exactly once, and ledger and windows agree."""

from typing import TYPE_CHECKING, Any

from jatevo_testing.simulation.images import COUNTS, Decision, decision_of, image_of, kind_of
from jatevo_testing.simulation.wire import CURRENT, Handler

if TYPE_CHECKING:
    from jatevo_testing.simulation.simulation import Simulation

_MOST_SWEEPS = 60


async def check_at_rest(simulation: "Simulation") -> None:
    """Let all reservations expire, sweep, and compare the books with what is stored."""
    CURRENT.set(Handler("the last sweep", "rest"))
    simulation.clock.advance(300)
    await _sweep(simulation)
    stored = _ledger(simulation)
    auditor = simulation.auditor
    assert stored == auditor.decisions, "the ledger is not what was decided"
    for name, account in auditor.windows.items():
        owner, _, period = name.partition("#")
        item = simulation.engine.calls.get_item(
            TableName=simulation.engine.names.windows,
            Key={"owner": {"S": owner}, "period": {"S": period}},
            ConsistentRead=True,
        )["Item"]
        assert image_of(item) == account.image
        assert not account.image.open
        named = {reservation_id: entry for reservation_id, entry in stored.items() if name in entry.windows}
        counts = kind_of(name) in COUNTS
        counted = {reservation_id for reservation_id, entry in named.items() if counts and not entry.gives_request_back}
        assert account.counted == counted, f"the ledger and {name} count different requests"
        carried = [entry for entry in named.values() if name in entry.money_in]
        priced = sum(entry.resale if kind_of(name) == "key" else entry.charge for entry in carried)
        assert account.image.settled == priced, f"{name} is not the ledger's sum"
        assert account.charged == sum(account.charges.values())
        assert account.held_once <= stored.keys(), "a reservation never ended"
    for reservation_id in stored:
        assert reservation_id in auditor.attempted, "something was decided that was never attempted"


async def _sweep(simulation: "Simulation") -> None:
    """Sweep until nothing is open: by a full scan only where somebody took a window out of the index."""
    auditor, sweeper = simulation.auditor, simulation.processes[0].sweeper
    left: set[str] = set()
    for _ in range(_MOST_SWEEPS):
        report = await sweeper.run()
        assert report.failed == 0
        left = {name for name, account in auditor.windows.items() if account.image.open or account.image.sweep_at}
        if left <= auditor.sweep_lost:
            break
    else:
        raise AssertionError(f"the sweeper does not end {left}")
    if left:
        auditor.reached["recovered by a full sweep"] += 1
        await sweeper.run(full=True)
        assert not any(account.image.open for account in auditor.windows.values())


def _ledger(simulation: "Simulation") -> dict[str, Decision]:
    found: dict[str, Decision] = {}
    account_id = simulation.customer.account.id
    days = {name.partition("#")[2] for name in simulation.auditor.windows if kind_of(name) == "account"}
    books = {f"{account_id}#{day}" for day in days} | {entry.book for entry in simulation.auditor.decisions.values()}
    for book in sorted(books):
        query: dict[str, Any] = {
            "TableName": simulation.engine.names.ledger,
            "KeyConditionExpression": "book = :book",
            "ExpressionAttributeValues": {":book": {"S": book}},
            "ConsistentRead": True,
        }
        for item in simulation.engine.calls.query(**query)["Items"]:
            found[item["reservation_id"]["S"]] = decision_of(item)
    return found
