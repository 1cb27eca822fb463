"""
AWS Signature Version 4 for DynamoDB, whose requests differ in three headers and the body only.

Source: https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_sigv-create-signed-request.html. Signs the headers
that botocore signs, so that both come to the same signature, which a test holds.
"""

import hashlib
import hmac
import time
from dataclasses import dataclass

CONTENT_TYPE = "application/x-amz-json-1.0"
_SERVICE = "dynamodb"
_END = "aws4_request"
_ALGORITHM = "AWS4-HMAC-SHA256"


@dataclass(frozen=True, slots=True)
class Keys:
    """AWS credentials. `token`: of a session."""

    access_key_id: str
    secret_access_key: str
    token: str | None = None


class Signer:
    """Signs POSTs to one endpoint, whose root answers them all."""

    def __init__(self, host: str, region: str) -> None:
        self._host = host
        self._region = region
        self._second: tuple[int, str] = (0, "")
        self._key: tuple[Keys, str, bytes] | None = None

    def headers(self, keys: Keys, target: str, body: bytes, now_s: float) -> dict[str, str]:
        """Return the headers of a request that is sent at `now_s` (Unix), but for its length."""
        stamp = self._stamp(int(now_s))
        headers = {"content-type": CONTENT_TYPE, "host": self._host, "x-amz-date": stamp}
        if keys.token is not None:
            headers["x-amz-security-token"] = keys.token
        headers["x-amz-target"] = target
        signed = ";".join(headers)  # in the order of the alphabet, as they are
        canonical = "".join([f"{name}:{value}\n" for name, value in headers.items()])
        request = f"POST\n/\n\n{canonical}\n{signed}\n{hashlib.sha256(body).hexdigest()}"
        scope = f"{stamp[:8]}/{self._region}/{_SERVICE}/{_END}"
        to_sign = f"{_ALGORITHM}\n{stamp}\n{scope}\n{hashlib.sha256(request.encode()).hexdigest()}"
        signature = hmac.digest(self._signing_key(keys, stamp[:8]), to_sign.encode(), "sha256").hex()
        headers["authorization"] = (
            f"{_ALGORITHM} Credential={keys.access_key_id}/{scope}, SignedHeaders={signed}, Signature={signature}"
        )
        return headers

    def _stamp(self, second: int) -> str:
        if self._second[0] != second:
            self._second = (second, time.strftime("%Y%m%dT%H%M%SZ", time.gmtime(second)))
        return self._second[1]

    def _signing_key(self, keys: Keys, day: str) -> bytes:
        """Return the day's key; deriving it takes four digests."""
        if self._key is None or self._key[0] is not keys or self._key[1] != day:
            key = f"AWS4{keys.secret_access_key}".encode()
            for part in (day, self._region, _SERVICE, _END):
                key = hmac.digest(key, part.encode(), "sha256")
            self._key = (keys, day, key)
        return self._key[2]
