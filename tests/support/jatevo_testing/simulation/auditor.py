"""
The auditor: follows every write in the order the engine took it, with books of its own.

It decides for itself what each write may do, from nothing but the protocol as it is written down: it shares no code
with the product's rules. An `AssertionError` of it is a hole in the protocol, or in the auditor.
"""

from collections import Counter, defaultdict, deque
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from typing import Any, Protocol

from jatevo.adapters.dynamodb.schema import TableNames
from jatevo_testing.simulation.images import (
    COUNTS,
    EMPTY_BALANCE,
    EVERY_KEY,
    ORDER,
    Decision,
    Entry,
    Image,
    decision_of,
    image_of,
    kind_of,
    number,
    window_name,
)
from jatevo_testing.simulation.wire import Handler, Listener

_REMEMBERED = 16
"""More refusals than a process has to see before it answers of itself."""


@dataclass(frozen=True)
class Attempt:
    """One reservation id on its way into one window."""

    window: str
    reservation_id: str
    amount: int
    key_ref: str
    counts: int


@dataclass
class Account:
    """Everything that happened in one window, remembered rather than counted down."""

    image: Image
    counted: set[str] = field(default_factory=set)
    charges: dict[str, int] = field(default_factory=dict)
    charged: int = 0
    """The sum of `charges`."""
    held_once: set[str] = field(default_factory=set)


class Register(Protocol):
    """What is registered, and what operators were promised: of one account, or of all."""

    def owns(self, name: str) -> bool: ...

    def check_opened(self, name: str, image: Image) -> None: ...

    def check_adjusted(self, name: str, image: Image) -> None: ...

    def check_taken(self, name: str, image: Image, key_ref: str) -> None: ...

    def check_block(self, key_ref: str, blocked: frozenset[str], name: str) -> None: ...


class Auditor(Listener):
    """Follows all windows that its register owns."""

    def __init__(self, names: TableNames, registered: Register, now_ms: Callable[[], int]) -> None:
        self._names = names
        self._registered = registered
        self.now_ms = now_ms
        self.windows: dict[str, Account] = {}
        self.decisions: dict[str, Decision] = {}
        self.attempted: dict[str, list[str]] = defaultdict(list)
        """By reservation id: the windows it was sent to, in their order."""
        self.refusals: dict[str, list[tuple[Attempt, Image]]] = defaultdict(list)
        """By handler: the refusals the engine gave it, for the request under way."""
        self.grants: dict[str, int] = {}
        self._evidence: dict[str, dict[str, deque[tuple[int, Image]]]] = defaultdict(dict)
        """By process and window: when it refused, and how it was; the window that refused last is the last."""
        self._held_in: dict[str, set[str]] = defaultdict(set)
        """By reservation id: the windows in which it is open."""
        self.reached: Counter[str] = Counter()
        self.sweep_lost: set[str] = set()

    # What handlers ask for.

    def asked(self, handler: Handler, operation: str, arguments: Mapping[str, Any], *, once: bool) -> None:
        if not once or arguments["TableName"] != self._names.windows:
            return
        attempt = _attempt(arguments)
        sent = self.attempted[attempt.reservation_id]
        again = attempt.window in sent
        clear = kind_of(attempt.window) == "slots" and attempt.reservation_id not in handler.unknown
        assert not again or clear, f"{attempt.reservation_id} is attempted twice in {attempt.window}"
        if sent and kind_of(attempt.window) != "slots":
            before, now = ORDER.index(kind_of(sent[-1])), ORDER.index(kind_of(attempt.window))
            assert before < now, f"{attempt.reservation_id} holds in {attempt.window} after {sent[-1]}"
        sent.append(attempt.window)
        handler.attempted.append(attempt.reservation_id)
        for lost in handler.unknown:
            assert lost in self.decisions, f"{lost} got no answer and is not decided, yet another attempt is made"

    def unanswered(self, handler: Handler, arguments: Mapping[str, Any], *, once: bool) -> None:
        if once and arguments["TableName"] == self._names.windows:
            handler.unknown.append(_attempt(arguments).reservation_id)
            self.reached["attempt without an answer"] += 1

    # What the engine did, in its order.

    def applied(self, operation: str, arguments: Mapping[str, Any], answer: Mapping[str, Any]) -> None:
        if operation == "transact_write_items":
            put = arguments["TransactItems"][0].get("Put")
            if put is None:
                return
            if put["TableName"] == self._names.ledger:
                self._granted(put["Item"])
            elif put["TableName"] == self._names.windows and self._registered.owns(window_name(put["Item"])):
                self._opened(put["Item"])
        elif arguments["TableName"] == self._names.windows:
            name = window_name(arguments["Key"])
            if self._registered.owns(name):
                self._written(name, image_of(answer["Attributes"]))
        elif arguments["TableName"] == self._names.ledger and self._registered.owns(arguments["Item"]["book"]["S"]):
            self._decided(arguments["Item"])

    def refused(self, handler: Handler, operation: str, arguments: Mapping[str, Any], item: Any) -> None:
        if "#open.#id = :entry" not in arguments.get("UpdateExpression", ""):
            return
        attempt = _attempt(arguments)
        known = self.windows.get(attempt.window)
        if item is None:
            assert known is None, "a window that is there was not found"
            self.reached["missing window"] += 1
            return
        image = image_of(item)
        assert known is not None
        assert image == known.image, "a refusal brought back another window than the one that refused"
        used = attempt.reservation_id in image.open
        refuses = image.refuses(attempt.amount, attempt.key_ref, counts=bool(attempt.counts))
        assert used or refuses, "refused although every bound allows it"

    def told(self, handler: Handler, arguments: Mapping[str, Any], item: Any) -> None:
        """A handler learns that its write was refused."""
        if item is None or "#open.#id = :entry" not in arguments.get("UpdateExpression", ""):
            return
        attempt, image = _attempt(arguments), image_of(item)
        self.refusals[handler.name].append((attempt, image))
        evidence = self._evidence[handler.process]
        evidence[attempt.window] = evidence.pop(attempt.window, deque(maxlen=_REMEMBERED))
        evidence[attempt.window].append((self.now_ms(), image))
        code = image.code_for(attempt.amount, attempt.key_ref, counts=bool(attempt.counts))
        self.reached[f"{kind_of(attempt.window)} refused"] += 1
        self.reached[f"refused {code}"] += 1
        if code == "key_disabled":
            self._registered.check_block(attempt.key_ref, image.blocked, attempt.window)

    def open_entries(self, reservation_id: str) -> dict[str, Entry]:
        """Return what a reservation holds, by window."""
        return {name: self.windows[name].image.open[reservation_id] for name in sorted(self._held_in[reservation_id])}

    def remembered_by(self, process: str, refusals: int, within_ms: int) -> list[Image]:
        """The windows as a process last saw them refuse, where it saw so many refusals within that time."""
        since_ms = self.now_ms() - within_ms
        refused = self._refused_since(process, since_ms)
        return [seen[-1][1] for seen in refused if len(seen) >= refusals and seen[-refusals][0] > since_ms]

    def refused_lately(self, process: str, refusals: int, within_ms: int) -> list[Image]:
        """Return how windows refused a process, where it saw so many refusals within that time."""
        since_ms = self.now_ms() - within_ms
        lately = [
            [image for at_ms, image in seen if at_ms > since_ms] for seen in self._refused_since(process, since_ms)
        ]
        return [image for images in lately if len(images) >= refusals for image in images]

    def _refused_since(self, process: str, since_ms: int) -> Iterator[deque[tuple[int, Image]]]:
        """Yield the refusals of each window that has refused a process since then, the latest first."""
        for seen in reversed(self._evidence[process].values()):
            if seen[-1][0] <= since_ms:
                return
            yield seen

    def _opened(self, item: Mapping[str, Any]) -> None:
        name, image = window_name(item), image_of(item)
        assert name not in self.windows, f"{name} was opened over a window that is there"
        assert not image.open
        assert (image.settled, image.exposed, image.sweep_at) == (0, 0, None)
        assert (image.requests_left, image.budget_left) == (image.requests_limit, image.budget_limit)
        self._registered.check_opened(name, image)
        self.windows[name] = Account(image)
        self.reached["opened"] += 1

    def _granted(self, item: Mapping[str, Any]) -> None:
        """A grant and its balance move together, once for each id."""
        grant, amount = item["reservation_id"]["S"], int(item["amount"]["N"])
        assert grant not in self.grants, f"{grant} was granted twice"
        self.grants[grant] = amount
        name = f"{item['book']['S'].partition('#')[0]}/prepaid#always"
        account = self.windows.setdefault(name, Account(EMPTY_BALANCE))
        before = account.image
        assert amount > 0 or before.budget_left + amount >= 0, "a correction takes what is held"
        account.image = replace(
            before,
            budget_limit=before.budget_limit + amount,
            budget_left=before.budget_left + amount,
            version=before.version + 1,
        )
        self.reached["granted" if amount > 0 else "corrected"] += 1

    def _written(self, name: str, after: Image) -> None:
        account = self.windows[name]
        before = account.image
        added, removed = after.open.keys() - before.open.keys(), before.open.keys() - after.open.keys()
        assert len(added) + len(removed) <= 1, "one write, one reservation"
        if added:
            self._taken(name, account, after, added.pop())
        elif removed:
            self._ended(name, account, after, removed.pop())
        elif after.version != before.version:
            self._adjusted(name, before, after)
        else:
            unchanged = replace(after, blocked=before.blocked, sweep_at=before.sweep_at)
            assert unchanged == before, "a write moved what it had no business with"
        account.image = after
        self._check_identities(name, account)
        if after.sweep_at is None and before.sweep_at is not None:
            assert not after.open, "sweep_at was removed while something is open"
            self.reached["sweep_at removed"] += 1
        if after.sweep_at is not None:
            self.sweep_lost.discard(name)

    def _taken(self, name: str, account: Account, after: Image, reservation_id: str) -> None:
        before, entry = account.image, after.open[reservation_id]
        kind = kind_of(name)
        counts = bool(entry.counts)
        assert counts == (kind in COUNTS), f"a request counts in {kind}, or does not"
        assert not before.refuses(entry.amount, entry.key_ref, counts=counts), "a hold was taken that a bound forbids"
        full = counts and len(account.counted) >= before.requests_limit
        assert not full, "more requests were accepted than the limit allows"
        spent = account.charged + before.held + entry.amount
        assert not entry.amount or spent <= before.budget_limit, "more money is held and charged than the budget"
        assert len(before.open) < before.concurrency, "more is held at once than the limit allows"
        self._check_money(name, reservation_id, entry)
        assert reservation_id not in account.held_once, "a reservation was taken twice"
        assert after == replace(
            before,
            requests_left=before.requests_left - entry.counts,
            budget_left=before.budget_left - entry.amount,
            open={**before.open, reservation_id: entry},
            sweep_at=entry.expires_at if before.sweep_at is None else before.sweep_at,
        )
        self._registered.check_taken(name, before, entry.key_ref)
        account.held_once.add(reservation_id)
        self._held_in[reservation_id].add(name)
        if counts:
            account.counted.add(reservation_id)
        self.reached[f"held in {kind}"] += 1
        if reservation_id in self.decisions:
            self.reached["landed after it was decided"] += 1

    def _ended(self, name: str, account: Account, after: Image, reservation_id: str) -> None:
        before = account.image
        decision = self.decisions.get(reservation_id)
        assert decision is not None, "a reservation was ended before it was decided"
        entry = before.open[reservation_id]
        charge = decision.charge_in(name, entry.amount)
        assert charge <= entry.amount, "a charge exceeds its reservation"
        exposed = decision.exposure if kind_of(name) == "account" else 0
        assert after == replace(
            before,
            requests_left=before.requests_left + (entry.counts if decision.gives_request_back else 0),
            budget_left=before.budget_left + entry.amount - charge,
            settled=before.settled + charge,
            exposed=before.exposed + exposed,
            open={other: kept for other, kept in before.open.items() if other != reservation_id},
        ), "ending a reservation did not do what was decided"
        account.charges[reservation_id] = charge
        account.charged += charge
        self._held_in[reservation_id].discard(name)
        if decision.gives_request_back:
            account.counted.discard(reservation_id)

    def _adjusted(self, name: str, before: Image, after: Image) -> None:
        assert after.version > before.version, "a window went back to older limits"
        self._registered.check_adjusted(name, after)
        assert after.blocked - {EVERY_KEY} == before.blocked - {EVERY_KEY}
        assert replace(after, blocked=before.blocked, sweep_at=before.sweep_at) == replace(
            before,
            requests_limit=after.requests_limit,
            requests_left=before.requests_left + after.requests_limit - before.requests_limit,
            budget_limit=after.budget_limit,
            budget_left=before.budget_left + after.budget_limit - before.budget_limit,
            concurrency=after.concurrency,
            version=after.version,
        ), "what is left did not move by the difference of the limits"
        self.reached["adjusted with holds open" if before.open else "adjusted"] += 1

    def _decided(self, item: Mapping[str, Any]) -> None:
        name, decision = item["reservation_id"]["S"], decision_of(item)
        assert name not in self.decisions, f"{name} was decided twice"
        assert 0 <= decision.charge <= decision.reserved, "somebody pays above a reservation"
        assert decision.cost + decision.margin == decision.charge
        assert decision.charge <= decision.resale, "a reseller's margin is never negative"
        assert min(decision.overrun, decision.exposure, decision.cost) >= 0
        if decision.outcome == "released":
            assert (decision.charge, decision.exposure) == (0, 0)
        if decision.reason == "abandoned" and decision.outcome == "expired":
            assert {decision.charge, decision.exposure} == {0, decision.reserved}
        if decision.outcome != "released":
            accepted = self.windows.get(decision.book)
            reserved = {kind_of(window) for window in decision.money_in}
            assert not reserved >= {"prepaid", "account"}, "money is paid from two places"
            assert accepted is not None, "charged or expired in an account that has no window"
            assert name in accepted.held_once, "charged or expired, though its account never took it"
        for window, held in self.open_entries(name).items():
            # A sweeper that found its account without a hold gives all back: what landed later it cannot know.
            partly_seen = (decision.outcome, decision.reason) == ("released", "reserve_unknown")
            known = partly_seen or kind_of(window) == "key" or held.amount == decision.reserved
            assert not held.amount or known, "a decision says other than what is held"
        if decision.reason == "abandoned":
            for held in self.open_entries(name).values():
                assert number(item, "decided_at_ms") > held.expires_at * 1000, "a sweeper ended what had not expired"
        self.judged(item)
        self.decisions[name] = decision
        self.reached[f"{decision.outcome} {decision.reason}"] += 1
        self.reached["overrun" if decision.overrun else "no overrun"] += 1

    def judged(self, item: Mapping[str, Any]) -> None:
        """Look at a decision that has just been stored. For who knows more than the protocol."""

    def _check_money(self, name: str, reservation_id: str, entry: Entry) -> None:
        """Money is held in the day and the month, or in the balance, and never in both; where it is, it is the same."""
        kind = kind_of(name)
        if kind in {"slots", "minute"}:
            assert entry.amount == 0, f"money is held in {name}"
            return
        held = {kind_of(other): one.amount for other, one in self.open_entries(reservation_id).items()}
        balance = held.get("prepaid", 0)
        if kind in {"month", "account"} and balance:
            assert entry.amount == 0, "money is held twice"
        if kind == "account" and "month" in held:
            assert held["month"] == entry.amount, "the day and the month hold different money"
        paid = balance or entry.amount
        if kind == "account" and "key" in held:
            assert held["key"] >= paid, "a key holds less than its account"
        self.reached[f"paid from {'the balance' if balance else 'the budget'}"] += kind == "account"

    def _check_identities(self, name: str, account: Account) -> None:
        image = account.image
        assert image.budget_left + image.settled + image.held == image.budget_limit, f"money leaks in {name}"
        assert image.requests_left + len(account.counted) == image.requests_limit, f"requests leak in {name}"
        assert image.settled == account.charged

    # By hand.

    def lost_sweep_at(self, name: str) -> None:
        """The attribute was removed behind everybody's back."""
        account = self.windows[name]
        account.image = replace(account.image, sweep_at=None)
        self.sweep_lost.add(name)
        self.reached["sweep_at lost"] += 1


def _attempt(arguments: Mapping[str, Any]) -> Attempt:
    values = arguments["ExpressionAttributeValues"]
    return Attempt(
        window=window_name(arguments["Key"]),
        reservation_id=arguments["ExpressionAttributeNames"]["#id"],
        amount=int(values[":amount"]["N"]),
        key_ref=values[":key"]["S"],
        counts=int(values[":requests"]["N"]),
    )
