"""Classic handlers: an event in, proxy JSON out."""

import base64
import json
import time
from typing import Any


def handler(event: dict[str, Any], context: object) -> object:
    name = event["path"].strip("/")
    if name == "raise":
        raise ValueError("no")
    if name == "nonsense":
        return ["not", "an", "answer"]
    if name == "binary":
        return {"statusCode": 200, "body": base64.b64encode(b"\x00\xff").decode(), "isBase64Encoded": True}
    if name == "sleep":
        time.sleep(1)
    return {"statusCode": 200, "headers": {"content-type": "application/json"}, "body": json.dumps(event)}
