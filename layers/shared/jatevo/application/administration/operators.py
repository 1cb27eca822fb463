"""
Operators: people and programs that administer, each with a name and a token of its own.

Only a token's SHA-256 is stored. Tokens are compared in constant time, against every operator, so that neither a near
miss nor a name shows in how long an answer takes. The first operator comes from a secret of the deployment and follows
it when it changes.
"""

import base64
import hashlib
import hmac
from collections.abc import Sequence
from dataclasses import dataclass, field, replace

from jatevo.application.administration import bounds
from jatevo.application.administration.changes import Changed
from jatevo.application.administration.problems import NotThere, Refused
from jatevo.application.ports import Clock, Conflict, Randomness
from jatevo.application.registry import AlreadyThere, Operator, Registry

TOKEN_PREFIX = "jto-"  # noqa: S105 - how tokens begin, not one
_TOKEN_BYTES = 32
MIN_SECRET_LENGTH = 20
MAX_OPERATORS = 100


@dataclass(frozen=True, slots=True)
class FirstOperator:
    """The operator of the deployment's secret. Raises ValueError for a secret that could be guessed."""

    token: str = field(repr=False)
    name: str = "first"

    def __post_init__(self) -> None:
        if len(self.token) < MIN_SECRET_LENGTH:
            raise ValueError(f"the admin token must have at least {MIN_SECRET_LENGTH} characters")


@dataclass(frozen=True, slots=True)
class CreatedOperator:
    """A new operator, and the token: it cannot be had again."""

    operator: Operator
    token: str = field(repr=False)


class Operators:
    """Knows operators by their tokens, and administers them."""

    def __init__(
        self, registry: Registry, clock: Clock, randomness: Randomness, *, first: FirstOperator | None = None
    ) -> None:
        self._registry = registry
        self._clock = clock
        self._randomness = randomness
        self._first = first

    async def authenticate(self, token: str | None) -> Operator | None:
        """Return the enabled operator whose token this is."""
        if not token:
            return None
        await self._ensure_first()
        digest = _digest(token)
        found = None
        for operator in await self._registry.operators():
            if hmac.compare_digest(operator.digest, digest) and operator.enabled:
                found = operator
        return found

    async def create(self, name: str) -> CreatedOperator:
        """Return a new operator. Raises InvalidValue, Refused."""
        bounds.operator_name(name)
        if len(await self._registry.operators()) >= MAX_OPERATORS:
            raise Refused(f"There are {MAX_OPERATORS} operators already.")
        secret = base64.urlsafe_b64encode(self._randomness.secret(_TOKEN_BYTES)).decode("ascii").rstrip("=")
        token = TOKEN_PREFIX + secret
        operator = Operator(name, _digest(token), created_at_unix_s=self._now())
        try:
            await self._registry.create_operator(operator)
        except AlreadyThere as error:
            raise Refused(f"There is an operator {name!r} already.", param="name") from error
        return CreatedOperator(operator, token)

    async def all(self) -> Sequence[Operator]:
        """Return all operators by name."""
        await self._ensure_first()
        return await self._registry.operators()

    async def disable(self, name: str) -> Changed[Operator]:
        """
        Stop an operator's token and return the operator as it was and is.

        Raises NotThere, Refused for the last enabled one.
        """
        operators = await self._registry.operators()
        operator = next((operator for operator in operators if operator.name == name), None)
        if operator is None:
            raise NotThere(f"There is no operator {name[:64]!r}.", param="name")
        if not any(other.enabled for other in operators if other.name != name):
            raise Refused("This is the last enabled operator: create another one first.", param="name")
        disabled = replace(operator, enabled=False)
        try:
            await self._registry.change_operator(disabled, previous=operator)
        except Conflict as conflict:
            raise Refused("The operator was changed at this moment. Try again.") from conflict
        return Changed(operator, disabled)

    async def _ensure_first(self) -> None:
        """Create the first operator, or give it the secret's present value. Once per process, harmless to repeat."""
        first = self._first
        if first is None:
            return
        wanted = Operator(first.name, _digest(first.token), created_at_unix_s=self._now())
        stored = {operator.name: operator for operator in await self._registry.operators()}.get(first.name)
        try:
            if stored is None:
                await self._registry.create_operator(wanted)
            elif stored.digest != wanted.digest:
                await self._registry.change_operator(replace(stored, digest=wanted.digest), previous=stored)
        except (AlreadyThere, Conflict):
            # Another process was first, perhaps with another secret: the next call looks again.
            return
        self._first = None

    def _now(self) -> int:
        return self._clock.now_ms() // 1000


def _digest(token: str) -> str:
    return hashlib.sha256(token.encode()).hexdigest()
