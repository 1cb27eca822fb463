"""
The books held against what really happened: what upstreams told, and what the operator's prices make of it.

Every decision is reckoned anew in fractions, by the price its ledger entry names. And no upstream is ever asked for
more than is held for it, or longer.
"""

from collections.abc import Mapping
from typing import Any

from jatevo.adapters.dynamodb.schema import TableNames
from jatevo.application.ports import UpstreamCall
from jatevo_testing.simulation.auditor import Auditor
from jatevo_testing.simulation.gateway.answers import cap_of, honest_input, said
from jatevo_testing.simulation.gateway.everyone import Everyone
from jatevo_testing.simulation.gateway.goods import tokens_of
from jatevo_testing.simulation.gateway.pools import Pools
from jatevo_testing.simulation.images import decision_of, kind_of, number, window_name
from jatevo_testing.simulation.wire import CURRENT, Handler


class GatewayAuditor(Auditor):
    """An auditor that knows prices, and what upstreams told. `grace_s`: what is kept of a reservation for settling."""

    def __init__(self, names: TableNames, everyone: Everyone, now_ms: Any, *, grace_s: int) -> None:
        super().__init__(names, everyone, now_ms)
        self._everyone = everyone
        self._grace_s = grace_s
        self.pools: Pools | None = None
        self.of_the_bag: frozenset[str] = frozenset()
        """Accounts that live of one bag of tokens."""
        self.calm = False
        """Nothing fails but upstreams, and nothing is late."""
        self.shown: dict[str, tuple[int, int, int]] = {}
        """By reservation id: the tokens that were charged."""

    def applied(self, operation: str, arguments: Mapping[str, Any], answer: Mapping[str, Any]) -> None:
        super().applied(operation, arguments, answer)
        if operation == "update_item" and arguments["TableName"] == self._names.windows:
            owner, _, period = window_name(arguments["Key"]).partition("#")
            if owner in self.of_the_bag:
                self._check_bag(period)

    def _check_bag(self, period: str) -> None:
        """All who live of the bag together spend no more in a day than it is worth."""
        windows = [self.windows.get(f"{account_id}#{period}") for account_id in sorted(self.of_the_bag)]
        spent = sum(window.charged + window.image.held for window in windows if window is not None)
        worth = self._everyone.token_prices.worth_nano_usd(period)
        assert spent <= worth, f"{spent} are spent of a bag that is worth {worth}"
        self.reached["spent of the bag"] += spent > 0

    def asked(self, handler: Handler, operation: str, arguments: Mapping[str, Any], *, once: bool) -> None:
        super().asked(handler, operation, arguments, once=once)
        if once and handler.request is not None and handler.request.secret is not None:
            request, expiries = handler.request, self._everyone.expiries
            expired = expiries.must_refuse(request.secret, request.asked_at_ms, request.clock_ms)
            assert not expired, "a key is used that has expired"

    def called(self, call: UpstreamCall) -> None:
        """An upstream is about to be asked."""
        asked = CURRENT.get().request
        theirs = asked.about is None or asked.about.account_id == asked.account_id
        assert theirs, "a model is shown what is another account's"
        shown = "".join(text for _, text in said(call.body))
        assert shown == asked.shown, "a model is shown something else than its client said"
        reservation_id = call.request_id.removeprefix("req_")
        held = self.open_entries(reservation_id)
        decision = self.decisions.get(reservation_id)
        if decision is not None:
            # Only a sweeper whose clock is far ahead of the handler's ends what is still served.
            abandoned = decision.reason in {"abandoned", "reserve_unknown"} and not self.calm
            assert abandoned, "an upstream is asked for a request that has ended"
            return
        of_account = [entry for name, entry in held.items() if kind_of(name) == "account"]
        assert of_account, "an upstream is asked for a request that its account does not hold"
        latest_ms = (of_account[0].expires_at - self._grace_s) * 1000
        assert call.deadline_unix_ms <= latest_ms, "an upstream may be read for longer than is held"
        cap, body = cap_of(call.body), call.body
        assert cap is not None, "an upstream is asked without a cap on its output"
        amount = max(entry.amount for name, entry in held.items() if kind_of(name) != "key")
        [account_id] = [name.partition("#")[0] for name in held if kind_of(name) == "account"]
        most = min(
            tariffs[str(body["model"]).rpartition("-")[2]].charge(
                tariffs[str(body["model"]).rpartition("-")[2]].cost(honest_input(body), cap * body.get("n", 1)),
                self._least_margin_bps(account_id, version),
            )
            for version, tariffs in self._everyone.prices.items()
        )
        assert amount >= most, "less is held than an honest answer may cost"

    def judged(self, item: Mapping[str, Any]) -> None:
        """Reckon a decision anew."""
        name, decision = item["reservation_id"]["S"], decision_of(item)
        account_id = decision.book.partition("#")[0]
        assert not self.calm or decision.reason not in {"abandoned", "reserve_unknown"}, (
            "nobody ended a request in time"
        )
        source = item["usage_source"]["S"]
        if decision.outcome != "charged" or source == "none":
            return
        tokens = tokens_of(item)
        version, lane = number(item, "price_version"), item["lane"]["S"]
        tariff = self._everyone.prices[version][item["model"]["S"]]
        cost = tariff.cost(*tokens)
        margin = self._everyone.margin_bps(account_id, lane, version)
        due = tariff.charge(cost, margin)
        assert decision.charge == min(due, decision.reserved), "a charge is not what the price makes of its tokens"
        assert decision.cost == tariff.charge(cost), "a cost is not what the price makes of its tokens"
        assert decision.overrun == due - decision.charge
        self.shown[name] = tokens
        assert self.pools is not None
        told = self.pools.told[name]
        if source == "reported":
            assert tokens in told.counts, f"{tokens} were charged, which no upstream told: {told.counts}"
        overran = f"{name} overran by {decision.overrun} with {tokens} of {source}, though all were honest"
        assert not decision.overrun or not told.honest, overran

    def _least_margin_bps(self, account_id: str, version: int) -> int:
        return min(self._everyone.margin_bps(account_id, lane, version) for lane in ("shared", "quick"))
