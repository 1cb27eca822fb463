"""
What a simulated gateway sells, and what it costs by an arithmetic of its own: fractions, rounded up once.

Small prices with odd digits, so that every rounding shows. Names that no client may ever see are in `SECRETS`.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from decimal import Decimal
from fractions import Fraction
from math import ceil
from typing import Any

from jatevo_testing.simulation.chance import Chance
from jatevo_testing.simulation.images import Item, number

HIDDEN = "kestrel"
"""A part of every name that belongs to an upstream: its pool, its address, its model."""
SECRETS = (HIDDEN.encode(), b"pool-key", b"Traceback", b"dynamodb")
PLAYGROUND_ID = "acct_playground"
MODELS = ("m", "long", "dear")
CONTEXT, LONGEST, DEFAULT = 600, 100, 50
DEFAULT_MARGIN_BPS = 1000
_PRICES = ("0.0010", "0.0013", "0.0037", "0.0101")
_THRESHOLD = 90


def document(chance: Chance, *, places: bool) -> dict[str, Any]:
    """Return a catalogue. `places`: one pool has few places, some of them a lane's own."""
    pools: list[dict[str, Any]] = [
        {"id": f"{HIDDEN}-{name}", "base_url": f"https://{HIDDEN}-{name}.example/v1", "api_key": "env:POOL_KEY"}
        for name in ("a", "b", "c")
    ]
    for pool in pools:
        pool["wire"] = chance.choice((["chat"], ["chat", "responses"]))
    pools[0] |= {"when_client_leaves": "stop"}
    pools[1] |= {"cap_field": "max_completion_tokens", "first_byte_s": 20}
    lanes: list[dict[str, Any]] = [{"id": "quick", "margin_bps": 333}]
    if places:
        pools[0]["concurrency"] = 4
        lanes[0] |= {"guaranteed": {f"{HIDDEN}-a": 2}, "requests_per_day": 90, "budget_usd_per_day": "0.00005"}
    models = [_model(name, chance) for name in MODELS]
    return {"pools": pools, "models": models, "lanes": lanes}


def _model(name: str, chance: Chance) -> dict[str, Any]:
    price: dict[str, Any] = {"input": chance.choice(_PRICES), "output": chance.choice(_PRICES)}
    if name == "long":
        price |= {"cached_input": "0.0003", "long_context": {"threshold_tokens": _THRESHOLD, "input_multiplier": "2"}}
    if name == "dear":
        price |= {"request": "0.000000007"}
    routes = [{"pool": f"{HIDDEN}-{pool}", "model": f"{HIDDEN}-{name}"} for pool in ("a", "b", "c")]
    return {
        "id": name,
        "context_window": CONTEXT,
        "max_output_tokens": LONGEST,
        "default_output_tokens": DEFAULT,
        "price": price,
        "routes": routes,
        **({"hedge_after_ms": 3000} if name == "long" else {}),
    }


@dataclass(frozen=True)
class Tariff:
    """The price of one model: nano-dollars, exact, for a token of each kind, and for a request."""

    input: Fraction
    output: Fraction
    cached: Fraction
    request: Fraction
    threshold: int | None
    multiplier: int

    def cost(self, input_tokens: int, output_tokens: int, cached_tokens: int = 0) -> Fraction:
        """Return the exact cost of an answer."""
        factor = self.multiplier if self.threshold is not None and input_tokens > self.threshold else 1
        plain = (input_tokens - cached_tokens) * self.input + cached_tokens * self.cached
        return plain * factor + output_tokens * self.output + self.request

    def charge(self, cost: Fraction, *margins_bps: int) -> int:
        """Return a cost with one margin on top of the other, rounded up once."""
        for margin in margins_bps:
            cost = cost * (10_000 + margin) / 10_000
        return ceil(cost)


def tariffs_of(catalogue: Mapping[str, Any]) -> dict[str, Tariff]:
    """Return the price of each model of a catalogue as an operator wrote it."""
    return {model["id"]: _tariff(model["price"]) for model in catalogue["models"]}


def _tariff(price: Mapping[str, Any]) -> Tariff:
    def nano(name: str, otherwise: str = "0") -> Fraction:
        return Fraction(Decimal(price.get(name, otherwise))) * 1000

    long = price.get("long_context", {})
    return Tariff(
        input=nano("input"),
        output=nano("output"),
        cached=nano("cached_input", price["input"]),
        request=nano("request") * 10**6,
        threshold=long.get("threshold_tokens"),
        multiplier=int(long.get("input_multiplier", "1")),
    )


def tokens_of(item: Item) -> tuple[int, int, int]:
    """Return the tokens of a ledger entry: input, output, and how many of the input were cached."""
    return number(item, "input_tokens"), number(item, "output_tokens"), number(item, "cache_read_input_tokens")
