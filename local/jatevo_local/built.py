"""
What `make build` made, as the local Lambda runs it: functions, layers and routes, read from the built and from the
transformed template, so that what runs here is what would be deployed.
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from jatevo_local.engine import PROJECT
from jatevo_local.errors import StackError

BUILD = PROJECT / ".aws-sam" / "build"
RUNTIME_PYTHON = PROJECT / ".tools" / "lambda-runtime" / "bin" / "python"
"""A Python with Lambda's own loop and nothing else: all that a function imports must be in its layers."""

_ANY = "x-amazon-apigateway-any-method"
_INTEGRATION = "x-amazon-apigateway-integration"


@dataclass(frozen=True, slots=True)
class BuiltFunction:
    """A function as built. `environment` is the template's, with the parameters' default values."""

    name: str
    handler: str
    code: Path
    layers: tuple[Path, ...]
    environment: Mapping[str, str]
    timeout_s: int
    memory_mb: int


@dataclass(frozen=True, slots=True)
class BuiltRoute:
    """A route of the API: `method` is ANY or one, `function` the logical name of a function."""

    method: str
    resource: str
    function: str
    streamed: bool
    timeout_s: float


_CONDITIONS = "AWS::Conditions"
"""Where the conditions stand among the values of parameters: a name that no parameter can have."""


def transformed() -> dict[str, Any]:
    """Return what CloudFormation would make of the template. Raises StackError when nothing was built."""
    return _read("transformed.json")


def functions() -> dict[str, BuiltFunction]:
    """Return all functions by logical name."""
    built = _read("template.json")
    shared = built["Globals"]["Function"]
    values = {name: parameter["Default"] for name, parameter in built["Parameters"].items()}
    values["AWS::StackName"] = "jatevo"
    values[_CONDITIONS] = built.get("Conditions", {})
    return {
        name: _function(name, resource["Properties"], shared, values)
        for name, resource in built["Resources"].items()
        if resource["Type"] == "AWS::Serverless::Function" and _is_made(resource, values)
    }


def routes() -> list[BuiltRoute]:
    """Return all routes, the most specific first; preflight requests are API Gateway's own."""
    paths = transformed()["Resources"]["Api"]["Properties"]["Body"]["paths"]
    found = [
        _route(path, method, definition[_INTEGRATION])
        for path, methods in paths.items()
        for method, definition in methods.items()
        if definition[_INTEGRATION]["type"] != "mock"
    ]
    return sorted(found, key=_generality)


def _function(name: str, own: Mapping[str, Any], shared: Mapping[str, Any], values: Mapping[str, Any]) -> BuiltFunction:
    variables = {**shared["Environment"]["Variables"], **own.get("Environment", {}).get("Variables", {})}
    return BuiltFunction(
        name=name,
        handler=own["Handler"],
        code=BUILD / name,
        layers=tuple(BUILD / layer["Ref"] for layer in own["Layers"]),
        environment={key: str(_resolved(value, values)) for key, value in variables.items()},
        timeout_s=own["Timeout"],
        memory_mb=int(_resolved(own["MemorySize"], values)),
    )


def _is_made(resource: Mapping[str, Any], values: Mapping[str, Any]) -> bool:
    """Return whether a resource's condition holds with the parameters' default values."""
    condition = resource.get("Condition")
    return condition is None or bool(_resolved(values[_CONDITIONS][condition], values))


def _resolved(value: Any, values: Mapping[str, Any]) -> Any:
    """Resolve the intrinsic functions that the settings of functions use, and those in their conditions."""
    if not isinstance(value, dict):
        return value
    if "Ref" in value:
        return values[value["Ref"]]
    if "Fn::If" in value:
        condition, so, otherwise = value["Fn::If"]
        return _resolved(so if _resolved(values[_CONDITIONS][condition], values) else otherwise, values)
    if "Fn::Not" in value:
        return not _resolved(value["Fn::Not"][0], values)
    if "Fn::Equals" in value:
        one, other = value["Fn::Equals"]
        return str(_resolved(one, values)) == str(_resolved(other, values))
    text: str = value["Fn::Sub"]
    for name, known in values.items():
        text = text.replace(f"${{{name}}}", str(known))
    return text


def _route(path: str, method: str, integration: Mapping[str, Any]) -> BuiltRoute:
    uri: str = integration["uri"]["Fn::Sub"]
    target = uri.partition("/functions/${")[2].partition("}")[0]
    return BuiltRoute(
        method="ANY" if method == _ANY else method.upper(),
        resource=path,
        function=target.removesuffix(".Arn").partition("Alias")[0],
        streamed=integration.get("responseTransferMode") == "STREAM"
        and uri.endswith("/response-streaming-invocations"),
        timeout_s=integration.get("timeoutInMillis", 29_000) / 1000,
    )


def _generality(route: BuiltRoute) -> tuple[int, ...]:
    """API Gateway prefers a part that is spelled out to a greedy one, from the left; so does a sort by this."""
    return (*(2 if part.endswith("+}") else 0 for part in route.resource.strip("/").split("/")), 1)


def _read(name: str) -> dict[str, Any]:
    try:
        document: dict[str, Any] = json.loads((BUILD / name).read_text())
    except FileNotFoundError as error:
        raise StackError("nothing is built; run `make build`") from error
    return document
