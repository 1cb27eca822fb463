"""Which function a request goes to."""

from dataclasses import dataclass

from jatevo_local.lambda_api.function import LambdaFunction
from jatevo_local.lambda_api.rest_event import Match


@dataclass(frozen=True, slots=True)
class Route:
    """
    A resource and method of the API; `ANY` takes every method, `{name}` one segment and `{name+}` all that follow.

    `streamed`: the integration's response transfer mode. `timeout_s`: how long the gateway waits, for the whole answer
    where it is buffered.
    """

    method: str
    resource: str
    function: LambdaFunction
    streamed: bool = False
    timeout_s: float = 29.0
    idle_timeout_s: float = 300.0

    def match(self, method: str, path: str) -> Match | None:
        if self.method not in {"ANY", method}:
            return None
        parameters: dict[str, str] = {}
        wanted, given = self.resource.strip("/").split("/"), path.strip("/").split("/")
        for index, part in enumerate(wanted):
            if part.startswith("{") and part.endswith("+}") and index < len(given) and given[index]:
                return Match(self.resource, path, {**parameters, part[1:-2]: "/".join(given[index:])})
            if index >= len(given):
                return None
            if part.startswith("{"):
                parameters[part[1:-1]] = given[index]
            elif part != given[index]:
                return None
        return Match(self.resource, path, parameters) if len(wanted) == len(given) else None
