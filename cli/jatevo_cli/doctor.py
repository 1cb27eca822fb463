"""
`jatevo doctor`: what is not well with a gateway that runs, and what to do? `--preflight`: would a deploy into this AWS
account and region fail, and with which parameters not?

Of a gateway that runs, the one that JATEVO_URL names: whether it answers, this machine's clock agrees with it, the
admin token is good, and what it says itself of its tables, schedules, upstreams, price, snapshot and books.

Reads only: account settings and quotas of Lambda and API Gateway, names of tables, whether the operator token is there.
The account is the one that AWS's usual variables and files name. Exit status: 0 well or ready, 1 something is to be
done, 2 wrong usage, 3 not reachable.
"""

import argparse
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from email.utils import parsedate_to_datetime
from typing import Any

import boto3
import httpx
from botocore.exceptions import BotoCoreError, ClientError

from jatevo_cli.api import UNREACHABLE, Api, CommandError, target_from

TABLES = (
    "windows",
    "ledger",
    "rollups",
    "accounts",
    "keys",
    "catalogue",
    "operators",
    "wallets",
    "sessions",
    "responses",
    "holdings",
    "health",
    "prices",
    "audit",
)
_LEAST_UNRESERVED = 100
"""Lambda leaves at least so many environments to functions without a reservation."""
_MORE_CONCURRENCY = "ask for more under Service Quotas, Lambda, Concurrent executions"

_MOST_SKEW_S = 30

type Client = Callable[[str], Any]


@dataclass(frozen=True, slots=True)
class Finding:
    """What was found. `blocks`: a deploy would fail, or would not work."""

    text: str
    blocks: bool = False


@dataclass(frozen=True, slots=True)
class Plan:
    """
    What is to be deployed. `kept_free`: Lambda environments of ReservedConcurrency and its like together. `store`:
    where the operator token is kept, `ssm` or `secret`.
    """

    stack: str = "jatevo"
    kept_free: int = 0
    store: str = "ssm"


def findings(client: Client, plan: Plan) -> list[Finding]:
    """Look at everything. Raises what boto3 raises when AWS cannot be asked."""
    token = _operator_parameter if plan.store == "ssm" else _operator_secret
    return [
        _account(client("sts")),
        *_concurrency(client("lambda").get_account_settings(), plan.kept_free),
        _log_role(client("apigateway").get_account()),
        _tables(client("dynamodb"), plan.stack),
        token(client, f"/{plan.stack}/operator-token"),
    ]


def _account(sts: Any) -> Finding:
    who = sts.get_caller_identity()
    return Finding(f"account {who['Account']}, as {who['Arn'].rpartition('/')[2]}")


def _concurrency(settings: dict[str, Any], kept_free: int) -> list[Finding]:
    limit = settings["AccountLimit"]
    whole, free = limit["ConcurrentExecutions"], limit["UnreservedConcurrentExecutions"]
    found = [Finding(f"{whole} Lambda environments at once, {free} of them unreserved: so many streams at most")]
    if kept_free > max(0, free - _LEAST_UNRESERVED):
        text = f"{kept_free} environments cannot be kept free: {_LEAST_UNRESERVED} must stay unreserved, {free} are"
        found.append(Finding(f"{text}; {_MORE_CONCURRENCY}", blocks=True))
    elif free <= _LEAST_UNRESERVED:
        text = f"keep ReservedConcurrency=0 and ProvisionedConcurrency=0: {_LEAST_UNRESERVED} must stay unreserved"
        found.append(Finding(f"{text}; {_MORE_CONCURRENCY}"))
    return found


def _log_role(account: dict[str, Any]) -> Finding:
    if account.get("cloudwatchRoleArn"):
        return Finding("API Gateway has a role for its logs: deploy with ApiGatewayLogRole=keep")
    return Finding("API Gateway has no role for its logs: deploy with ApiGatewayLogRole=create (the default)")


def _tables(dynamodb: Any, stack: str) -> Finding:
    pages = dynamodb.get_paginator("list_tables").paginate()
    there = {name for page in pages for name in page["TableNames"]} & {f"{stack}-{table}" for table in TABLES}
    if not there:
        return Finding(f"no tables of a stack {stack!r} yet")
    names = ", ".join(sorted(there))
    return Finding(
        f"{len(there)} tables of a stack {stack!r} exist ({names}): right when it is deployed already; a new stack of "
        "that name would fail, so import them, choose another name, or delete them"
    )


def _operator_parameter(client: Client, name: str) -> Finding:
    try:
        kind = client("ssm").get_parameter(Name=name)["Parameter"]["Type"]
    except ClientError as error:
        if error.response["Error"]["Code"] != "ParameterNotFound":
            raise
        return _no_token(f"parameter {name}")
    if kind != "SecureString":
        return Finding(f"the parameter {name} is a {kind}; make it a SecureString", blocks=True)
    return Finding(f"the operator token is in the parameter {name}")


def _operator_secret(client: Client, name: str) -> Finding:
    try:
        client("secretsmanager").describe_secret(SecretId=name)
    except ClientError as error:
        if error.response["Error"]["Code"] != "ResourceNotFoundException":
            raise
        return _no_token(f"secret {name}")
    return Finding(f"the operator token is in the secret {name}")


def _no_token(where: str) -> Finding:
    return Finding(f"there is no {where}: the admin function will not start without it", blocks=True)


def add_options(parser: argparse.ArgumentParser) -> None:
    """Add what it takes."""
    parser.description = "Say what is not well with a gateway, or would make a deploy fail."
    parser.add_argument("--preflight", action="store_true", help="look at the AWS account that is deployed into")
    parser.add_argument("--stack", default="jatevo", help="the stack's name (default jatevo)")
    parser.add_argument("--region", help="the region (default: the one that AWS's own settings name)")
    parser.add_argument(
        "--keep-free",
        type=int,
        default=0,
        metavar="N",
        help="ReservedConcurrency, ProvisionedConcurrency and DedicatedLaneConcurrency together (default 0)",
    )
    parser.add_argument("--secret-store", choices=["ssm", "secret"], default="ssm", help="SecretStore (default ssm)")


def run(options: argparse.Namespace, client: Client | None = None) -> int:
    """Print what was found and return the exit status."""
    if not options.preflight:
        return _examine()
    plan = Plan(options.stack, options.keep_free, options.secret_store)
    try:
        session: Any = boto3.session.Session(region_name=options.region)
        found = findings(client or session.client, plan)
    except (BotoCoreError, ClientError) as error:
        print(f"jatevo: AWS cannot be asked: {error}", file=sys.stderr)
        return 3
    for finding in found:
        print(f"{'todo' if finding.blocks else 'ok  '}  {finding.text}")
    return 1 if any(finding.blocks for finding in found) else 0


def _examine() -> int:
    """Look at the gateway that runs."""
    try:
        target = target_from()
        skew = _skew(target.url)
        api = Api(target)
        try:
            checks = api.get("checks")["checks"]
        finally:
            api.close()
    except CommandError as error:
        print("\n".join((f"jatevo: {error.lines[0]}", *error.lines[1:])), file=sys.stderr)
        return error.status
    print(f"ok    gateway: {target.url} answers, the admin token is good")
    for check in [skew, *checks]:
        print(f"{check['standing'].ljust(4)}  {check['name']}: {check['found']}")
        if check["remedy"]:
            print(f"      → {check['remedy']}")
    return 1 if any(check["standing"] == "fail" for check in [skew, *checks]) else 0


def _skew(url: str) -> dict[str, str]:
    """Compare this machine's clock with the gateway's. Raises CommandError when nobody answers."""
    try:
        answer = httpx.get(f"{url}/health", timeout=10.0)
        away_s = abs(time.time() - parsedate_to_datetime(answer.headers["date"]).timestamp())
    except httpx.HTTPError as error:
        raise CommandError(UNREACHABLE, f"{url} does not answer: {type(error).__name__}") from error
    except (KeyError, ValueError):
        return {"name": "clock", "standing": "warn", "found": "the gateway does not say what time it is", "remedy": ""}
    well = away_s <= _MOST_SKEW_S
    return {
        "name": "clock",
        "standing": "ok" if well else "fail",
        "found": f"this machine's and the gateway's are {away_s:.0f} seconds apart",
        "remedy": "" if well else "Set the clocks by a time server: AWS refuses requests of clocks that are wrong.",
    }
