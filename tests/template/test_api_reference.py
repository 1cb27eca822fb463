"""The API reference is what the code says, and has every route that the template gives to a function with an API."""

import json
import re

from jatevo_local import built
from jatevo_local.api_reference import FILE, reference, written

PAGES = {"/", "/{proxy+}", "/health"}
ROOTS = {"/v1", "/admin/v1", "/account/v1"}


def test_the_file_is_what_the_code_describes() -> None:
    assert FILE.read_text() == written(), "make api-reference writes it anew"


def test_every_route_of_the_template_is_in_it() -> None:
    paths = [re.compile(re.sub(r"\{[^}]*\}", "[^/]+", path) + "$") for path in reference()["paths"]]
    for route in built.routes():
        if route.resource in PAGES | ROOTS:
            continue
        stem = route.resource.removesuffix("/{proxy+}")
        concrete = re.sub(r"\{[^}]*\}", "x", route.resource)
        known = any(path.match(concrete) for path in paths) or any(
            path.pattern.startswith(f"{stem}/") for path in paths if route.resource != stem
        )
        assert known, f"{route.resource} is not in the reference"


def test_no_route_names_what_is_internal() -> None:
    text = json.dumps(reference())
    assert not re.search(r"127\.0\.0\.1|dynamodb|botocore|pynamodb", text, re.IGNORECASE)
