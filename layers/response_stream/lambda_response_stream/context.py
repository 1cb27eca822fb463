"""The context object of an invocation, with the attributes that Lambda's own has."""

import os
import time

from lambda_response_stream.runtime_api import Invocation


class LambdaContext:
    """In the scope as `aws.context`. There is no `identity` and no `client_context`: no HTTP event carries them."""

    def __init__(self, invocation: Invocation) -> None:
        self.aws_request_id = invocation.id
        self.invoked_function_arn = invocation.function_arn
        self.tenant_id = invocation.tenant_id or None
        self.deadline_ms = invocation.deadline_ms
        self.function_name = os.environ.get("AWS_LAMBDA_FUNCTION_NAME")
        self.function_version = os.environ.get("AWS_LAMBDA_FUNCTION_VERSION")
        self.memory_limit_in_mb = os.environ.get("AWS_LAMBDA_FUNCTION_MEMORY_SIZE")
        self.log_group_name = os.environ.get("AWS_LAMBDA_LOG_GROUP_NAME")
        self.log_stream_name = os.environ.get("AWS_LAMBDA_LOG_STREAM_NAME")

    def get_remaining_time_in_millis(self) -> int:
        """How long until Lambda kills the function, never below zero."""
        return max(0, self.deadline_ms - time.time_ns() // 1_000_000)
