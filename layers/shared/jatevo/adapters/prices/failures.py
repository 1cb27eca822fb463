"""How an adapter says why it has no price: raised inside, a value at the port."""

from collections.abc import Awaitable, Callable

from jatevo.domain.prices import Failing, Heard, NoObservation


class SourceFailed(Exception):
    """A source gave no price; `detail` names no secret."""

    def __init__(self, failing: Failing, detail: str = "") -> None:
        super().__init__(f"{failing}: {detail}")
        self.failing = failing
        self.detail = detail


async def as_value(name: str, ask: Callable[[], Awaitable[Heard]]) -> Heard:
    """Return what asking gives, a failure as a value."""
    try:
        return await ask()
    except SourceFailed as failed:
        return NoObservation(name, failed.failing, failed.detail)
