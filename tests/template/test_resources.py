"""Tables, functions, schedules and logs as CloudFormation will make them."""

import json
from dataclasses import fields
from typing import Any

import pytest

from jatevo.adapters.dynamodb.schema import TableNames, definitions
from jatevo.adapters.prices.configuration import sources_from
from jatevo.bootstrap import Settings, settings_from
from jatevo.domain.price_rules import PriceRules
from jatevo_local import built

DEFINITIONS = {table["TableName"]: table for table in definitions(TableNames.with_prefix("jatevo"))}
WITH_TTL = {
    "jatevo-windows",
    "jatevo-ledger",
    "jatevo-sessions",
    "jatevo-wallets",
    "jatevo-responses",
    "jatevo-prices",
    "jatevo-holdings",
    "jatevo-health",
}
NOT_BACKED_UP = {"jatevo-responses"}
"""What clients delete is to be gone."""


@pytest.fixture(scope="session")
def tables(resources: dict[str, Any]) -> dict[str, dict[str, Any]]:
    found = of_type(resources, "AWS::DynamoDB::Table").values()
    return {
        table["Properties"]["TableName"]["Fn::Sub"].replace("${AWS::StackName}", "jatevo"): table for table in found
    }


def of_type(resources: dict[str, Any], kind: str) -> dict[str, dict[str, Any]]:
    return {name: resource for name, resource in resources.items() if resource["Type"] == kind}


def test_the_tables_are_those_that_the_code_expects(tables: dict[str, dict[str, Any]]) -> None:
    assert set(tables) == set(DEFINITIONS)
    for name, table in tables.items():
        properties = {key: table["Properties"][key] for key in DEFINITIONS[name] if key != "TableName"}
        assert properties == {key: value for key, value in DEFINITIONS[name].items() if key != "TableName"}


def test_a_table_survives_its_stack_unless_its_creation_failed(tables: dict[str, dict[str, Any]]) -> None:
    for table in tables.values():
        assert table["DeletionPolicy"] == "RetainExceptOnCreate"
        assert table["UpdateReplacePolicy"] == "Retain"
        assert table["Properties"]["DeletionProtectionEnabled"] == {"Fn::If": ["IsProtected", True, False]}


def test_tables_can_be_restored_to_any_moment_and_are_encrypted(tables: dict[str, dict[str, Any]]) -> None:
    for name, table in tables.items():
        backed_up = {"PointInTimeRecoveryEnabled": name not in NOT_BACKED_UP}
        assert table["Properties"]["PointInTimeRecoverySpecification"] == backed_up
        assert table["Properties"]["SSESpecification"] == {"SSEEnabled": {"Fn::If": ["HasManagedKey", True, False]}}


def test_only_what_has_a_ttl_expires(tables: dict[str, dict[str, Any]]) -> None:
    for name, table in tables.items():
        expected = {"AttributeName": "ttl", "Enabled": True} if name in WITH_TTL else None
        assert table["Properties"].get("TimeToLiveSpecification") == expected


def test_every_setting_of_a_function_is_one_that_the_code_reads() -> None:
    known = {f"JATEVO_{field.name.upper()}" for field in fields(Settings)}
    for function in built.functions().values():
        ours = {name for name in function.environment if name.startswith("JATEVO_")}
        assert ours <= known
        assert set(function.environment) - ours <= {"AWS_LAMBDA_EXEC_WRAPPER"}
        settings_from(function.environment)


def test_the_defaults_of_the_template_are_those_of_the_code() -> None:
    deployed = settings_from(built.functions()["InferenceFunction"].environment)
    differing = {field.name for field in fields(Settings) if getattr(deployed, field.name) != field.default}
    assert differing == {"cors_origin", "public_url", "metrics"}


def test_a_dedicated_lane_has_an_address_and_places_of_its_own_and_is_off_by_default(template: dict[str, Any]) -> None:
    resources, parameters = template["Resources"], template["Parameters"]
    assert (parameters["DedicatedLane"]["Default"], parameters["DedicatedLaneConcurrency"]["Default"]) == ("", 0)
    function = resources["DedicatedLaneFunction"]
    assert function["Condition"] == resources["DedicatedLaneApi"]["Condition"] == "HasDedicatedLane"
    variables = function["Properties"]["Environment"]["Variables"]
    twin = resources["InferenceFunction"]["Properties"]["Environment"]["Variables"]
    shared = {
        name: value for name, value in twin.items() if not name.startswith(("JATEVO_PLAYGROUND", "JATEVO_PUBLIC_URL"))
    }
    assert variables == {**shared, "JATEVO_ONLY_LANE": {"Ref": "DedicatedLane"}}, "it has no playground"
    paths = resources["DedicatedLaneApi"]["Properties"]["Body"]["paths"]
    for_everybody = resources["Api"]["Properties"]["Body"]["paths"]
    streamed = {path for path, methods in for_everybody.items() if "response-streaming" in json.dumps(methods)}
    assert set(paths) == streamed - {"/playground/v1/chat/completions"}
    for path in paths:
        method = paths[path]["Fn::If"][1]["x-amazon-apigateway-any-method"]["Fn::If"][1]
        assert method["x-amazon-apigateway-integration"]["responseTransferMode"] == "STREAM"


def test_secrets_are_in_no_environment_but_as_references() -> None:
    functions = built.functions()
    assert functions["AdminFunction"].environment["JATEVO_OPERATOR_TOKEN"] == "ssm:/jatevo/operator-token"
    assert not any("JATEVO_OPERATOR_TOKEN" in f.environment for n, f in functions.items() if n != "AdminFunction")


def test_a_request_settles_before_lambda_kills_its_function(template: dict[str, Any]) -> None:
    parameters = template["Parameters"]
    longest = parameters["UpstreamDeadlineSeconds"]["MaxValue"] + parameters["ReservationGraceSeconds"]["MaxValue"]
    assert longest < built.functions()["InferenceFunction"].timeout_s == 900


def test_nothing_that_a_new_account_refuses_is_on_by_default(template: dict[str, Any]) -> None:
    defaults = {name: parameter["Default"] for name, parameter in template["Parameters"].items()}
    assert (defaults["ReservedConcurrency"], defaults["ProvisionedConcurrency"]) == (0, 0)
    assert (defaults["SnapStart"], defaults["DeletionProtection"]) == ("off", "off")


def test_functions_run_on_the_chosen_processor_with_logs_that_end(resources: dict[str, Any]) -> None:
    groups = of_type(resources, "AWS::Logs::LogGroup")
    for group in groups.values():
        assert group["Properties"]["RetentionInDays"] == {"Ref": "LogRetentionDays"}
    for function in of_type(resources, "AWS::Lambda::Function").values():
        properties = function["Properties"]
        assert properties["Runtime"] == "python3.13"
        assert properties["Architectures"] == [{"Ref": "Architecture"}]
        assert properties["LoggingConfig"]["LogGroup"]["Ref"] in groups


def test_the_streamed_function_starts_through_the_wrapper_that_its_layer_holds() -> None:
    function = built.functions()["InferenceFunction"]
    assert function.environment["AWS_LAMBDA_EXEC_WRAPPER"] == "/opt/response-stream"
    wrapper = built.BUILD / "ResponseStreamLayer" / "response-stream"
    assert wrapper.stat().st_mode & 0o777 == 0o755


def test_the_oracle_runs_every_five_minutes_and_what_fails_is_kept(resources: dict[str, Any]) -> None:
    schedule = resources["PriceOracleFunctionEveryFiveMinutes"]["Properties"]
    assert schedule["ScheduleExpression"] == "rate(5 minutes)"
    assert schedule["Name"] == {"Fn::Sub": "${AWS::StackName}-price-oracle"}
    letters = {"Fn::GetAtt": ["PriceOracleDeadLetters", "Arn"]}
    assert schedule["Target"]["DeadLetterConfig"]["Arn"] == letters
    invoked = resources["PriceOracleFunctionEventInvokeConfig"]["Properties"]
    assert invoked["DestinationConfig"]["OnFailure"]["Destination"] == letters
    late = (schedule["Target"]["RetryPolicy"], invoked)
    assert all(one["MaximumEventAgeInSeconds"] < 300 for one in late), "a run comes before the next one is due"


def test_the_oracles_default_sources_are_those_of_the_token_by_its_address() -> None:
    text = built.functions()["PriceOracleFunction"].environment["JATEVO_PRICE_SOURCES"]
    sources = sources_from(text, lambda _reference: None)
    assert len(sources) == 3 >= PriceRules().quorum
    assert text.count("9VY2rDbtsBmTsBxoRF8hWSEUKGqnoQoe9V6W3JnjNgfm") == 3
    assert len(text) < 4096


def test_the_sweeper_runs_every_minute_and_what_fails_is_kept(resources: dict[str, Any]) -> None:
    schedule = resources["ReservationSweeperFunctionEveryMinute"]["Properties"]
    assert schedule["ScheduleExpression"] == "rate(1 minute)"
    assert schedule["Name"] == {"Fn::Sub": "${AWS::StackName}-sweep"}
    assert schedule["Target"]["RetryPolicy"]["MaximumRetryAttempts"] == 2
    letters = {"Fn::GetAtt": ["SweeperDeadLetters", "Arn"]}
    assert schedule["Target"]["DeadLetterConfig"]["Arn"] == letters
    invoked = resources["ReservationSweeperFunctionEventInvokeConfig"]["Properties"]
    assert invoked["DestinationConfig"]["OnFailure"]["Destination"] == letters


def test_the_books_are_audited_every_hour_until_a_day_is_done_and_what_fails_is_kept(resources: dict[str, Any]) -> None:
    schedule = resources["ReconciliationFunctionEveryHour"]["Properties"]
    assert schedule["ScheduleExpression"] == "rate(1 hour)"
    assert schedule["Name"] == {"Fn::Sub": "${AWS::StackName}-reconciliation"}
    letters = {"Fn::GetAtt": ["ReconciliationDeadLetters", "Arn"]}
    assert schedule["Target"]["DeadLetterConfig"]["Arn"] == letters
    invoked = resources["ReconciliationFunctionEventInvokeConfig"]["Properties"]
    assert invoked["DestinationConfig"]["OnFailure"]["Destination"] == letters
    assert resources["ReconciliationFunction"]["Properties"]["Timeout"] == 900


def test_the_bucket_of_responses_is_private_encrypted_and_ends_what_is_in_it(resources: dict[str, Any]) -> None:
    bucket = resources["ResponsesBucket"]
    assert (bucket["Condition"], bucket["DeletionPolicy"]) == ("HasResponsesBucket", "RetainExceptOnCreate")
    properties = bucket["Properties"]
    assert all(properties["PublicAccessBlockConfiguration"].values())
    [encrypted] = properties["BucketEncryption"]["ServerSideEncryptionConfiguration"]
    assert encrypted["ServerSideEncryptionByDefault"] == {"SSEAlgorithm": "AES256"}
    [rule] = properties["LifecycleConfiguration"]["Rules"]
    assert (rule["Status"], rule["ExpirationInDays"]) == ("Enabled", 30)
    assert "VersioningConfiguration" not in properties, "what is deleted is to be gone"
    [secure] = resources["ResponsesBucketPolicy"]["Properties"]["PolicyDocument"]["Statement"]
    assert (secure["Effect"], secure["Condition"]) == ("Deny", {"Bool": {"aws:SecureTransport": False}})


def test_only_those_who_keep_or_show_responses_reach_their_bucket(resources: dict[str, Any]) -> None:
    reached = {}
    for policy in of_type(resources, "AWS::IAM::Policy").values():
        assert policy["Condition"] == "HasResponsesBucket"
        [statement] = policy["Properties"]["PolicyDocument"]["Statement"]
        assert statement["Resource"] == {"Fn::Sub": "${ResponsesBucket.Arn}/*"}
        [role] = policy["Properties"]["Roles"]
        reached[role["Ref"]] = statement["Action"]
    assert reached == {
        "InferenceRole": ["s3:GetObject", "s3:PutObject"],
        "AccountRole": ["s3:DeleteObject", "s3:GetObject"],
        "AdminRole": "s3:DeleteObject",
    }


def test_people_sign_in_at_the_address_that_the_stack_has(resources: dict[str, Any]) -> None:
    """Kept in a parameter: a function that had it in its environment would need its own API to be made before it."""
    kept = resources["PublicUrl"]["Properties"]
    assert kept["Name"] == {"Fn::Sub": "/${AWS::StackName}/public-url"}
    assert [condition["Fn::Sub"] for condition in kept["Value"]["Fn::If"][1:]] == [
        "https://${DomainName}",
        "https://${Api}.execute-api.${AWS::Region}.${AWS::URLSuffix}/${Stage}",
    ]
    for name in ("AccountFunction", "InferenceFunction"):
        assert built.functions()[name].environment["JATEVO_PUBLIC_URL"] == "ssm:/jatevo/public-url"


def test_every_schedule_retries_and_what_fails_is_kept_for_two_weeks(resources: dict[str, Any]) -> None:
    schedules = of_type(resources, "AWS::Scheduler::Schedule")
    assert len(schedules) >= 5
    for name, schedule in schedules.items():
        target = schedule["Properties"]["Target"]
        assert target["RetryPolicy"]["MaximumRetryAttempts"] > 0, name
        function, queue = target["Arn"]["Fn::GetAtt"][0], target["DeadLetterConfig"]["Arn"]["Fn::GetAtt"][0]
        assert schedule["Properties"]["Name"]["Fn::Sub"].startswith("${AWS::StackName}-"), "names are the account's"
        invoked = resources[f"{function}EventInvokeConfig"]["Properties"]
        assert invoked["DestinationConfig"]["OnFailure"]["Destination"] == {"Fn::GetAtt": [queue, "Arn"]}
        kept = resources[queue]["Properties"]
        assert (kept["MessageRetentionPeriod"], kept["SqsManagedSseEnabled"]) == (14 * 86_400, True)


def test_snapshots_and_concurrency_are_off_unless_chosen_and_never_both(template: dict[str, Any]) -> None:
    resources = template["Resources"]
    function, alias = (
        resources["InferenceFunction"]["Properties"],
        resources["InferenceFunctionAliaslive"]["Properties"],
    )
    assert function["SnapStart"] == {"ApplyOn": {"Fn::If": ["HasSnapStart", "PublishedVersions", "None"]}}
    nothing = {"Ref": "AWS::NoValue"}
    reserved = ["HasReservedConcurrency", {"Ref": "ReservedConcurrency"}, nothing]
    assert function["ReservedConcurrentExecutions"] == {"Fn::If": reserved}
    warm = {"ProvisionedConcurrentExecutions": {"Ref": "ProvisionedConcurrency"}}
    assert alias["ProvisionedConcurrencyConfig"] == {"Fn::If": ["HasProvisionedConcurrency", warm, nothing]}
    rule = template["Rules"]["WarmOneWay"]
    assert rule["RuleCondition"] == {"Fn::Equals": [{"Ref": "SnapStart"}, "on"]}
    assert rule["Assertions"][0]["Assert"] == {"Fn::Equals": [{"Ref": "ProvisionedConcurrency"}, 0]}
