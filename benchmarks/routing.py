"""
What choosing a route costs, in microseconds of CPU: the pure order of routes, and the whole plan of a request.

    PYTHONPATH=tests/support .venv/bin/python benchmarks/routing.py
"""

import time
from collections.abc import Callable
from dataclasses import replace
from functools import partial

from jatevo_testing.world import MODEL

from jatevo.adapters.system import SystemClock, SystemRandomness
from jatevo.adapters.wire.chat_answer import ChatFormat
from jatevo.adapters.wire.chat_request import parse_chat_request
from jatevo.adapters.wire.errors import ErrorWording
from jatevo.application.exchange import InferenceRequest
from jatevo.application.health import Health
from jatevo.application.planning import Planner
from jatevo.domain.accounts import Account, ApiKey, Caller
from jatevo.domain.breaker import Rules
from jatevo.domain.catalogue import Catalogue
from jatevo.domain.catalogue_file import catalogue_from_document
from jatevo.domain.projection import Ask
from jatevo.domain.routing import Option, ordered
from jatevo.domain.windows import Limits

TIMES = 500


class _Nowhere:
    """A store of health that holds nothing."""

    async def read(self) -> dict[str, object]:
        return {}


def microseconds(work: Callable[[], object]) -> float:
    """Return the CPU time of one call, the best of three rounds."""
    rounds = []
    for _ in range(3):
        began = time.process_time()
        for _ in range(TIMES):
            work()
        rounds.append((time.process_time() - began) / TIMES * 1e6)
    return min(rounds)


def main() -> None:
    clock = SystemClock()
    planner = Planner(Health(_Nowhere(), clock, Rules()), clock, SystemRandomness())  # type: ignore[arg-type]
    request = parse_chat_request(b'{"model": "test-model", "messages": [{"role": "user", "content": "hello"}]}')
    assert isinstance(request, InferenceRequest)
    caller = Caller(ApiKey("key_a", "", "acct_a", "", ""), Account("acct_a", "", Limits()))
    formats = ChatFormat(ErrorWording())
    print(f"{'routes':>8}{'order, µs':>12}{'plan, µs':>12}{'auto of 20, µs':>16}")
    for count in (1, 2, 5, 20):
        names = [f"p{place}" for place in range(count)]
        routes = [{"pool": name, "model": "m"} for name in names]
        document = {
            "pools": [{"id": name, "base_url": f"http://{name}.example/v1"} for name in names],
            "models": [MODEL | {"id": name, "routes": routes} for name in ["test-model", *map(str, range(19))]],
        }
        catalogue = catalogue_from_document(document, 1)
        options = [Option(route) for route in catalogue.models["test-model"].routes]

        def planned(asked: InferenceRequest, catalogue: Catalogue = catalogue) -> object:
            return planner.plan(catalogue, caller, asked, formats, Ask(asked.size))

        order = microseconds(partial(ordered, options, "key"))
        plan = microseconds(partial(planned, request))
        picked = microseconds(partial(planned, replace(request, model="auto")))
        print(f"{count:8}{order:12.1f}{plan:12.1f}{picked:16.1f}")


if __name__ == "__main__":
    main()
