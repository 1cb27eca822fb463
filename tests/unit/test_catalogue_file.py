"""
The catalogue file: what is good is read exactly, what is bad is refused with every problem and its place.
"""

import copy
import json
import re
import tomllib
from collections.abc import Callable
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from jatevo.domain.catalogue import COST_FIELDS, InputEstimate, Route, WhenClientLeaves
from jatevo.domain.catalogue_difference import document_difference
from jatevo.domain.catalogue_file import CatalogueError, catalogue_from_document
from jatevo.domain.pricing import Rates

FULL = """
[[pools]]
id = "local"
base_url = "http://127.0.0.1:8001/v1/"
api_key = "env:LOCAL_KEY"
wire = ["chat"]
cap_field = "max_completion_tokens"
pass_fields = ["top_k", "min_p"]
refuse_fields = ["logit_bias"]
when_client_leaves = "stop"
tokenize_url = "http://127.0.0.1:8001/tokenize"

[[models]]
id = "small:1.5"
context_window = 8192
max_output_tokens = 6000
default_output_tokens = 512
created_unix_s = 1700000000
routes = [{ pool = "local", model = "org/small@1" }]

[models.price]
input = "0.15"
cached_input = "0.015"
cache_write = "0.2"
output = "0.60"
reasoning = "0.7"
image_input = "1"
audio_input = "2"
image_output = "3"
audio_output = "4"
request = "0.001"
long_context = { threshold_tokens = 4000, input_multiplier = "2", output_multiplier = "1.5" }

[models.estimate]
ascii_permille = 400
other_permille = 900
tools_permille = 1200
per_request = 10
per_message = 4
image_tokens = 1500
audio_tokens = 900
"""


def full() -> dict[str, Any]:
    return tomllib.loads(FULL)


def small() -> dict[str, Any]:
    return {
        "pools": [{"id": "p", "base_url": "https://p.example/v1"}],
        "models": [
            {
                "id": "m",
                "context_window": 8192,
                "max_output_tokens": 8000,
                "price": {"input": "0.15", "output": "0.60"},
                "routes": [{"pool": "p", "model": "m"}],
            }
        ],
    }


def problems(document: Any) -> list[str]:
    with pytest.raises(CatalogueError) as refused:
        catalogue_from_document(document, version=1)
    return refused.value.problems


def test_every_field_is_read() -> None:
    catalogue = catalogue_from_document(full(), version=7)
    assert catalogue.version == 7
    pool = catalogue.pools["local"]
    assert (pool.base_url, pool.api_key, pool.wire) == ("http://127.0.0.1:8001/v1", "env:LOCAL_KEY", ("chat",))
    assert (pool.cap_field, pool.when_client_leaves) == ("max_completion_tokens", WhenClientLeaves.STOP)
    assert (pool.pass_fields, pool.refuse_fields) == (frozenset({"top_k", "min_p"}), frozenset({"logit_bias"}))
    assert pool.tokenize_url == "http://127.0.0.1:8001/tokenize"
    model = catalogue.models["small:1.5"]
    assert (model.context_window, model.max_output_tokens, model.default_output_tokens) == (8192, 6000, 512)
    assert (model.created_unix_s, model.routes) == (1_700_000_000, (Route("local", "org/small@1"),))
    assert model.estimate == InputEstimate(400, 900, 1200, 10, 4, 1500, 900)
    assert model.price.base == Rates(
        input=150_000_000,
        output=600_000_000,
        cache_read=15_000_000,
        cache_creation=200_000_000,
        reasoning=700_000_000,
        image_input=10**9,
        audio_input=2 * 10**9,
        image_output=3 * 10**9,
        audio_output=4 * 10**9,
        request_nano_usd=1_000_000,
    )
    band = model.price.long_context
    assert band is not None
    assert band.threshold_tokens == 4000
    assert band.rates == Rates(
        input=300_000_000,
        output=900_000_000,
        cache_read=30_000_000,
        cache_creation=400_000_000,
        reasoning=1_050_000_000,
        image_input=2 * 10**9,
        audio_input=4 * 10**9,
        image_output=4_500_000_000,
        audio_output=6 * 10**9,
        request_nano_usd=1_000_000,
    )


def test_what_is_left_out_has_its_default() -> None:
    catalogue = catalogue_from_document(small(), version=1)
    pool, model = catalogue.pools["p"], catalogue.models["m"]
    assert (pool.api_key, pool.wire, pool.cap_field, pool.tokenize_url) == (None, ("chat",), "max_tokens", None)
    assert pool.when_client_leaves is WhenClientLeaves.DRAIN
    assert model.default_output_tokens == 4096
    assert model.price.base == Rates(150_000_000, 600_000_000, 150_000_000, 150_000_000, 600_000_000)
    assert model.price.long_context is None
    assert model.estimate == InputEstimate()


def test_a_short_model_has_its_whole_output_as_default() -> None:
    document = small()
    document["models"][0]["max_output_tokens"] = 100
    assert catalogue_from_document(document, version=1).models["m"].default_output_tokens == 100


def test_the_catalogue_of_the_local_stack_is_valid() -> None:
    text = (Path(__file__).parents[2] / "local" / "catalog.toml").read_text()
    document = tomllib.loads(re.sub(r"\$\{JATEVO_LOCAL_\w+\}", "http://127.0.0.1:8001/v1", text))
    assert list(catalogue_from_document(document, version=1).models) == ["smollm2"]


def pool(**fields: Any) -> Callable[[dict[str, Any]], None]:
    return lambda document: document["pools"][0].update(fields)


def model(**fields: Any) -> Callable[[dict[str, Any]], None]:
    return lambda document: document["models"][0].update(fields)


def price(**fields: Any) -> Callable[[dict[str, Any]], None]:
    return lambda document: document["models"][0]["price"].update(fields)


def without(*path: str | int) -> Callable[[dict[str, Any]], None]:
    def change(document: Any) -> None:
        for part in path[:-1]:
            document = document[part]
        del document[path[-1]]

    return change


LONG = {"threshold_tokens": 100, "input_multiplier": "2", "output_multiplier": "2"}
SECRET = "sk-very-secret-value"

BAD: list[tuple[str, Callable[[dict[str, Any]], None], str]] = [
    ("an unknown section", lambda document: document.update(modles=[]), "modles: unknown field; did you mean models?"),
    ("no models", without("models"), "models: missing"),
    ("no models at all", lambda document: document.update(models=[]), "models: must not be empty"),
    ("models as a table", lambda document: document.update(models={}), "models: must be a list of tables"),
    ("a model that is none", lambda document: document["models"].append(3), "models[1]: must be a table, not 3"),
    ("too many models", lambda document: document.update(models=[{}] * 501), "models: has 501 entries"),
    ("an unknown pool field", pool(url="x"), "pools[0].url: unknown field"),
    ("an unknown model field", model(max_tokens=5), "models[0].max_tokens: unknown field"),
    ("an unknown price field", price(inptu="1"), "models[0].price.inptu: unknown field; did you mean input?"),
    ("an unknown route field", model(routes=[{"pool": "p", "model": "m", "x": 1}]), "models[0].routes[0].x: unknown"),
    ("an unknown estimate field", model(estimate={"bytes": 1}), "models[0].estimate.bytes: unknown field"),
    ("a pool without an id", without("pools", 0, "id"), "pools[0].id: missing"),
    ("a model id with a slash", model(id="lane/m"), "models[0].id: must be 1 to 64 letters"),
    ("a model id that is too long", model(id="m" * 65), "models[0].id: must be 1 to 64 letters"),
    ("an id beyond ASCII", model(id="modèle"), "models[0].id: must be 1 to 64 letters"),
    ("an id that is no text", model(id=5), "models[0].id: must be 1 to 64 letters"),
    ("the reserved id", model(id="auto"), 'models[0].id: "auto" is reserved'),
    (
        "a model id used twice",
        lambda document: document["models"].append(copy.deepcopy(document["models"][0])),
        'models[1].id: "m" is already the id of models[0]',
    ),
    (
        "a pool id used twice",
        lambda document: document["pools"].append(copy.deepcopy(document["pools"][0])),
        'pools[1].id: "p" is already the id of pools[0]',
    ),
    ("no base_url", without("pools", 0, "base_url"), "pools[0].base_url: missing"),
    ("another scheme", pool(base_url="ftp://p.example"), "pools[0].base_url: must be a URL"),
    ("no scheme", pool(base_url="p.example/v1"), "pools[0].base_url: must be a URL"),
    ("no host", pool(base_url="https:///v1"), "pools[0].base_url: must be a URL"),
    ("a query", pool(base_url="https://p.example/v1?key=1"), "pools[0].base_url: must be a URL"),
    ("a fragment", pool(base_url="https://p.example/v1#x"), "pools[0].base_url: must be a URL"),
    ("a space in the URL", pool(base_url="https://p.example/v 1"), "pools[0].base_url: must be a URL"),
    ("a line break in the URL", pool(base_url="https://p.example/v1\n"), "pools[0].base_url: must be a URL"),
    ("a port beyond ports", pool(base_url="https://p.example:70000/"), "pools[0].base_url: has a port"),
    ("a name and password", pool(base_url=f"https://me:{SECRET}@p.example"), "pools[0].base_url: must be a URL"),
    ("a name in the URL", pool(base_url=f"https://{SECRET}@p.example"), "pools[0].base_url: must be a URL"),
    ("a bad tokenize_url", pool(tokenize_url=f"http://x:{SECRET}@p"), "pools[0].tokenize_url: must be a URL"),
    ("a key itself", pool(api_key=SECRET), "pools[0].api_key: must be a reference"),
    ("AWS's own variables", pool(api_key="env:AWS_SECRET_ACCESS_KEY"), "pools[0].api_key: must be a reference"),
    ("a reference to nothing", pool(api_key="env:"), "pools[0].api_key: must be a reference"),
    ("an unknown wire", pool(wire=["smoke"]), 'pools[0].wire: "smoke" is not spoken here'),
    ("no wire", pool(wire=[]), "pools[0].wire: must name at least one"),
    ("a wire that is no list", pool(wire="chat"), "pools[0].wire: must be a list of strings"),
    ("an unknown cap field", pool(cap_field="n_predict"), "pools[0].cap_field: must be one of: max_tokens"),
    ("an unhashable cap field", pool(cap_field=[]), "pools[0].cap_field: must be one of"),
    ("another departure", pool(when_client_leaves="wait"), "pools[0].when_client_leaves: must be one of: drain, stop"),
    ("a field that is no name", pool(pass_fields=["top k"]), "pools[0].pass_fields[0]: must be the name of a field"),
    ("a field that is no text", pool(pass_fields=[1]), "pools[0].pass_fields[0]: must be the name of a field"),
    ("a field both ways", pool(pass_fields=["a"], refuse_fields=["a"]), "pools[0].refuse_fields: a is listed"),
    ("no messages", pool(refuse_fields=["messages"]), "pools[0].refuse_fields: messages cannot be refused"),
    ("no context window", without("models", 0, "context_window"), "models[0].context_window: missing"),
    ("a context window of nothing", model(context_window=0), "models[0].context_window: must be from 1 to"),
    ("a negative output", model(max_output_tokens=-1), "models[0].max_output_tokens: must be from 1 to"),
    ("an absurd context window", model(context_window=10**8), "models[0].context_window: must be from 1 to 10,000,000"),
    ("a fractional length", model(context_window=8192.0), "models[0].context_window: must be a whole number"),
    ("a length in quotes", model(context_window="8192"), "models[0].context_window: must be a whole number"),
    ("a length that is a truth", model(context_window=True), "models[0].context_window: must be a whole number"),
    ("output beyond the window", model(max_output_tokens=8193), "models[0].max_output_tokens: is more than"),
    ("default beyond the most", model(default_output_tokens=8001), "models[0].default_output_tokens: is more than"),
    ("no price", without("models", 0, "price"), "models[0].price: missing: no price, no service"),
    ("a price that is none", model(price="0.15"), "models[0].price: must be a table"),
    ("an empty price", model(price={}), "models[0].price.input: missing"),
    ("no output price", without("models", 0, "price", "output"), "models[0].price.output: missing"),
    ("nothing to pay", model(price={"input": "0", "output": "0.00"}), "models[0].price: is zero throughout"),
    ("a negative price", price(input="-0.15"), "models[0].price.input: must not be negative"),
    ("a float", price(input=0.15), "models[0].price.input: write it as an exact decimal string in quotes, such as inp"),
    ("a price in whole numbers", price(input=1), 'models[0].price.input: write it as a string: input = "1"'),
    ("a price that is a truth", price(input=True), "models[0].price.input: write it as a string"),
    ("too many places", price(input="0.0000000001"), "models[0].price.input: '0.0000000001' is not a US dollar amount"),
    ("an exponent", price(input="1e-3"), "models[0].price.input: '1e-3' is not a US dollar amount"),
    ("infinity", price(input="inf"), "models[0].price.input: 'inf' is not a US dollar amount"),
    ("not a number", price(input=float("nan")), "models[0].price.input: write it as an exact decimal"),
    ("an empty price text", price(input=""), "models[0].price.input: '' is not a US dollar amount"),
    ("a price with a sign", price(input="$1"), "models[0].price.input: '$1' is not a US dollar amount"),
    ("an absurd price", price(output="100000.01"), "models[0].price.output: must be at most 100000.00"),
    ("an absurd flat price", price(request="1000000"), "models[0].price.request: must be at most"),
    ("an image price alone", price(image_input="1"), "models[0].estimate.image_tokens: missing: the most tokens"),
    ("an audio price alone", price(audio_input="1"), "models[0].estimate.audio_tokens: missing: the most tokens"),
    ("a band without a threshold", price(long_context={}), "models[0].price.long_context.threshold_tokens: missing"),
    (
        "a multiplier of nothing",
        price(long_context={**LONG, "input_multiplier": "0"}),
        "models[0].price.long_context.input_multiplier: must be a decimal string above 0",
    ),
    (
        "a multiplier as a float",
        price(long_context={**LONG, "output_multiplier": 1.5}),
        "models[0].price.long_context.output_multiplier: write it as an exact decimal string",
    ),
    (
        "an inexact product",
        price(input="0.000000001", long_context={**LONG, "input_multiplier": "1.5"}),
        "models[0].price.long_context.input_multiplier: input times it is no whole number",
    ),
    (
        "an absurd product",
        price(input="99999", long_context=LONG),
        "models[0].price.long_context.input_multiplier: input times it is more than",
    ),
    ("a negative estimate", model(estimate={"per_request": -1}), "models[0].estimate.per_request: must be from 0"),
    (
        "an estimate of nothing",
        model(estimate={"ascii_permille": 0}),
        "models[0].estimate.ascii_permille: must be at l",
    ),
    ("no routes", without("models", 0, "routes"), "models[0].routes: missing"),
    ("an empty list of routes", model(routes=[]), "models[0].routes: must not be empty"),
    ("a dangling route", model(routes=[{"pool": "q", "model": "m"}]), 'models[0].routes[0].pool: there is no pool "q"'),
    ("a route without a model", model(routes=[{"pool": "p"}]), "models[0].routes[0].model: missing"),
    ("a route twice", model(routes=[{"pool": "p", "model": "m"}] * 2), "models[0].routes[1].model: this route is list"),
    ("too many routes", model(routes=[{"pool": "p", "model": "m"}] * 21), "models[0].routes: has 21 entries"),
    ("a creation before time", model(created_unix_s=-1), "models[0].created_unix_s: must be from 0"),
    *(
        (f"{field} with {name!r}: {value!r}", pool(**{field: {name: value}}), f"pools[0].{field}.{name}: ")
        for field in ("headers", "zdr")
        for name, value in [
            ("x-a", "b\r\nx-evil: 1"),
            ("x-a", "b\n"),
            ("x-a\r\nx-evil", "1"),
            ("host", "x"),
            ("content-length", "0"),
            ("transfer-encoding", "chunked"),
            ("Authorization", "Bearer x"),
        ]
    ),
    *(
        (f"passing {name}", pool(pass_fields=[name]), f"pools[0].pass_fields: {name} changes what an answer costs")
        for name in sorted(COST_FIELDS)
    ),
]


@pytest.mark.parametrize(("change", "problem"), [bad[1:] for bad in BAD], ids=[bad[0] for bad in BAD])
def test_a_bad_file_is_refused_with_the_place_of_its_problem(
    change: Callable[[dict[str, Any]], None], problem: str
) -> None:
    document = small()
    change(document)
    found = problems(document)
    assert any(line.startswith(problem) for line in found), found
    assert SECRET not in str(found)


def test_every_problem_is_named_at_once() -> None:
    document = full()
    document["pools"][0]["base_url"] = "nowhere"
    document["models"][0]["price"]["input"] = "-1"
    document["models"][0]["routes"][0]["pool"] = "gone"
    document["models"][0]["extra"] = 1
    places = [line.partition(":")[0] for line in problems(document)]
    assert places == ["pools[0].base_url", "models[0].extra", "models[0].price.input", "models[0].routes[0].pool"]


@pytest.mark.parametrize("reference", ["env:KEY", "env:lower_1", "secret:prod/llm-key", "ssm:/jatevo/pool/key"])
def test_a_reference_to_a_secret_is_taken(reference: str) -> None:
    document = small()
    document["pools"][0]["api_key"] = reference
    assert catalogue_from_document(document, version=1).pools["p"].api_key == reference


@pytest.mark.parametrize(
    "url", ["http://127.0.0.1:1/v1", "https://[::1]:8080/v1", "https://a-b.c_d.example", "http://x"]
)
def test_a_plain_url_is_taken(url: str) -> None:
    document = small()
    document["pools"][0]["base_url"] = url
    assert catalogue_from_document(document, version=1).pools["p"].base_url == url


prices = st.integers(1, 10**14).map(lambda nano: f"{nano // 10**9}.{nano % 10**9:09d}")


@given(
    st.fixed_dictionaries(
        {"input": prices, "output": prices},
        optional=dict.fromkeys(("cached_input", "cache_write", "reasoning", "image_output", "request"), prices),
    )
)
def test_prices_are_read_to_the_nano_dollar(table: dict[str, str]) -> None:
    document = small()
    document["models"][0]["price"] = table
    rates = catalogue_from_document(document, version=1).models["m"].price.base

    def nano(name: str, default: str) -> int:
        return int(Decimal(table.get(name, table.get(default, "0"))) * 10**9)

    assert rates.input == nano("input", "input")
    assert rates.cache_read == nano("cached_input", "input")
    assert rates.cache_creation == nano("cache_write", "input")
    assert rates.output == nano("output", "output")
    assert rates.reasoning == nano("reasoning", "output")
    assert rates.image_output == (nano("image_output", "") if "image_output" in table else None)
    assert rates.request_nano_usd == nano("request", "")


@given(st.integers(1, 10**12), st.integers(1, 100 * 10**9))
def test_a_long_context_rate_is_the_exact_product_or_refused(rate: int, multiplier: int) -> None:
    document = small()
    as_text = f"{multiplier // 10**9}.{multiplier % 10**9:09d}"
    document["models"][0]["price"] = {
        "input": f"{rate // 10**9}.{rate % 10**9:09d}",
        "output": "1",
        "long_context": {"threshold_tokens": 10, "input_multiplier": as_text},
    }
    exact = Decimal(rate) * Decimal(multiplier) / 10**9
    if exact != int(exact) or exact > 10**14:
        assert len(problems(document)) == 1
    else:
        band = catalogue_from_document(document, version=1).models["m"].price.long_context
        assert band is not None
        assert band.rates.input == exact


def test_json_means_the_same_as_toml() -> None:
    assert catalogue_from_document(json.loads(json.dumps(full())), version=1) == catalogue_from_document(full(), 1)


anything = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=5,
)
paths = st.sampled_from(
    [
        ("pools",),
        ("models",),
        *((("pools", 0, name)) for name in full()["pools"][0]),
        *((("models", 0, name)) for name in full()["models"][0]),
        *((("models", 0, "price", name)) for name in full()["models"][0]["price"]),
        *((("models", 0, "estimate", name)) for name in full()["models"][0]["estimate"]),
        ("models", 0, "routes", 0),
        ("models", 0, "routes", 0, "pool"),
        ("models", 0, "price", "long_context", "input_multiplier"),
    ]
)


@given(paths, anything)
def test_no_value_anywhere_does_worse_than_a_problem(path: tuple[str | int, ...], value: Any) -> None:
    document = full()
    table: Any = document
    for part in path[:-1]:
        table = table[part]
    table[path[-1]] = value
    found: list[str] = []
    try:
        catalogue_from_document(document, version=1)
    except CatalogueError as refused:
        found = refused.problems or ["refused without a reason"]
    assert all(": " in line for line in found)


def test_the_same_document_makes_no_difference() -> None:
    again = full()
    again["models"].append(small()["models"][0])
    again["pools"].append(small()["pools"][0])
    turned = {name: list(reversed(tables)) for name, tables in again.items()}
    assert document_difference(again, turned) == []


def test_the_difference_is_told_in_lines() -> None:
    old, new = full(), full()
    old["pools"].append({"id": "gone", "base_url": "https://gone.example"})
    new["models"].append(small()["models"][0])
    new["models"][0]["price"]["input"] = "0.20"
    new["models"][0]["created_unix_s"] = 5
    del new["pools"][0]["api_key"]
    new["pools"][0]["pass_fields"] = ["top_k"]
    assert document_difference(old, new) == [
        "- pool gone",
        "~ pool local: api_key removed (was env:LOCAL_KEY)",
        '~ pool local: pass_fields ["top_k", "min_p"] → ["top_k"]',
        '+ model m (price.input 0.15, price.output 0.60, routes [{"pool": "p", "model": "m"}])',
        "~ model small:1.5: created_unix_s 1700000000 → 5",
        "~ model small:1.5: price.input 0.15 → 0.20",
    ]


def test_the_first_catalogue_is_all_new() -> None:
    assert [line[:7] for line in document_difference({}, small())] == ["+ pool ", "+ model"]
