"""The use cases of operators over a gateway of the tests."""

from collections.abc import Mapping
from dataclasses import replace

from jatevo.adapters.dynamodb.client import ClientOptions
from jatevo.adapters.dynamodb.models import Tables
from jatevo.adapters.dynamodb.registry import DynamoRegistry
from jatevo.application.administration import Administration
from jatevo.application.administration.accounts import Accounts
from jatevo.application.administration.books import Books
from jatevo.application.administration.catalogues import Catalogues
from jatevo.application.administration.keys import Keys
from jatevo.application.administration.operators import FirstOperator, Operators
from jatevo.application.limits import LimitChanges
from jatevo.bootstrap import Gateway


def administration_of(
    gateway: Gateway, first: FirstOperator, *, variables: Mapping[str, str] | None = None, endpoint: str | None = None
) -> Administration:
    """Return the use cases, over another `endpoint` if one is given."""
    options = ClientOptions(gateway.settings.region, gateway.settings.dynamodb_endpoint)
    registry = DynamoRegistry(
        Tables.connect(replace(options, endpoint_url=endpoint or options.endpoint_url), gateway.names)
    )
    clock, randomness, forget = gateway.clock, gateway.randomness, gateway.directory.forget
    limits = LimitChanges(gateway.windows, clock)
    return Administration(
        accounts=Accounts(registry, limits, clock, randomness, forget=forget),
        keys=Keys(registry, limits, clock, randomness, forget=forget),
        catalogues=Catalogues(registry, clock, forget=forget, variables=variables),
        operators=Operators(registry, clock, randomness, first=first),
        books=Books(registry, gateway.windows, gateway.ledger, clock),
        sweeper=gateway.sweeper(),
    )
