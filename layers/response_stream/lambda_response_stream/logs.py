"""
The root logger as the managed runtime sets it up: text or JSON lines on standard output, with the request's id.

`AWS_LAMBDA_LOG_FORMAT` and `AWS_LAMBDA_LOG_LEVEL` are obeyed. A text record stays one record: its line breaks become
carriage returns, which CloudWatch shows as lines.
"""

import json
import logging
import os
import sys
import time

_LEVELS = {"TRACE": "DEBUG", "FATAL": "CRITICAL"}


class _Text(logging.Formatter):
    def format(self, record: logging.LogRecord) -> str:
        return super().format(record).rstrip("\n").replace("\n", "\r")


class _Json(logging.Formatter):
    def format(self, record: logging.LogRecord) -> str:
        line = {
            "timestamp": self.formatTime(record, "%Y-%m-%dT%H:%M:%SZ"),
            "level": record.levelname,
            "message": record.getMessage(),
            "logger": record.name,
            "requestId": getattr(record, "aws_request_id", ""),
        }
        if record.exc_info:
            line["stackTrace"] = self.formatException(record.exc_info)
        return json.dumps({name: value for name, value in line.items() if value})


class RequestId(logging.Filter):
    """Puts the id of the request under way into every record."""

    current = ""

    def filter(self, record: logging.LogRecord) -> bool:
        record.aws_request_id = self.current
        return True


def set_up_logging() -> RequestId:
    """Return the filter, whose `current` follows the invocations."""
    json_wanted = os.environ.get("AWS_LAMBDA_LOG_FORMAT", "").upper() == "JSON"
    text = _Text("[%(levelname)s]\t%(asctime)s.%(msecs)03dZ\t%(aws_request_id)s\t%(message)s", "%Y-%m-%dT%H:%M:%S")
    handler = logging.StreamHandler(sys.stdout)
    formatter = _Json() if json_wanted else text
    formatter.converter = time.gmtime
    handler.setFormatter(formatter)
    request_id = RequestId()
    handler.addFilter(request_id)
    root = logging.getLogger()
    root.addHandler(handler)
    level = os.environ.get("AWS_LAMBDA_LOG_LEVEL", "").upper()
    level = _LEVELS.get(level, level)
    if level in logging.getLevelNamesMapping():
        root.setLevel(level)
    return request_id
