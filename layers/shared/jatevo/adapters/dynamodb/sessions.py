"""
The `Challenges`, `SessionStore` and `Counts` ports on DynamoDB: one table, whose items are forgotten by themselves.

==================  =========================  =============================================================
owner               item                       holds
==================  =========================  =============================================================
nonce#<nonce>       challenge                  the text to be signed; how often it was tried; when it was used
acct_…              session#<SHA-256>          a session
rate#<name>         <period>                   how often something was done
==================  =========================  =============================================================

When an item expires is decided here, by its own attribute: DynamoDB's removal (`ttl`) comes hours later.
"""

from collections.abc import Sequence

from jatevo.adapters.dynamodb.client import ConditionRefused, DynamoClient
from jatevo.adapters.dynamodb.items import Item, get_int, get_text, number, text
from jatevo.adapters.dynamodb.paging import all_items
from jatevo.adapters.dynamodb.schema import TableNames
from jatevo.adapters.dynamodb.transactions import transact
from jatevo.application.identity import Unsigned
from jatevo.domain.sessions import Session
from jatevo.domain.sign_in import MAX_ATTEMPTS, Challenge
from jatevo.domain.wallets import wallet_from_text

_CHALLENGE = "challenge"
_SESSION = "session#"
_KEEP_S = 3600
"""How long an expired item is kept, so that it can be told from one that never was."""


class DynamoSessions:
    """Challenges, sessions and counters."""

    def __init__(self, client: DynamoClient, names: TableNames) -> None:
        self._client = client
        self._table = names.sessions
        self._wallets = names.wallets

    async def add_challenge(self, challenge: Challenge) -> None:
        item = {
            **_challenge_key(challenge.nonce),
            "wallet": text(str(challenge.wallet)),
            "message": text(challenge.message),
            "expires_at": number(challenge.expires_at_unix_s),
            "attempts": number(0),
            "ttl": number(challenge.expires_at_unix_s + _KEEP_S),
        }
        if challenge.account_id is not None:
            item["account_id"] = text(challenge.account_id)
        await self._client.retried("put_item", TableName=self._table, Item=item)

    async def attempt(self, nonce: str, now_unix_s: int) -> Challenge | Unsigned:
        try:
            answer = await self._client.once(
                "update_item",
                TableName=self._table,
                Key=_challenge_key(nonce),
                UpdateExpression="SET #attempts = #attempts + :one",
                ConditionExpression=(
                    "attribute_exists(#owner) AND attribute_not_exists(#used) AND #expires > :now AND #attempts < :most"
                ),
                ExpressionAttributeNames={
                    "#owner": "owner",
                    "#used": "used_at",
                    "#expires": "expires_at",
                    "#attempts": "attempts",
                },
                ExpressionAttributeValues={
                    ":one": number(1),
                    ":now": number(now_unix_s),
                    ":most": number(MAX_ATTEMPTS),
                },
                ReturnValues="ALL_NEW",
                ReturnValuesOnConditionCheckFailure="ALL_OLD",
            )
        except ConditionRefused as refused:
            return _why_not(refused.item, now_unix_s)
        return _challenge(nonce, answer["Attributes"])

    async def consume(self, nonce: str, now_unix_s: int) -> bool:
        try:
            await self._client.once(
                "update_item",
                TableName=self._table,
                Key=_challenge_key(nonce),
                UpdateExpression="SET #used = :now",
                ConditionExpression="attribute_exists(#owner) AND attribute_not_exists(#used) AND #expires > :now",
                ExpressionAttributeNames={"#owner": "owner", "#used": "used_at", "#expires": "expires_at"},
                ExpressionAttributeValues={":now": number(now_unix_s)},
            )
        except ConditionRefused:
            return False
        return True

    async def open(self, session: Session) -> bool:
        put = {
            "TableName": self._table,
            "Item": {
                **_session_key(session.account_id, session.digest),
                "wallet": text(str(session.wallet)),
                "created_at": number(session.created_at_unix_s),
                "expires_at": number(session.expires_at_unix_s),
                "ttl": number(session.expires_at_unix_s + _KEEP_S),
            },
        }
        still_linked = {
            "TableName": self._wallets,
            "Key": {"wallet": text(str(session.wallet))},
            "ConditionExpression": "#account = :account",
            "ExpressionAttributeNames": {"#account": "account_id"},
            "ExpressionAttributeValues": {":account": text(session.account_id)},
        }
        return await transact(self._client, {"Put": put}, {"ConditionCheck": still_linked})

    async def session(self, account_id: str, digest: str) -> Session | None:
        answer = await self._client.retried(
            "get_item", TableName=self._table, Key=_session_key(account_id, digest), ConsistentRead=True
        )
        item = answer.get("Item")
        return None if item is None else _session(item)

    async def of_account(self, account_id: str) -> Sequence[Session]:
        found = all_items(
            self._client,
            "query",
            TableName=self._table,
            KeyConditionExpression="#owner = :owner AND begins_with(#item, :session)",
            ExpressionAttributeNames={"#owner": "owner", "#item": "item"},
            ExpressionAttributeValues={":owner": text(account_id), ":session": text(_SESSION)},
            ConsistentRead=True,
        )
        return [_session(item) async for item in found]

    async def end(self, account_id: str, digest: str) -> None:
        await self._client.retried("delete_item", TableName=self._table, Key=_session_key(account_id, digest))

    async def count(self, name: str, period: str, most: int, forget_at_unix_s: int) -> bool:
        try:
            await self._client.once(
                "update_item",
                TableName=self._table,
                Key={"owner": text(f"rate#{name}"), "item": text(period)},
                UpdateExpression="SET #count = if_not_exists(#count, :none) + :one, #ttl = :ttl",
                ConditionExpression="attribute_not_exists(#count) OR #count < :most",
                ExpressionAttributeNames={"#count": "count", "#ttl": "ttl"},
                ExpressionAttributeValues={
                    ":none": number(0),
                    ":one": number(1),
                    ":most": number(most),
                    ":ttl": number(forget_at_unix_s),
                },
            )
        except ConditionRefused:
            return False
        return True


def _challenge_key(nonce: str) -> dict[str, dict[str, str]]:
    return {"owner": text(f"nonce#{nonce}"), "item": text(_CHALLENGE)}


def _session_key(account_id: str, digest: str) -> dict[str, dict[str, str]]:
    return {"owner": text(account_id), "item": text(f"{_SESSION}{digest}")}


def _challenge(nonce: str, item: Item) -> Challenge:
    wallet = wallet_from_text(get_text(item, "wallet"))
    assert wallet is not None, "only wallets are challenged"
    return Challenge(
        nonce=nonce,
        wallet=wallet,
        message=get_text(item, "message"),
        expires_at_unix_s=get_int(item, "expires_at"),
        account_id=get_text(item, "account_id") or None,
        attempts=get_int(item, "attempts"),
    )


def _why_not(item: Item | None, now_unix_s: int) -> Unsigned:
    if item is None:
        return Unsigned.UNKNOWN
    if "used_at" in item:
        return Unsigned.USED
    return Unsigned.EXPIRED if get_int(item, "expires_at") <= now_unix_s else Unsigned.SPENT


def _session(item: Item) -> Session:
    wallet = wallet_from_text(get_text(item, "wallet"))
    assert wallet is not None, "only wallets open sessions"
    return Session(
        account_id=get_text(item, "owner"),
        digest=get_text(item, "item").removeprefix(_SESSION),
        wallet=wallet,
        created_at_unix_s=get_int(item, "created_at"),
        expires_at_unix_s=get_int(item, "expires_at"),
    )
