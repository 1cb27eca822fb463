"""What every refusal must look like, whatever was refused."""

from typing import Any

import httpx

from jatevo.domain.accounts import account_window
from jatevo_testing.world import Customer, World

INVALID = "invalid_request_error"
_LONGEST_REFUSAL_BYTES = 4096


def refused(
    answer: httpx.Response, status: int, code: str, *, kind: str = INVALID, param: str | None = None
) -> dict[str, Any]:
    """Check an error against OpenAI's shape and what the table says of it, and return it."""
    assert answer.headers["content-type"] == "application/json"
    error: dict[str, Any] = answer.json()["error"]
    assert (answer.status_code, error["code"], error["type"], error["param"]) == (status, code, kind, param), error
    assert error["message"].endswith("."), "a message is a sentence"
    assert len(answer.content) < _LONGEST_REFUSAL_BYTES, "an error does not give a long text back"
    assert answer.headers["x-request-id"].startswith("req_")
    assert "secret" not in answer.text + str(answer.headers)
    return error


def untouched(answer: httpx.Response, customer: Customer) -> None:
    """Check that both counters are shown, and that nothing is missing from them."""
    limits = customer.account.limits
    assert answer.headers["x-ratelimit-limit-requests"] == str(limits.requests)
    assert answer.headers["x-ratelimit-remaining-requests"] == str(limits.requests)
    assert answer.headers["x-jatevo-budget-remaining-usd"] == answer.headers["x-jatevo-budget-limit-usd"]
    assert answer.headers["x-jatevo-reset-at"].endswith("T00:00:00Z")


async def nothing_reserved(world: World, customer: Customer) -> None:
    """Check that a refusal came before anything was reserved: its account never had a window, or an entry."""
    assert await world.gateway.windows.read(account_window(customer.account.id, world.today())) is None
    assert await world.ledger(customer) == []
