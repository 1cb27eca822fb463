"""The API as CloudFormation will make it: routes, streaming, who may call, what it answers by itself."""

import json
from typing import Any

import pytest

from jatevo.bootstrap import Gateway, Settings
from jatevo_local import built
from jatevo_local.built import BuiltRoute
from jatevo_local.gateway import STREAMED, Routes

MOCK = "mock"
ORIGIN = {"Fn::Sub": "'${CorsOrigin}'"}
FUNCTIONS = {"InferenceFunction", "AccountFunction", "AdminFunction", "SiteFunction"}
PATHS = (
    "/",
    "/health",
    "/favicon.ico",
    "/pricing/x",
    "/v1",
    "/v1/models",
    "/v1/models/lane/Model",
    "/v1/usage",
    "/v1/chat/completions",
    "/v1/chat/completions/x",
    "/playground",
    "/playground/v1/chat/completions",
    "/v1/responses",
    "/v1/responses/input_tokens",
    "/v1/responses/compact",
    "/v1/responses/resp_x",
    "/v1/responses/resp_x/input_items",
    "/v1/messages",
    "/v1/messages/count_tokens",
    "/v1/conversations",
    "/v1/nothing",
    "/backend-api/codex/responses",
    "/backend-api/codex/responses/compact",
    "/backend-api/codex/models",
    "/backend-api/codex/x",
    "/v1x",
    "/account/v1",
    "/account/v1/keys",
    "/admin/v1",
    "/admin/v1/accounts",
    "/admin/v1/accounts/acct_x/keys",
    "/admin/v2",
)


@pytest.fixture(scope="session")
def body(resources: dict[str, Any]) -> dict[str, Any]:
    found: dict[str, Any] = resources["Api"]["Properties"]["Body"]
    return found


@pytest.fixture(scope="session")
def routes() -> list[BuiltRoute]:
    return built.routes()


def deployed(routes: list[BuiltRoute], path: str) -> str | None:
    """Return the function that the API sends a path to: the most specific resource wins."""
    parts = path.strip("/").split("/")
    for route in routes:
        wanted = route.resource.strip("/").split("/")
        greedy = wanted[-1] == "{proxy+}"
        fixed = wanted[:-1] if greedy else wanted
        if parts[: len(fixed)] == fixed and (len(parts) > len(fixed) if greedy else len(parts) == len(fixed)):
            return route.function
    return None


def test_every_route_of_the_inference_function_really_streams(body: dict[str, Any], routes: list[BuiltRoute]) -> None:
    streamed = [route.resource for route in routes if route.function == "InferenceFunction"]
    assert "/v1/chat/completions" in streamed
    for path in streamed:
        integration = body["paths"][path]["x-amazon-apigateway-any-method"]["x-amazon-apigateway-integration"]
        assert integration["responseTransferMode"] == "STREAM", path
        assert integration["uri"]["Fn::Sub"].endswith("/response-streaming-invocations")
        assert integration["timeoutInMillis"] == 900_000


def test_the_streamed_routes_are_those_that_the_local_stack_streams(routes: list[BuiltRoute]) -> None:
    assert {route.resource for route in routes if route.streamed} == set(STREAMED)


@pytest.mark.parametrize("path", PATHS)
def test_a_path_reaches_the_function_that_the_local_stack_sends_it_to(routes: list[BuiltRoute], path: str) -> None:
    gateway = Gateway(Settings(dynamodb_endpoint="http://127.0.0.1:9"))
    local = Routes(gateway)
    gateway.close()
    app = local._app({"type": "http", "path": path})
    named = {id(app): "AdminFunction" if "admin" in prefix else "AccountFunction" for prefix, app in local._prefixes}
    named |= {id(local._inference): "InferenceFunction", id(local._site): "SiteFunction"}
    assert deployed(routes, path) == named[id(app)]


def test_every_resource_of_the_api_is_among_the_paths_compared(body: dict[str, Any]) -> None:
    for resource in body["paths"]:
        assert any(resource.replace("{proxy+}", "") in (path, path[: path.rfind("/") + 1]) for path in PATHS), resource


def test_every_function_with_routes_is_the_local_stacks_and_the_other_way_round(routes: list[BuiltRoute]) -> None:
    assert {route.function for route in routes} == FUNCTIONS


def test_nobody_reaches_the_admin_routes_unless_networks_are_named(body: dict[str, Any]) -> None:
    allow, deny = body["x-amazon-apigateway-policy"]["Statement"]
    assert (allow["Effect"], allow["Resource"], "Condition" in allow) == ("Allow", "execute-api:/*", False)
    assert deny["Effect"] == "Deny"
    assert deny["Principal"] == "*"
    assert deny["Action"] == "execute-api:Invoke"
    assert deny["Resource"] == ["execute-api:/*/*/admin", "execute-api:/*/*/admin/*"]
    networks = deny["Condition"]["NotIpAddress"]["aws:SourceIp"]["Fn::If"]
    assert networks[0] == "HasAdminCidrs"
    assert networks[2] == ["255.255.255.255/32"]  # an address that no client has


def test_the_parameters_default_names_no_admin_network(template: dict[str, Any]) -> None:
    assert template["Parameters"]["AdminCidrs"]["Default"] == ""
    assert template["Conditions"]["HasAdminCidrs"] == {"Fn::Not": [{"Fn::Equals": [{"Ref": "AdminCidrs"}, ""]}]}


def test_throttling_is_set_on_every_route_and_nothing_logs_bodies(resources: dict[str, Any]) -> None:
    [setting] = resources["ApiStage"]["Properties"]["MethodSettings"]
    assert (setting["ResourcePath"], setting["HttpMethod"]) == ("/*", "*")
    assert setting["ThrottlingRateLimit"] == {"Ref": "ThrottlingRate"}
    assert setting["ThrottlingBurstLimit"] == {"Ref": "ThrottlingBurst"}
    assert (setting["LoggingLevel"], setting["DataTraceEnabled"]) == ("OFF", False)


def test_access_logs_hold_nothing_that_a_client_typed(resources: dict[str, Any]) -> None:
    logged: dict[str, str] = json.loads(resources["ApiStage"]["Properties"]["AccessLogSetting"]["Format"])
    assert set(logged.values()) == {
        "$context.requestId",
        "$context.requestTime",
        "$context.identity.sourceIp",
        "$context.httpMethod",
        "$context.resourcePath",
        "$context.status",
        "$context.responseLatency",
        "$context.integration.latency",
        "$context.responseLength",
        "$context.error.responseType",
    }


def test_every_route_answers_preflight_requests_for_the_chosen_origin(body: dict[str, Any]) -> None:
    for path, methods in body["paths"].items():
        integration = methods["options"]["x-amazon-apigateway-integration"]
        headers = integration["responses"]["default"]["responseParameters"]
        assert integration["type"] == MOCK, path
        assert headers["method.response.header.Access-Control-Allow-Origin"] == ORIGIN
        # A wildcard alone would not cover it.
        assert "authorization" in headers["method.response.header.Access-Control-Allow-Headers"]
        assert "method.response.header.Access-Control-Allow-Credentials" not in headers


def test_what_api_gateway_answers_by_itself_has_our_shape_and_repeats_nothing(body: dict[str, Any]) -> None:
    responses = body["x-amazon-apigateway-gateway-responses"]
    assert {"DEFAULT_4XX", "DEFAULT_5XX", "MISSING_AUTHENTICATION_TOKEN", "ACCESS_DENIED", "THROTTLED"} <= set(
        responses
    )
    for name, response in responses.items():
        assert response["responseParameters"]["gatewayresponse.header.Access-Control-Allow-Origin"] == ORIGIN
        text = response["responseTemplates"]["application/json"]
        assert "$" not in text, name  # $context.error.message may hold the Authorization header
        assert set(json.loads(text)["error"]) == {"message", "type", "param", "code"}
    assert responses["MISSING_AUTHENTICATION_TOKEN"]["statusCode"] == "404"
    assert responses["THROTTLED"]["responseParameters"]["gatewayresponse.header.Retry-After"] == "'1'"


def test_a_dedicated_lanes_api_is_as_careful(resources: dict[str, Any]) -> None:
    common, dedicated = (resources[name]["Properties"] for name in ("ApiStage", "DedicatedLaneApiStage"))
    for setting in ("MethodSettings", "AccessLogSetting"):
        assert dedicated[setting] == common[setting], setting
    common, dedicated = (resources[name]["Properties"]["Body"] for name in ("Api", "DedicatedLaneApi"))
    for part in ("gateway-responses", "binary-media-types"):
        assert dedicated[f"x-amazon-apigateway-{part}"] == common[f"x-amazon-apigateway-{part}"], part


def test_a_changed_parameter_reaches_the_stage(resources: dict[str, Any]) -> None:
    """SAM names a deployment after the API's text, in which parameters are not resolved, unless it always deploys."""
    names = [name for name, r in resources.items() if r["Type"] == "AWS::ApiGateway::Deployment"]
    deployed = {
        resources[stage]["Properties"]["DeploymentId"]["Ref"] for stage in ("ApiStage", "DedicatedLaneApiStage")
    }
    assert deployed == set(names)
    source = json.loads((built.BUILD / "template.json").read_text())
    assert source["Resources"]["Api"]["Properties"]["AlwaysDeploy"] is True


def test_json_bodies_are_not_taken_for_binary(body: dict[str, Any]) -> None:
    assert body["x-amazon-apigateway-binary-media-types"] == ["application/octet-stream", "application/zstd"]


def test_the_stage_waits_for_the_accounts_log_role(resources: dict[str, Any]) -> None:
    logs = resources["ApiStage"]["Properties"]["AccessLogSetting"]["DestinationArn"]["Fn::GetAtt"][0]
    assert (logs, resources[logs]["DependsOn"]) == ("ApiLogs", "ApiAccount")
    assert resources["ApiAccount"]["DependsOn"] == "Api"
