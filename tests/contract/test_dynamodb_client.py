"""
The DynamoDB client of the request path: what it sends is what botocore would send, an attempt is made once, and an
error says what is known.
"""

import asyncio
import datetime as dt
import json
import zlib
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager, closing
from email.utils import formatdate
from typing import Any
from unittest import mock

import botocore.session
import pytest
from botocore.auth import SigV4Auth
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials as BotocoreCredentials
from botocore.credentials import ReadOnlyCredentials, RefreshableCredentials
from botocore.regions import EndpointResolver
from hypothesis import given
from hypothesis import strategies as st
from jatevo_testing.raw_server import RawServer, Says, answer, raw_server, saying
from jatevo_testing.tables import fresh_tables, plain_client

from jatevo.adapters.dynamodb import client as client_module
from jatevo.adapters.dynamodb.client import ClientOptions, ConditionRefused, DynamoClient, TransactionRefused
from jatevo.adapters.dynamodb.credentials import Credentials
from jatevo.adapters.dynamodb.endpoints import endpoint_of
from jatevo.adapters.dynamodb.signing import Keys, Signer
from jatevo.application.ports import OutcomeUnknown, StoreUnavailable
from jatevo_local.engine import AWS_ENVIRONMENT, REGION

KEYS = Keys("AKIDEXAMPLE", "wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY")
ITEM: dict[str, Any] = {
    "owner": {"S": "acct_ü"},
    "period": {"S": "2026-11-28"},
    "open": {"M": {"B": {"B": b"\x00\xff"}, "none": {"B": b""}, "list": {"L": [{"B": b"x"}, {"BS": [b"y"]}]}}},
    "B": {"S": "an attribute of that name"},
    "n": {"N": "-9007199254740993"},
    "flag": {"BOOL": True},
}


# Signatures.


def signed_by_botocore(keys: Keys, host: str, region: str, target: str, body: bytes, now_s: int) -> dict[str, str]:
    request = AWSRequest(
        "POST",
        f"https://{host}/",
        headers={"X-Amz-Target": target, "Content-Type": "application/x-amz-json-1.0"},
        data=body,
    )
    with mock.patch("botocore.auth.get_current_datetime", return_value=_moment(now_s)):
        SigV4Auth(BotocoreCredentials(*_parts(keys)), "dynamodb", region).add_auth(request)
    return {name.lower(): value for name, value in request.headers.items()}


def _moment(now_s: int) -> Any:
    return dt.datetime.fromtimestamp(now_s, dt.UTC).replace(tzinfo=None)


def _parts(keys: Keys) -> tuple[str, str, str | None]:
    return keys.access_key_id, keys.secret_access_key, keys.token


@given(
    token=st.none() | st.text("abcXYZ019+/=", min_size=1),
    region=st.sampled_from(["us-east-1", "eu-central-1"]),
    host=st.sampled_from(["dynamodb.us-east-1.amazonaws.com", "127.0.0.1:8000"]),
    body=st.binary(),
    now_s=st.integers(10**9, 4 * 10**9),
)
def test_a_request_is_signed_as_botocore_signs_it(
    token: str | None, region: str, host: str, body: bytes, now_s: int
) -> None:
    keys = Keys(KEYS.access_key_id, KEYS.secret_access_key, token)
    signer = Signer(host, region)
    for at_s in (now_s, now_s + 86_400):  # the day's key is kept, and made anew
        ours = signer.headers(keys, "DynamoDB_20120810.PutItem", body, at_s + 0.9)
        theirs = signed_by_botocore(keys, host, region, "DynamoDB_20120810.PutItem", body, at_s)
        assert ours["authorization"] == theirs["authorization"]
        assert ours["x-amz-date"] == theirs["x-amz-date"]
        assert ours.get("x-amz-security-token") == theirs.get("x-amz-security-token") == token


def test_every_region_is_found_where_botocore_finds_it() -> None:
    session = botocore.session.get_session()
    resolver = EndpointResolver(session.get_data("endpoints"))
    found = {
        region: (resolver.construct_endpoint("dynamodb", region) or {})["hostname"]
        for partition in session.get_available_partitions()
        for region in session.get_available_regions("dynamodb", partition)
    }
    assert len(found) > 30
    assert {region: endpoint_of(region) for region in found} == {
        region: f"https://{host}" for region, host in found.items()
    }


# Real engines. ExtendDB verifies every signature.


@pytest.fixture(params=["dynoxide", "extenddb"])
def endpoint(request: pytest.FixtureRequest) -> str:
    url: str = request.getfixturevalue(request.param)
    return url


def of_environment(endpoint_url: str) -> DynamoClient:
    return DynamoClient(ClientOptions(REGION, endpoint_url), credentials=Credentials(AWS_ENVIRONMENT))


async def test_values_come_back_as_botocore_brings_them(endpoint: str) -> None:
    client = of_environment(endpoint)
    with fresh_tables(endpoint) as names, closing(plain_client(endpoint)) as plain:
        await client.once("put_item", TableName=names.windows, Item=ITEM)
        key = {name: ITEM[name] for name in ("owner", "period")}
        ours = await client.retried("get_item", TableName=names.windows, Key=key)
        theirs = plain.get_item(TableName=names.windows, Key=key)
        assert ours["Item"] == theirs["Item"] == ITEM
        with pytest.raises(ConditionRefused) as refused:
            await client.once(
                "put_item",
                TableName=names.windows,
                Item=ITEM,
                ConditionExpression="attribute_not_exists(#o)",
                ExpressionAttributeNames={"#o": "owner"},
                ReturnValuesOnConditionCheckFailure="ALL_OLD",
            )
        assert refused.value.item == ITEM
    client.close()


async def test_a_wrong_secret_is_refused(extenddb: str) -> None:
    wrong = Credentials({**AWS_ENVIRONMENT, "AWS_SECRET_ACCESS_KEY": "another"})
    client = DynamoClient(ClientOptions(REGION, extenddb), credentials=wrong)
    with pytest.raises(StoreUnavailable):
        await client.once("list_tables")
    client.close()


async def test_a_transaction_says_which_part_refused(endpoint: str) -> None:
    client = of_environment(endpoint)
    with fresh_tables(endpoint) as names:
        put = {"Put": {"TableName": names.windows, "Item": ITEM}}
        absent = {
            "ConditionCheck": {
                "TableName": names.accounts,
                "Key": {"account_id": {"S": "nobody"}},
                "ConditionExpression": "attribute_exists(#id)",
                "ExpressionAttributeNames": {"#id": "account_id"},
            }
        }
        with pytest.raises(TransactionRefused) as refused:
            await client.retried("transact_write_items", TransactItems=[put, absent])
        assert refused.value.reasons == ["None", "ConditionalCheckFailed"]
    client.close()


# An engine that says what it is told to.


def refusing(code: str, status: int = 400, *headers: str, **more: Any) -> bytes:
    body = json.dumps({"__type": f"com.amazonaws.dynamodb.v20120810#{code}", **more}).encode()
    return answer(body, status, *headers)


FINE = answer(b'{"Item":{}}')


@asynccontextmanager
async def told(says: Says, **options: Any) -> AsyncIterator[tuple[DynamoClient, RawServer]]:
    async with raw_server(says) as server:
        options = {"read_timeout_s": 0.1, **options}
        at = ClientOptions(REGION, f"http://127.0.0.1:{server.port}", **options)
        client = DynamoClient(at, credentials=Credentials(AWS_ENVIRONMENT))
        with mock.patch.object(client_module, "_FIRST_PAUSE_S", 0.001):
            yield client, server
        client.close()


async def hangs_up(server: RawServer, reader: asyncio.StreamReader, _: asyncio.StreamWriter) -> None:
    await server.take(reader)


async def silent(server: RawServer, reader: asyncio.StreamReader, _: asyncio.StreamWriter) -> None:
    await server.take(reader)
    await asyncio.Event().wait()


UNKNOWN: dict[str, Says] = {
    "hangs up": hangs_up,
    "stays silent": silent,
    "fails": saying(refusing("InternalServerError", 500)),
    "is a proxy's page": saying(answer(b"<html>", 503)),
    "is broken off": saying(FINE[:-1]),
    "is no JSON": saying(answer(b"[1")),
    "is another's JSON": saying(answer(b"[]")),
    "has another checksum": saying(answer(b"{}", 200, "x-amz-crc32: 1")),
}


@pytest.mark.parametrize("name", UNKNOWN)
async def test_an_attempt_without_a_good_answer_is_made_once_and_unknown(name: str) -> None:
    async with told(UNKNOWN[name]) as (client, server):
        with pytest.raises(OutcomeUnknown):
            await client.once("update_item", TableName="t")
        assert len(server.asked) == 1


@pytest.mark.parametrize("name", UNKNOWN)
async def test_what_is_harmless_to_repeat_is_sent_four_times_at_most(name: str) -> None:
    async with told(UNKNOWN[name]) as (client, server):
        with pytest.raises(OutcomeUnknown):
            await client.retried("get_item", TableName="t")
        assert len(server.asked) == 4
        assert len({one.partition(b"\r\n\r\n")[2] for one in server.asked}) == 1


NOT_APPLIED = [
    "ThrottlingException",
    "ProvisionedThroughputExceededException",
    "RequestLimitExceeded",
    "TransactionConflictException",
    "ResourceNotFoundException",
    "AccessDeniedException",
    "ValidationException",
]


@pytest.mark.parametrize("code", NOT_APPLIED)
async def test_an_attempt_that_was_refused_is_made_once_and_known(code: str) -> None:
    async with told(saying(refusing(code))) as (client, server):
        with pytest.raises(StoreUnavailable, match=f"^DynamoDB refused: {code}$"):
            await client.once("update_item", TableName="t")
        assert len(server.asked) == 1


async def test_a_throttle_that_passes_is_waited_out() -> None:
    throttle = refusing("ThrottlingException")
    async with told(saying(throttle, refusing("InternalServerError", 500), FINE)) as (client, server):
        assert await client.retried("get_item", TableName="t") == {"Item": {}}
        assert len(server.asked) == 3


@pytest.mark.parametrize(
    "code", ["ConditionalCheckFailedException", "AccessDeniedException", "TransactionConflictException"]
)
async def test_what_another_try_would_not_change_is_not_tried_again(code: str) -> None:
    async with told(saying(refusing(code))) as (client, server):
        with pytest.raises((ConditionRefused, StoreUnavailable)):
            await client.retried("put_item", TableName="t")
        assert len(server.asked) == 1


async def test_a_refused_condition_without_an_item_has_none() -> None:
    async with told(saying(refusing("ConditionalCheckFailedException"))) as (client, _):
        with pytest.raises(ConditionRefused) as refused:
            await client.once("put_item", TableName="t")
        assert refused.value.item is None


async def test_nothing_listens_is_known() -> None:
    client = DynamoClient(ClientOptions(REGION, "http://127.0.0.1:9"), credentials=Credentials(AWS_ENVIRONMENT))
    with pytest.raises(StoreUnavailable, match=r"^DynamoDB cannot be reached$"):
        await client.once("update_item", TableName="t")


async def test_a_repeated_transaction_has_one_token_and_another_one_another() -> None:
    async with told(saying(refusing("ThrottlingException"), FINE)) as (client, server):
        await client.retried("transact_write_items", TransactItems=[])
        await client.retried("transact_write_items", TransactItems=[])
    first, again, other = (json.loads(one.partition(b"\r\n\r\n")[2])["ClientRequestToken"] for one in server.asked)
    assert first == again != other
    assert len(first) == 32


async def test_a_checksum_that_fits_is_fine() -> None:
    body = b'{"Item":{}}'
    async with told(saying(answer(body, 200, f"x-amz-crc32: {zlib.crc32(body)}"))) as (client, _):
        assert await client.once("get_item", TableName="t") == {"Item": {}}


async def test_an_attempt_on_a_connection_that_closes_at_that_moment_is_unknown_and_not_repeated() -> None:
    async def once_each(server: RawServer, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await server.take(reader)
        writer.write(FINE)
        await server.take(reader)

    async with told(once_each) as (client, server):
        await client.once("get_item", TableName="t")
        with pytest.raises(OutcomeUnknown):
            await client.once("update_item", TableName="t")
        assert len(server.asked) == 2


# A clock that is off.


def stamped(request: bytes) -> str:
    return request.lower().partition(b"x-amz-date: ")[2][:16].decode().upper()


async def test_a_refused_clock_is_set_by_dynamodbs_once() -> None:
    late = refusing("InvalidSignatureException", 400, f"date: {formatdate(2_000_000_000, usegmt=True)}")
    async with told(saying(late, FINE)) as (client, server):
        with pytest.raises(StoreUnavailable, match="InvalidSignatureException"):
            await client.once("update_item", TableName="t")
        assert len(server.asked) == 1, "an attempt is made once, whatever was wrong with it"
        await client.once("update_item", TableName="t")
        assert stamped(server.asked[1]).startswith("20330518T0333")


async def test_what_may_be_repeated_is_with_the_clock_that_was_set() -> None:
    late = refusing("InvalidSignatureException", 400, f"date: {formatdate(2_000_000_000, usegmt=True)}")
    async with told(saying(late, FINE)) as (client, server):
        assert await client.retried("get_item", TableName="t") == {"Item": {}}
        assert stamped(server.asked[1]).startswith("20330518T0333")


@pytest.mark.parametrize("date", ["now", "yesterday", None])
async def test_a_wrong_key_is_not_mistaken_for_a_clock(date: str | None) -> None:
    headers = [] if date is None else [f"date: {formatdate(usegmt=True) if date == 'now' else date}"]
    async with told(saying(refusing("InvalidSignatureException", 400, *headers))) as (client, server):
        with pytest.raises(StoreUnavailable):
            await client.retried("get_item", TableName="t")
        assert len(server.asked) == 1


# Credentials.


class Session:
    """botocore's session, with credentials of ours."""

    def __init__(self, found: Any) -> None:
        self.found = found

    def get_credentials(self) -> Any:
        return self.found


@pytest.fixture
def chain(monkeypatch: pytest.MonkeyPatch) -> Callable[[Any], None]:
    def find(found: Any) -> None:
        monkeypatch.setattr(botocore.session, "get_session", lambda: Session(found))

    return find


async def test_those_of_the_environment_ask_botocore_nothing(chain: Callable[[Any], None]) -> None:
    chain(None)
    found: Mapping[str, str] = {"AWS_ACCESS_KEY_ID": "a", "AWS_SECRET_ACCESS_KEY": "b", "AWS_SESSION_TOKEN": "c"}
    assert await Credentials(found).keys() == Keys("a", "b", "c")


async def test_others_are_those_that_botocore_finds(chain: Callable[[Any], None]) -> None:
    chain(BotocoreCredentials("a", "b", "c"))
    credentials = Credentials({"AWS_ACCESS_KEY_ID": "half"})
    assert await credentials.keys() == Keys("a", "b", "c")
    assert await credentials.keys() is await credentials.keys()


async def test_those_that_expire_are_renewed(chain: Callable[[Any], None]) -> None:
    class Expiring(RefreshableCredentials):
        left = 1

        def __init__(self) -> None:
            self.number = 0

        def refresh_needed(self, refresh_in: Any = None) -> bool:
            return self.number >= self.left

        def get_frozen_credentials(self) -> ReadOnlyCredentials:
            self.number += 1
            self.left = 2
            return ReadOnlyCredentials(f"key{self.number}", "b", None)

    chain(Expiring())
    credentials = Credentials({})
    assert [(await credentials.keys()).access_key_id for _ in range(3)] == ["key1", "key1", "key1"]
    credentials._chain.left = 1
    assert (await credentials.keys()).access_key_id == "key2"


async def test_none_anywhere_is_said(chain: Callable[[Any], None]) -> None:
    chain(None)
    client = DynamoClient(ClientOptions(REGION, "http://127.0.0.1:9"), credentials=Credentials({}))
    with pytest.raises(StoreUnavailable, match=r"^there are no AWS credentials for DynamoDB$"):
        await client.once("update_item", TableName="t")
