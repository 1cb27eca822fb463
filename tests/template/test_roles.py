"""What the roles may do: own tables, own logs, nothing by wildcard. tests/lambda proves that it is all needed."""

from collections.abc import Iterator
from typing import Any

OWN_ROLE = {
    "InferenceFunction": "InferenceRole",
    "DedicatedLaneFunction": "InferenceRole",  # the same code, for one lane
    "AccountFunction": "AccountRole",
    "AdminFunction": "AdminRole",
    "SiteFunction": "SiteRole",
    "ReservationSweeperFunction": "ReservationSweeperRole",
    "ReconciliationFunction": "ReconciliationRole",
    "PriceOracleFunction": "PriceOracleRole",
    "HoldingsSnapshotFunction": "HoldingsSnapshotRole",
    "HoldingsRefreshFunction": "HoldingsRefreshRole",
}
MANAGED = {"ApiLogRole": ["AmazonAPIGatewayPushToCloudWatchLogs"]}
"""The only managed policy: AWS names no narrower one for API Gateway's log role."""


def test_every_function_has_a_role_of_its_own(resources: dict[str, Any]) -> None:
    functions = {name: r for name, r in resources.items() if r["Type"] == "AWS::Lambda::Function"}
    roles = {name: function["Properties"]["Role"]["Fn::GetAtt"][0] for name, function in functions.items()}
    assert roles == OWN_ROLE


def test_no_action_and_no_resource_is_a_wildcard(resources: dict[str, Any]) -> None:
    for name, statement in statements(resources):
        actions = statement["Action"] if isinstance(statement["Action"], list) else [statement["Action"]]
        assert not any("*" in action for action in actions), name
        found = statement["Resource"] if isinstance(statement["Resource"], list) else [statement["Resource"]]
        for resource in found:
            text = resource.get("Fn::Sub") or ".".join(resource["Fn::GetAtt"])
            assert not text.endswith(":*"), (name, text)
            own = tuple(f"/${{AWS::StackName}}/{folder}/*" for folder in ("pools", "prices", "chains"))
            assert "*" not in text or text.endswith(own), (name, text)


def test_only_the_listed_managed_policies_are_attached(resources: dict[str, Any]) -> None:
    attached = {
        name: [str(arn["Fn::Sub"]).rpartition("/")[2] for arn in role["Properties"]["ManagedPolicyArns"]]
        for name, role in resources.items()
        if role["Type"] == "AWS::IAM::Role" and role["Properties"].get("ManagedPolicyArns")
    }
    assert attached == MANAGED


def statements(resources: dict[str, Any]) -> Iterator[tuple[str, dict[str, Any]]]:
    """Yield every statement of every role, of each alternative of a condition."""
    for name, role in resources.items():
        if role["Type"] != "AWS::IAM::Role":
            continue
        for policy in role["Properties"].get("Policies", ()):
            for statement in policy["PolicyDocument"]["Statement"]:
                for either in statement["Fn::If"][1:] if "Fn::If" in statement else [statement]:
                    yield name, either
