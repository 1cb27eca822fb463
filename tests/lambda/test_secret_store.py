"""With `SecretStore=secret`, the other half of the roles' conditions: the operator token from Secrets Manager."""

import json
from pathlib import Path

from jatevo_testing.aws import Aws, serving
from jatevo_testing.rie import under_rie
from jatevo_testing.roles import Permission, permissions

from jatevo.adapters.dynamodb.schema import TableNames
from jatevo_local import built
from jatevo_local.engine import AWS_ENVIRONMENT, PROJECT

FUNCTION = "AdminFunction"
TOKEN = "an-operator-token-of-thirty-one"
NEEDED = Permission("secretsmanager:GetSecretValue", "secret:/jatevo/operator-token-AbCdEf")


def test_the_operator_token_may_come_from_secrets_manager(dynoxide: str, tables: TableNames, tmp_path: Path) -> None:
    event = json.loads((PROJECT / "events" / "admin-create-account.json").read_text())
    event["headers"]["Authorization"] = f"Bearer {TOKEN}"
    event["multiValueHeaders"]["Authorization"] = [f"Bearer {TOKEN}"]
    allowed = {FUNCTION: permissions(FUNCTION, secrets_in_ssm=False)}
    aws = Aws(dynoxide, tables.windows.removesuffix("-windows"), allowed, {"/jatevo/operator-token": TOKEN})
    with serving(aws):
        settings = {"JATEVO_OPERATOR_TOKEN": "secret:/jatevo/operator-token"}
        environment = AWS_ENVIRONMENT | aws.environment(FUNCTION) | settings
        with under_rie(built.functions()[FUNCTION], environment, tmp_path) as lambda_:
            answer = lambda_.invoke(event)
    assert answer["statusCode"] == 201, answer
    assert aws.refused == []
    assert NEEDED in aws.calls[FUNCTION]


def test_either_store_is_allowed_alone() -> None:
    for function in ("AdminFunction", "InferenceFunction"):
        in_ssm, in_manager = permissions(function), permissions(function, secrets_in_ssm=False)
        assert {held.action for held in in_ssm ^ in_manager} == {"ssm:GetParameter", "secretsmanager:GetSecretValue"}
