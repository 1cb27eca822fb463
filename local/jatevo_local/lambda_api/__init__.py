"""
AWS Lambda and an API Gateway REST API on this machine, without containers: functions run as real processes.

    spec = FunctionSpec(name="inference", handler="pkg.handler.create_app", code=Path("…"), layers=(Path("…"),))
    async with LambdaFunction(spec, logs) as function, RestApi([Route("POST", "/x", function, streamed=True)]) as api:
        …  # any HTTP client, at api.url

`function` starts and keeps environments, `runtime_api` speaks to their processes, `gateway` speaks to clients. Meant to
be at least as hostile as AWS; where AWS's behaviour is not documented, the comment at the place says so.
"""

from jatevo_local.lambda_api.function import LambdaFunction
from jatevo_local.lambda_api.gateway import RestApi
from jatevo_local.lambda_api.rest_event import Api
from jatevo_local.lambda_api.routes import Route
from jatevo_local.lambda_api.spec import FunctionSpec

__all__ = ["Api", "FunctionSpec", "LambdaFunction", "RestApi", "Route"]
