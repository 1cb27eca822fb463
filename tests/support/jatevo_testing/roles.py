"""What the roles of the transformed template allow, with tables named as the code's schema names them."""

from dataclasses import dataclass
from fnmatch import fnmatchcase
from typing import Any

from jatevo_local import built

STACK = "jatevo"
_BY_SERVICE = frozenset({"logs:CreateLogStream", "logs:PutLogEvents", "sqs:SendMessage"})
"""Done by Lambda itself in a function's name: its code makes no such call."""


@dataclass(frozen=True, slots=True, order=True)
class Permission:
    """An action on a resource: `table/windows`, `table/windows/index/sweep`, `parameter/jatevo/pools/*`."""

    action: str
    resource: str

    def covers(self, call: "Permission") -> bool:
        return self.action == call.action and fnmatchcase(call.resource, self.resource)


def permissions(function: str, *, secrets_in_ssm: bool = True) -> frozenset[Permission]:
    """Return what a function's own code may do."""
    resources = built.transformed()["Resources"]
    role = resources[resources[function]["Properties"]["Role"]["Fn::GetAtt"][0]]["Properties"]
    found: set[Permission] = set()
    for policy in role["Policies"]:
        for statement in policy["PolicyDocument"]["Statement"]:
            if "Fn::If" in statement:
                condition, yes, no = statement["Fn::If"]
                assert condition == "SecretsInSsm"
                statement = yes if secrets_in_ssm else no  # noqa: PLW2901 - the one that applies
            found |= _of_statement(statement, resources)
    return frozenset(permission for permission in found if permission.action not in _BY_SERVICE)


def _of_statement(statement: dict[str, Any], resources: dict[str, Any]) -> set[Permission]:
    assert statement["Effect"] == "Allow"
    return {
        Permission(action, _named(resource, resources))
        for action in _listed(statement["Action"])
        for resource in _listed(statement["Resource"])
    }


def _listed(value: Any) -> list[Any]:
    return value if isinstance(value, list) else [value]


def _named(resource: dict[str, Any], resources: dict[str, Any]) -> str:
    """Name a resource as the end of its ARN does."""
    if "Fn::GetAtt" in resource:
        return _table(resource["Fn::GetAtt"][0], resources)
    text: str = resource["Fn::Sub"]
    if text.startswith("${"):
        logical, _, rest = text.removeprefix("${").partition(".Arn}")
        return _table(logical, resources) + rest
    return text.rpartition("}:")[2].replace("${AWS::StackName}", STACK)


def _table(logical: str, resources: dict[str, Any]) -> str:
    properties = resources[logical]["Properties"]
    if "TableName" not in properties:
        return logical
    return "table/" + str(properties["TableName"]["Fn::Sub"]).removeprefix("${AWS::StackName}-")
