"""
A chat body fitted to the quirks of a pool, which are data of the catalogue: names of fields and of roles.

What a pool does not take at all is refused before; here nothing is dropped but what no client sent.
"""

from collections.abc import Mapping
from typing import Any

from jatevo.application.exchange import InferenceRequest
from jatevo.domain.catalogue import Pool


def fitted_to(body: Mapping[str, Any], pool: Pool) -> dict[str, Any]:
    """Return a client's body with fields and roles by the names they have in a pool."""
    fitted = {pool.rename_fields.get(name, name): value for name, value in body.items() if pool.passes(name)}
    if pool.roles and "messages" in fitted:
        fitted["messages"] = [_renamed(message, pool) for message in fitted["messages"]]
    return fitted


def refused_role(request: InferenceRequest, pool: Pool) -> str | None:
    """Return the place of a role that a pool does not take, such as `messages[0].role`, or None."""
    if not pool.refuse_roles:
        return None
    messages = request.body.get("messages", ())
    refused = (place for place, message in enumerate(messages) if message.get("role") in pool.refuse_roles)
    return next((f"messages[{place}].role" for place in refused), None)


def _renamed(message: Mapping[str, Any], pool: Pool) -> Mapping[str, Any]:
    role = pool.roles.get(message["role"])
    return message if role is None else {**message, "role": role}
