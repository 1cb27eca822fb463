"""The API reference is what the code says: each route that is served, by the function that the template gives it to."""

import json
import re

from jatevo.bootstrap import Gateway, Settings
from jatevo_inference.handler import create_app as inference_app
from jatevo_local import built
from jatevo_local.api_reference import FILE, reference, written
from jatevo_local.built import BuiltRoute
from jatevo_local.engine import AWS_ENVIRONMENT

FUNCTIONS = {"account": "AccountFunction", "admin": "AdminFunction"}
"""By the tag of what they serve; all else is the inference function's."""

type Operations = set[tuple[str, str]]


def described() -> dict[str, Operations]:
    """Return what the reference has, by function: each method and path, names of parameters left out."""
    found: dict[str, Operations] = {}
    for path, item in reference()["paths"].items():
        for method, operation in item.items():
            function = FUNCTIONS.get(operation["tags"][0], "InferenceFunction")
            found.setdefault(function, set()).add((method.upper(), nameless(path)))
    return found


def nameless(path: str) -> str:
    return re.sub(r"\{[^}]*\}", "{}", path)


def resource_of(path: str, routes: list[BuiltRoute]) -> BuiltRoute:
    """Return where API Gateway sends a path: to its own resource, else to the nearest proxy above it."""
    own = [route for route in routes if nameless(route.resource) == path]
    above = [route for route in routes if route.resource.endswith("/{proxy+}")]
    under = [route for route in above if path.startswith(route.resource.removesuffix("{proxy+}"))]
    return (own or sorted(under, key=lambda route: -len(route.resource)))[0]


def test_the_file_is_what_the_code_describes() -> None:
    assert FILE.read_text() == written(), "make api-reference writes it anew"


def test_it_has_exactly_the_inference_routes_that_are_served() -> None:
    """Of those alone the reference has a table of its own: the others are told by their apps."""
    gateway = Gateway(Settings(operator_token="x" * 32), AWS_ENVIRONMENT)
    try:
        assert described()["InferenceFunction"] == {("POST", path) for path in inference_app(gateway)._endpoints}
    finally:
        gateway.close()


def test_the_template_sends_each_of_them_to_the_function_that_serves_it() -> None:
    routes = built.routes()
    used = set()
    for function, operations in described().items():
        for method, path in operations:
            route = resource_of(path, routes)
            used.add(route.resource)
            assert (route.function, route.method in {"ANY", method}) == (function, True), (method, path)
    not_described = {route.resource for route in routes if route.function != "SiteFunction"} - used
    assert not_described == {"/v1", "/admin/v1", "/account/v1"}, "a proxy does not take its root: 404, in our words"


def test_no_route_names_what_is_internal() -> None:
    text = json.dumps(reference())
    assert not re.search(r"127\.0\.0\.1|dynamodb|botocore|pynamodb", text, re.IGNORECASE)
