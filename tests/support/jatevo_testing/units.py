"""What a gateway asks of DynamoDB, in the units that the engine reports."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from jatevo.adapters.dynamodb.client import Answer, DynamoClient


@dataclass
class UnitMeter:
    """Every call of a client, with its capacity units."""

    calls: list[tuple[str, float, float]] = field(default_factory=list)
    """Operation and table, units of the table, units of its indexes."""

    def attach(self, client: DynamoClient) -> None:
        ask = client.ask

        async def metered(operation: str, arguments: Mapping[str, Any]) -> Answer:
            answer = await ask(operation, {**arguments, "ReturnConsumedCapacity": "INDEXES"})
            self._count(operation.title().replace("_", ""), answer.value.get("ConsumedCapacity"))
            return answer

        client.ask = metered  # type: ignore[method-assign]

    def _count(self, operation: str, used: Any) -> None:
        if used is None:
            self.calls.append((f"{operation} refused", 1, 0))
            return
        for capacity in used if isinstance(used, list) else [used]:
            indexes = capacity.get("GlobalSecondaryIndexes", {}).values()
            table = capacity["TableName"].rpartition("-")[2]
            units = capacity["Table"]["CapacityUnits"]
            self.calls.append((f"{operation} {table}", units, sum(index["CapacityUnits"] for index in indexes)))

    def take(self) -> list[tuple[str, float, float]]:
        """Return the calls since this was last asked."""
        taken, self.calls = self.calls, []
        return taken
