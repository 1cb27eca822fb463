"""The model of DynamoDB that simulations run on answers as real engines do, and keeps what they keep."""

import time
from collections.abc import Iterator
from contextlib import closing
from typing import Any

import pytest
from botocore.exceptions import ClientError
from hypothesis import given, settings
from hypothesis import strategies as st
from jatevo_testing.effort import EFFORT
from jatevo_testing.engine_model import MemoryEngine
from jatevo_testing.engine_model.requests import items, requests
from jatevo_testing.tables import fresh_tables, plain_client

from jatevo.adapters.dynamodb.schema import TableNames, definitions

_LONGEST_LAG_S = 2.0

type Requests = list[tuple[str, dict[str, Any]]]


class Pair:
    """A real engine and the model, asked the same."""

    def __init__(self, real: Any, names: TableNames) -> None:
        self._real = real
        self._table = names.windows
        self._definitions = definitions(names)
        self.model = MemoryEngine(self._definitions)

    def anew(self) -> None:
        """Empty both."""
        for item in self._real.scan(TableName=self._table, ConsistentRead=True)["Items"]:
            self._real.delete_item(TableName=self._table, Key={name: item[name] for name in ("owner", "period")})
        self.model = MemoryEngine(self._definitions)

    def ask(self, operation: str, arguments: dict[str, Any]) -> tuple[Any, Any]:
        """Return both answers; the real one once its index has caught up."""
        arguments = _at(self._table, arguments)
        answers = _answer(self._real, operation, arguments), _answer(self.model, operation, arguments)
        until = time.monotonic() + _LONGEST_LAG_S
        while "IndexName" in arguments and answers[0] != answers[1] and time.monotonic() < until:
            time.sleep(0.005)
            answers = _answer(self._real, operation, arguments), answers[1]
        return answers

    def contents(self) -> tuple[Any, Any]:
        return self.ask("scan", {"ConsistentRead": True})


def _at(table: str, arguments: dict[str, Any]) -> dict[str, Any]:
    if "TransactItems" not in arguments:
        return {"TableName": table, **arguments}
    parts = [{verb: {"TableName": table, **part} for verb, part in one.items()} for one in arguments["TransactItems"]]
    return {"TransactItems": parts}


def _answer(engine: Any, operation: str, arguments: dict[str, Any]) -> Any:
    """Return what became of a request, in a form that compares. A query is followed from page to page."""
    try:
        answer = getattr(engine, operation)(**arguments)
        if "LastEvaluatedKey" in answer:
            more = {**arguments, "ExclusiveStartKey": answer.pop("LastEvaluatedKey")}
            further = _answer(engine, operation, more)
            # An engine may or may not know that a full page was the last one.
            answer["Then"] = further if further["ScannedCount"] else None
    except ClientError as error:
        response: Any = error.response
        reasons = [(reason["Code"], _plain(reason.get("Item"))) for reason in response.get("CancellationReasons", [])]
        return response["Error"]["Code"], _plain(response.get("Item")), reasons
    told = {name: _plain(value) for name, value in answer.items() if name != "ResponseMetadata" and value is not None}
    if operation == "scan":
        told["Items"] = sorted(told["Items"], key=repr)
    return told


def _plain(value: Any) -> Any:
    """Return a value with its sets in order, and maps as such."""
    if isinstance(value, dict):
        if value.keys() == {"SS"}:
            return {"SS": sorted(value["SS"])}
        return {name: _plain(one) for name, one in sorted(value.items())}
    return [_plain(one) for one in value] if isinstance(value, list) else value


@pytest.fixture(scope="module", params=["dynoxide", "extenddb"])
def pair(request: pytest.FixtureRequest) -> Iterator[Pair]:
    endpoint_url = request.getfixturevalue(request.param)
    with fresh_tables(endpoint_url) as names, closing(plain_client(endpoint_url)) as client:
        yield Pair(client, names)


@settings(max_examples=50 * EFFORT)
@given(there=st.lists(items(), max_size=5), asked=st.lists(requests, min_size=1, max_size=12))
def test_every_answer_is_that_of_a_real_engine_and_so_is_what_it_keeps(
    pair: Pair, there: list[dict[str, Any]], asked: Requests
) -> None:
    pair.anew()
    puts: Requests = [("put_item", {"Item": item}) for item in there]
    for operation, arguments in [*puts, *asked]:
        real, model = pair.ask(operation, arguments)
        assert model == real, (operation, arguments)
    real, model = pair.contents()
    assert model == real


@pytest.mark.parametrize("length", [1, 900, 1100, 3000, 9000])
def test_what_a_request_costs_is_what_a_real_engine_reports(pair: Pair, length: int) -> None:
    pair.anew()
    key = {"owner": {"S": "a"}, "period": {"S": "always"}}
    told = {"told": {"S": "x" * length}}
    swept = {"sweep_shard": {"S": "0"}, "sweep_at": {"N": "1"}}
    later = {"ExpressionAttributeNames": {"#at": "sweep_at"}, "ExpressionAttributeValues": {":at": {"N": "2"}}}
    asked: Requests = [
        ("put_item", {"Item": key | told}),
        ("put_item", {"Item": key | told | swept}),
        ("update_item", {"Key": key, "UpdateExpression": "SET #at = :at", **later}),
        ("get_item", {"Key": key}),
        ("get_item", {"Key": key, "ConsistentRead": True}),
        ("delete_item", {"Key": key}),
    ]
    for operation, arguments in asked:
        real, model = pair.ask(operation, {**arguments, "ReturnConsumedCapacity": "TOTAL"})
        assert model["ConsumedCapacity"] == real["ConsumedCapacity"], (operation, arguments.keys())
