"""The places where the model stands in for an engine: under pynamodb's models, and as the engine of a simulation."""

import re
from copy import deepcopy
from typing import Any

from jatevo.adapters.dynamodb.client import ClientOptions
from jatevo.adapters.dynamodb.models import Tables
from jatevo.adapters.dynamodb.schema import TableNames
from jatevo_local.engine import REGION
from jatevo_testing.engine_model.engine import MemoryEngine

_NOWHERE = "http://in-memory.invalid"


class ForModels:
    """What pynamodb takes for its botocore client. It writes into what it is given, so it gets copies."""

    _request_signer = None

    def __init__(self, engine: MemoryEngine) -> None:
        self._engine = engine

    def _make_api_call(self, operation: str, arguments: dict[str, Any]) -> dict[str, Any]:
        method = re.sub(r"(?<!^)(?=[A-Z])", "_", operation).lower()
        answer: dict[str, Any] = getattr(self._engine, method)(**arguments)
        return deepcopy(answer)


def models_over(engine: MemoryEngine, names: TableNames) -> Tables:
    """Return pynamodb's models over the model of an engine."""
    tables = Tables.connect(ClientOptions(REGION, _NOWHERE), names)
    client: Any = ForModels(engine)
    tables.transactions._client = client
    for model in (tables.accounts, tables.keys, tables.catalogue, tables.operators):
        model._get_connection().connection._client = client
    return tables
