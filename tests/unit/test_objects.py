"""Objects in a bucket: kept, got, removed; what is not there is none, and what fails says so."""

from collections.abc import Iterator

import boto3
import pytest
from moto import mock_aws

from jatevo.adapters.objects import S3Objects
from jatevo.application.ports import OutcomeUnknown
from jatevo_local.engine import REGION

BUCKET = "responses"


@pytest.fixture
def objects() -> Iterator[S3Objects]:
    with mock_aws():
        boto3.client("s3", region_name=REGION).create_bucket(Bucket=BUCKET)
        yield S3Objects(BUCKET, REGION)


async def test_an_object_is_got_as_it_was_put_until_it_is_removed(objects: S3Objects) -> None:
    await objects.put("acct_a/resp_1", b"\x00\xff" * 1000)
    assert await objects.get("acct_a/resp_1") == b"\x00\xff" * 1000
    await objects.delete("acct_a/resp_1")
    assert await objects.get("acct_a/resp_1") is None


async def test_removing_what_is_not_there_is_no_error(objects: S3Objects) -> None:
    await objects.delete("acct_a/resp_1")


async def test_a_bucket_that_fails_is_a_store_that_fails() -> None:
    with mock_aws():
        objects = S3Objects("nowhere", REGION)
        with pytest.raises(OutcomeUnknown, match="the bucket failed"):
            await objects.put("a", b"")
        with pytest.raises(OutcomeUnknown):
            await objects.get("a")
