"""
The operator's catalogue file: a document, as TOML or JSON gives it, made into a `Catalogue` or refused.

Guarantees: a document is taken whole or not at all, and a refusal names every problem with its place. What is taken
has a price for everything it sells, exact to the nano-dollar per million tokens, and no secret: credentials are
references to where they are kept. Pools and lanes are read by `catalogue_pools` and `catalogue_lanes`. Prices are
decimal strings, USD per million tokens; `request` is USD per request.
"""

import re
from collections.abc import Mapping
from typing import Any

from jatevo.domain.catalogue import Catalogue, InputEstimate, Model, Pool, Route
from jatevo.domain.catalogue_lanes import lanes_from
from jatevo.domain.catalogue_pools import POOL_FIELDS, pool_from
from jatevo.domain.documents import ID, ID_MEANING, Table
from jatevo.domain.money import NANO_PER_USD, MoneyError, format_usd, parse_usd
from jatevo.domain.pricing import LongContext, Price, Rates

MAX_POOLS = 200
MAX_MODELS = 500
MAX_ROUTES = 20
MAX_WEIGHT = 1000
MAX_PRIORITY = 100
MAX_HEDGE_MS = 600_000
MAX_CONTEXT_TOKENS = 10_000_000
MAX_RATE_NANO_USD = 100_000 * NANO_PER_USD
"""The dearest rate: $100,000 for a million tokens, or for one request."""
MAX_MULTIPLIER = 100
MAX_ESTIMATE = 100_000
DEFAULT_OUTPUT_TOKENS = 4096
RESERVED_MODEL_IDS = frozenset({"auto"})

_DOCUMENT_FIELDS = frozenset({"pools", "models", "lanes"})
_MODEL_FIELDS = frozenset(Model.__slots__)
_ROUTE_FIELDS = frozenset(Route.__slots__)
_ESTIMATE_FIELDS = frozenset(InputEstimate.__slots__)
_INPUT_RATES = ("input", "cached_input", "cache_write", "image_input", "audio_input")
_OUTPUT_RATES = ("output", "reasoning", "image_output", "audio_output")
_PRICE_FIELDS = frozenset({*_INPUT_RATES, *_OUTPUT_RATES, "request", "long_context"})
_LONG_CONTEXT_FIELDS = frozenset({"threshold_tokens", "input_multiplier", "output_multiplier"})

_UPSTREAM_MODEL = re.compile(r"[!-~]{1,200}", re.ASCII)
_ANY = re.compile(r".*", re.DOTALL)


class CatalogueError(ValueError):
    """A document that is no catalogue. `problems` names each thing that is wrong, with its place."""

    def __init__(self, problems: list[str]) -> None:
        super().__init__("; ".join(problems))
        self.problems = problems


def catalogue_from_document(document: Mapping[str, Any], version: int) -> Catalogue:
    """Return the catalogue a document stands for. Raises CatalogueError with every problem."""
    problems: list[str] = []
    root = Table(document, "", problems)
    root.only(_DOCUMENT_FIELDS)
    pools = _unique(
        root, "pools", [(table, pool_from(table)) for table in root.tables("pools", POOL_FIELDS, MAX_POOLS)]
    )
    models = _unique(
        root, "models", [(table, _model(table, pools)) for table in root.tables("models", _MODEL_FIELDS, MAX_MODELS)]
    )
    lanes = lanes_from(root, pools, models)
    if not models and not problems:
        root.problem("models", "missing: a catalogue sells at least one model")
    if problems:
        raise CatalogueError(problems)
    return Catalogue(version=version, models=models, pools=pools, lanes=lanes)


def _unique[T: (Pool, Model)](root: Table, name: str, read: list[tuple[Table, T]]) -> dict[str, T]:
    """Return what was read by id, noting ids that come twice."""
    found: dict[str, T] = {}
    places: dict[str, str] = {}
    for table, value in read:
        if value.id in found:
            table.problem("id", f'"{value.id}" is already the id of {places[value.id]}')
        elif value.id:
            found[value.id] = value
            places[value.id] = table.place
    if root.has(name) and root.values[name] == []:
        root.problem(name, "must not be empty")
    return found


def _model(table: Table, pools: Mapping[str, Pool]) -> Model:
    model_id = table.text("id", ID, ID_MEANING)
    if model_id in RESERVED_MODEL_IDS:
        table.problem("id", f'"{model_id}" is reserved: it lets the gateway choose a model')
    price = _price(table)
    context_window, max_output, default_output = _lengths(table)
    return Model(
        id=model_id,
        context_window=context_window,
        max_output_tokens=max_output,
        default_output_tokens=default_output,
        price=price,
        routes=_routes(table, pools),
        estimate=_estimate(table, price),
        created_unix_s=table.optional_integer("created_unix_s", 0, 2**32, 0),
        private=table.flag("private"),
        auto=table.flag("auto", default=True),
        hedge_after_ms=table.optional_integer("hedge_after_ms", 0, MAX_HEDGE_MS, 0),
    )


def _lengths(table: Table) -> tuple[int, int, int]:
    """Return the context window, the largest output and the output cap of requests that name none."""
    before = len(table.problems)
    context_window = table.integer("context_window", 1, MAX_CONTEXT_TOKENS)
    max_output = table.integer("max_output_tokens", 1, MAX_CONTEXT_TOKENS)
    default_output = min(max_output, DEFAULT_OUTPUT_TOKENS)
    if table.has("default_output_tokens"):
        default_output = table.integer("default_output_tokens", 1, MAX_CONTEXT_TOKENS)
    if len(table.problems) == before:
        if max_output > context_window:
            table.problem("max_output_tokens", f"is more than the context_window of {context_window}")
        if default_output > max_output:
            table.problem("default_output_tokens", f"is more than the max_output_tokens of {max_output}")
    return context_window, max_output, default_output


def _routes(table: Table, pools: Mapping[str, Pool]) -> tuple[Route, ...]:
    if not table.required("routes"):
        return ()
    if table.values["routes"] == []:
        table.problem("routes", "must not be empty: nothing would serve this model")
    routes: list[Route] = []
    for inner in table.tables("routes", _ROUTE_FIELDS, MAX_ROUTES):
        pool = inner.text("pool", _ANY, "the id of a pool")
        if pool and pool not in pools:
            inner.problem("pool", f'there is no pool "{pool[:64]}"')
        route = Route(
            pool=pool,
            model=inner.text("model", _UPSTREAM_MODEL, "the model's name in that pool"),
            weight=inner.optional_integer("weight", 1, MAX_WEIGHT, 1),
            priority=inner.optional_integer("priority", 0, MAX_PRIORITY, 0),
        )
        if any((other.pool, other.model) == (route.pool, route.model) for other in routes):
            inner.problem("model", "this route is listed twice")
        routes.append(route)
    return tuple(routes)


def _estimate(table: Table, price: Price) -> InputEstimate:
    inner = table.table("estimate", _ESTIMATE_FIELDS)
    given = {name: inner.integer(name, 0, MAX_ESTIMATE) for name in InputEstimate.__slots__ if inner.has(name)}
    for name, rate in (("image_tokens", price.base.image_input), ("audio_tokens", price.base.audio_input)):
        if rate is not None and not given.get(name):
            inner.problem(name, "missing: the most tokens one such part can come to, as its input has a price")
    for name in ("ascii_permille", "other_permille", "tools_permille"):
        if given.get(name) == 0:
            inner.problem(name, "must be at least 1: input that is estimated at nothing would pass every limit")
    return InputEstimate(**given)


_NO_PRICE = Price(Rates(input=0, output=0, cache_read=0, cache_creation=0, reasoning=0))


def _price(table: Table) -> Price:
    if not table.has("price"):
        table.problem("price", "missing: no price, no service")
        return _NO_PRICE
    before = len(table.problems)
    inner = table.table("price", _PRICE_FIELDS)
    if len(table.problems) > before and not inner.values:
        return _NO_PRICE
    given = {name: _rate(inner, name) for name in (*_INPUT_RATES, *_OUTPUT_RATES) if inner.has(name)}
    for name in ("input", "output"):
        inner.required(name)
    request = _rate(inner, "request") if inner.has("request") else 0
    if len(table.problems) == before and not any((*given.values(), request)):
        table.problem("price", "is zero throughout: nothing is served for free")
    base = _rates(given, request)
    if not inner.has("long_context"):
        return Price(base)
    return Price(base, _long_context(inner, given, request))


def _rate(table: Table, name: str) -> int:
    """Return a rate in nano-USD (per million tokens, or per request)."""
    rate = table.parsed(name, _parse_price, 0)
    if rate > MAX_RATE_NANO_USD:
        table.problem(name, f"must be at most {format_usd(MAX_RATE_NANO_USD)}")
    return rate


def _parse_price(text: str) -> int:
    if text.startswith("-"):
        raise ValueError("must not be negative")
    return parse_usd(text)


def _rates(given: Mapping[str, int], request: int) -> Rates:
    """Return rates with what was left out: cached input as input, reasoning as output, images and audio not sold."""
    plain_input, plain_output = given.get("input", 0), given.get("output", 0)
    return Rates(
        input=plain_input,
        output=plain_output,
        cache_read=given.get("cached_input", plain_input),
        cache_creation=given.get("cache_write", plain_input),
        reasoning=given.get("reasoning", plain_output),
        image_input=given.get("image_input"),
        audio_input=given.get("audio_input"),
        image_output=given.get("image_output"),
        audio_output=given.get("audio_output"),
        request_nano_usd=request,
    )


def _long_context(price: Table, given: Mapping[str, int], request: int) -> LongContext:
    """Return the long-context band: every rate of a side times that side's multiplier, exact."""
    table = price.table("long_context", _LONG_CONTEXT_FIELDS)
    multipliers = {
        name: table.parsed(name, _parse_multiplier, NANO_PER_USD) if table.has(name) else NANO_PER_USD
        for name in ("input_multiplier", "output_multiplier")
    }
    scaled: dict[str, int] = {}
    for name, rate in given.items():
        multiplier = "input_multiplier" if name in _INPUT_RATES else "output_multiplier"
        scaled[name], rest = divmod(rate * multipliers[multiplier], NANO_PER_USD)
        if rest:
            table.problem(multiplier, f"{name} times it is no whole number of nano-dollars per million tokens")
        elif scaled[name] > MAX_RATE_NANO_USD:
            table.problem(multiplier, f"{name} times it is more than {format_usd(MAX_RATE_NANO_USD)}")
    return LongContext(
        threshold_tokens=table.integer("threshold_tokens", 1, MAX_CONTEXT_TOKENS), rates=_rates(scaled, request)
    )


def _parse_multiplier(text: str) -> int:
    """Return a multiplier in thousand-millionths: "1.5" → 1_500_000_000. Raises ValueError."""
    try:
        value = parse_usd(text)
    except MoneyError:
        value = 0
    if not 0 < value <= MAX_MULTIPLIER * NANO_PER_USD:
        raise ValueError(f'must be a decimal string above 0 and at most {MAX_MULTIPLIER}, such as "1.5"')
    return value
