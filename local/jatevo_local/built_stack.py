"""
What `make build` made, running: every function under the local Lambda, behind the local API Gateway, as the transformed
template wires them.
"""

from collections.abc import AsyncIterator, Mapping
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

from jatevo_local import built
from jatevo_local.errors import StackError
from jatevo_local.lambda_api import FunctionSpec, LambdaFunction, RestApi, Route
from jatevo_local.lambda_api.rest_event import Api


@dataclass(frozen=True, slots=True)
class BuiltStack:
    """`url` ends in the stage; `functions` are by logical name."""

    url: str
    functions: Mapping[str, LambdaFunction]


@asynccontextmanager
async def built_stack(
    environments: Mapping[str, Mapping[str, str]], logs: Path, *, port: int = 0, most_environments: int = 10
) -> AsyncIterator[BuiltStack]:
    """
    Run everything that was built. Raises StackError when nothing was.

    `environments`: what to add to each function's own, by logical name, and by `""` to all. `logs`: a folder.
    """
    if not built.RUNTIME_PYTHON.exists():
        raise StackError("the Lambda runtime is not installed; run `make build`")
    async with AsyncExitStack() as stack:
        functions = {
            name: await stack.enter_async_context(
                LambdaFunction(_spec(function, environments, most_environments), logs)
            )
            for name, function in built.functions().items()
        }
        routes = [
            Route(r.method, r.resource, functions[r.function], streamed=r.streamed, timeout_s=r.timeout_s)
            for r in built.routes()
        ]
        api = await stack.enter_async_context(RestApi(routes, Api(binary=_binary_types()), port))
        yield BuiltStack(api.url, functions)


def _spec(
    function: built.BuiltFunction, environments: Mapping[str, Mapping[str, str]], most_environments: int
) -> FunctionSpec:
    added = {**environments.get("", {}), **environments.get(function.name, {})}
    return FunctionSpec(
        name=function.name,
        handler=function.handler,
        code=function.code,
        layers=function.layers,
        environment={**function.environment, **added},
        timeout_s=function.timeout_s,
        memory_mb=function.memory_mb,
        most_environments=most_environments,
        python=str(built.RUNTIME_PYTHON),
    )


def _binary_types() -> tuple[str, ...]:
    body = built.transformed()["Resources"]["Api"]["Properties"]["Body"]
    return tuple(body["x-amazon-apigateway-binary-media-types"])
