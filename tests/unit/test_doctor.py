"""The preflight: what it says of an account, read from AWS's own answers by stubbed clients."""

from collections.abc import Callable
from dataclasses import astuple
from typing import Any

import boto3
import pytest
from botocore.stub import Stubber

from jatevo.adapters.dynamodb.schema import TableNames
from jatevo_cli import doctor
from jatevo_cli.main import main
from jatevo_cli.parser import parser

IDENTITY = {"Account": "123456789012", "Arn": "arn:aws:iam::123456789012:user/ada", "UserId": "A"}


def account(
    *,
    concurrency: int = 1000,
    log_role: str | None = None,
    tables: list[str] | None = None,
    kind: str | None = "SecureString",
    secret: bool = True,
) -> Callable[[str], Any]:
    """Return clients of an account that looks like this."""
    free = {"ConcurrentExecutions": concurrency, "UnreservedConcurrentExecutions": concurrency}
    answers: dict[str, tuple[str, dict[str, Any] | None]] = {
        "sts": ("get_caller_identity", IDENTITY),
        "lambda": ("get_account_settings", {"AccountLimit": free}),
        "apigateway": ("get_account", {"cloudwatchRoleArn": log_role} if log_role else {}),
        "dynamodb": ("list_tables", {"TableNames": tables or []}),
        "ssm": ("get_parameter", {"Parameter": {"Type": kind}} if kind else None),
        "secretsmanager": ("describe_secret", {} if secret else None),
    }
    missing = {"ssm": "ParameterNotFound", "secretsmanager": "ResourceNotFoundException"}

    def client(service: str) -> Any:
        operation, answer = answers[service]
        session: Any = boto3.session.Session(region_name="us-east-1")
        made = session.client(service)
        stubber = Stubber(made)
        if answer is None:
            stubber.add_client_error(operation, missing[service])
        else:
            stubber.add_response(operation, answer)
        stubber.activate()
        return made

    return client


def said(capsys: pytest.CaptureFixture[str], client: Callable[[str], Any], *options: str) -> tuple[int, str]:
    asked = parser({"doctor": doctor}).parse_args(["doctor", "--preflight", *options])
    status = doctor.run(asked, client)
    return status, capsys.readouterr().out


def test_an_account_that_is_ready(capsys: pytest.CaptureFixture[str]) -> None:
    status, text = said(capsys, account(log_role="arn:aws:iam::123456789012:role/logs"))
    assert status == 0
    assert "account 123456789012, as ada" in text
    assert "ApiGatewayLogRole=keep" in text
    assert "ReservedConcurrency" not in text


def test_a_new_account_is_told_what_it_cannot_have(capsys: pytest.CaptureFixture[str]) -> None:
    status, text = said(capsys, account(concurrency=10))
    assert status == 0
    assert "10 Lambda environments at once" in text
    assert "keep ReservedConcurrency=0" in text
    assert "ApiGatewayLogRole=create" in text


@pytest.mark.parametrize(("concurrency", "wanted", "status"), [(1000, 900, 0), (1000, 901, 1), (10, 1, 1), (10, 0, 0)])
def test_environments_that_cannot_be_kept_free_must_be_asked_for_first(
    capsys: pytest.CaptureFixture[str], concurrency: int, wanted: int, status: int
) -> None:
    found, text = said(capsys, account(concurrency=concurrency), "--keep-free", str(wanted))
    assert found == status
    assert (f"todo  {wanted} environments cannot be kept free" in text) == bool(status)


def test_the_operator_token_is_looked_for_where_it_is_kept(capsys: pytest.CaptureFixture[str]) -> None:
    in_secrets = ("--secret-store", "secret", "--stack", "mine")
    status, text = said(capsys, account(kind=None), *in_secrets)
    assert (status, "the operator token is in the secret /mine/operator-token" in text) == (0, True)
    status, text = said(capsys, account(kind="SecureString", secret=False), *in_secrets)
    assert (status, "todo  there is no secret /mine/operator-token" in text) == (1, True)


def test_a_missing_or_plain_operator_token_must_be_mended_first(capsys: pytest.CaptureFixture[str]) -> None:
    status, text = said(capsys, account(kind=None))
    assert (status, "todo  there is no parameter /jatevo/operator-token" in text) == (1, True)
    status, text = said(capsys, account(kind="String"))
    assert (status, "make it a SecureString" in text) == (1, True)


def test_tables_that_an_earlier_stack_left_are_named(capsys: pytest.CaptureFixture[str]) -> None:
    _, text = said(capsys, account(tables=["jatevo-ledger", "other"]))
    assert "1 tables of a stack 'jatevo' exist (jatevo-ledger)" in text


def test_it_knows_every_table_of_the_schema() -> None:
    assert set(astuple(TableNames.with_prefix("s"))) == {f"s-{table}" for table in doctor.TABLES}


def test_without_a_network_it_is_one_line(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AWS_ENDPOINT_URL", "http://127.0.0.1:9")
    monkeypatch.setenv("AWS_MAX_ATTEMPTS", "1")
    assert main(["doctor", "--preflight", "--region", "us-east-1"]) == 3
    assert capsys.readouterr().err.startswith("jatevo: AWS cannot be asked: Could not connect")
