"""
The `Registry` port on DynamoDB, through pynamodb's models.

Every write is one conditional request, or one transaction. pynamodb may send a write again when an answer is lost, and
the repetition then meets what the first one wrote: creating something that is there exactly as asked is a success.
What is read goes through `directory`'s readers, so both sides agree on every attribute. pynamodb blocks, so every call
runs in a thread.
"""

import asyncio
import json
from collections.abc import Callable, Sequence
from typing import Any

from botocore.exceptions import BotoCoreError, ConnectTimeoutError, EndpointConnectionError
from pynamodb.exceptions import DoesNotExist, PynamoDBException, TransactWriteError
from pynamodb.expressions.update import Action
from pynamodb.transactions import TransactWrite

from jatevo.adapters.dynamodb.client import REFUSED, TRANSACTION_CANCELED
from jatevo.adapters.dynamodb.directory import account_from_item, key_from_item
from jatevo.adapters.dynamodb.models import AccountItem, CatalogueItem, KeyItem, OperatorItem, Tables
from jatevo.adapters.dynamodb.schema import CATALOGUE_KIND
from jatevo.application.ports import Conflict, OutcomeUnknown, StoreError, StoreUnavailable
from jatevo.application.registry import AlreadyThere, CatalogueRecord, Operator, Page, TooManyKeys
from jatevo.domain.accounts import MAX_KEYS_PER_ACCOUNT, Account, ApiKey
from jatevo.domain.windows import UNLIMITED_BUDGET_NANO_USD, UNLIMITED_REQUESTS, Limits

_UNCLEAR = frozenset({"InternalServerError", "InternalFailure", "ServiceUnavailable"})
_NEVER_SENT = (EndpointConnectionError, ConnectTimeoutError)
_CONDITION_FAILED = "ConditionalCheckFailed"
_RACED = "TransactionConflict"


class DynamoRegistry:
    """The `Registry` port on DynamoDB."""

    def __init__(self, tables: Tables) -> None:
        self._tables = tables

    async def create_account(self, account: Account) -> None:
        item = self._account_item(account)
        try:
            await _in_thread(lambda: item.save(condition=self._tables.accounts.account_id.does_not_exist()))
        except Conflict as conflict:
            if await self.account(account.id) != account:
                raise AlreadyThere(f"account {account.id}") from conflict

    async def account(self, account_id: str) -> Account | None:
        item = await _found(lambda: self._tables.accounts.get(account_id, consistent_read=True))
        return None if item is None else _account(item)

    async def accounts(self, *, after: str | None = None, limit: int = 100) -> Page[Account]:
        start = None if after is None else {"account_id": {"S": after}}

        def read() -> Page[Account]:
            found = self._tables.accounts.scan(limit=limit, page_size=limit, last_evaluated_key=start)
            entries = [_account(item) for item in found]
            last = found.last_evaluated_key
            return Page(entries, None if last is None else last["account_id"]["S"])

        return await _in_thread(read)

    async def change_account(self, account: Account) -> None:
        model = self._tables.accounts
        actions = [
            model.name.set(account.name),
            model.requests_per_day.set(account.limits.requests),
            model.budget_nano_usd_per_day.set(account.limits.budget_nano_usd),
            model.concurrency.set(account.limits.concurrency),
            _set_or_remove(model.margin_bps, account.margin_bps),
            model.enabled.set(account.enabled),
            _set_or_remove(model.lanes, set(account.lanes) or None),
            model.zdr.set(account.zdr),
            model.limits_from.set(account.limits_from.value),
            _set_or_remove(model.entitled_day, account.entitled_day),
            *(_set_or_remove(getattr(model, name), value) for name, value in _quotas(account).items()),
            model.version.set(account.version),
        ]
        unchanged = model.version == account.version - 1
        await _in_thread(lambda: model(account.id).update(actions, condition=unchanged))

    async def create_key(self, key: ApiKey) -> None:
        assert key.models is None or key.models, "an empty allow-list cannot be stored: it would read back as none"
        accounts, keys = self._tables.accounts, self._tables.keys
        room = accounts.enabled_keys.does_not_exist() | (accounts.enabled_keys < MAX_KEYS_PER_ACCOUNT)

        def write() -> None:
            with TransactWrite(connection=self._tables.transactions) as transaction:
                transaction.save(self._key_item(key), condition=keys.digest.does_not_exist())
                transaction.update(
                    accounts(key.account_id),
                    [accounts.enabled_keys.set((accounts.enabled_keys | 0) + 1)],
                    condition=accounts.account_id.exists() & room,
                )

        try:
            await _in_thread(write)
        except Conflict as conflict:
            if await self._stored_key(key.digest) != key:
                raise await self._why_no_key(key) from conflict

    async def key(self, key_id: str) -> ApiKey | None:
        def find() -> str | None:
            return next((item.digest for item in self._tables.keys.by_id.query(key_id)), None)

        digest = await _in_thread(find)
        return None if digest is None else await self._stored_key(digest)

    async def keys(self, account_id: str) -> Sequence[ApiKey]:
        return await _in_thread(lambda: [_key(item) for item in self._tables.keys.by_account.query(account_id)])

    async def change_key(self, key: ApiKey) -> None:
        assert key.models is None or key.models, "an empty allow-list cannot be stored: it would read back as none"
        model = self._tables.keys
        caps = _caps(key.caps)
        actions = [
            model.name.set(key.name),
            _set_or_remove(model.models, None if key.models is None else set(key.models)),
            _set_or_remove(model.lanes, None if key.lanes is None else set(key.lanes)),
            _set_or_remove(model.ip_ranges, None if key.ip_ranges is None else set(key.ip_ranges)),
            _set_or_remove(model.reseller_margin_bps, key.reseller_margin_bps),
            _set_or_remove(model.labels, dict(key.labels) or None),
            *(_set_or_remove(getattr(model, name), value) for name, value in caps.items()),
            _set_or_remove(model.expires_at, key.expires_at_unix_s),
            model.caps_version.set(key.caps_version),
        ]
        unchanged = model.caps_version == key.caps_version - 1
        await _in_thread(lambda: model(key.digest).update(actions, condition=unchanged))

    async def disable_key(self, key: ApiKey, account: Account) -> None:
        assert key.disabled_at_unix_s is not None, "a disabled key says since when"
        accounts, keys = self._tables.accounts, self._tables.keys
        disable: list[Action] = [keys.enabled.set(False), keys.disabled_at.set(key.disabled_at_unix_s)]
        revoke: list[Action] = [
            accounts.version.set(account.version),
            accounts.revoked.set(dict(account.revoked)),
            accounts.enabled_keys.set((accounts.enabled_keys | 1) - 1),
        ]

        def write() -> None:
            with TransactWrite(connection=self._tables.transactions) as transaction:
                transaction.update(keys(key.digest), disable, condition=keys.enabled == True)  # noqa: E712  # an expression
                transaction.update(accounts(account.id), revoke, condition=accounts.version == account.version - 1)

        await _in_thread(write)

    async def delete_key(self, key: ApiKey) -> None:
        condition = self._tables.keys.enabled == False  # noqa: E712  # an expression
        await _in_thread(lambda: self._tables.keys(key.digest).delete(condition=condition))

    async def latest_catalogue(self) -> CatalogueRecord | None:
        def read() -> CatalogueItem | None:
            model = self._tables.catalogue
            newest = model.query(CATALOGUE_KIND, scan_index_forward=False, limit=1, consistent_read=True)
            return next(iter(newest), None)

        item = await _in_thread(read)
        return None if item is None else _record(item)

    async def catalogue(self, version: int) -> CatalogueRecord | None:
        item = await _found(lambda: self._tables.catalogue.get(CATALOGUE_KIND, version, consistent_read=True))
        return None if item is None else _record(item)

    async def add_catalogue(self, record: CatalogueRecord) -> None:
        item = self._tables.catalogue(
            CATALOGUE_KIND,
            record.version,
            document=json.dumps(record.document, ensure_ascii=False, separators=(",", ":")),
            applied_at=record.applied_at_unix_s,
            applied_by=record.applied_by,
        )
        try:
            await _in_thread(lambda: item.save(condition=self._tables.catalogue.version.does_not_exist()))
        except Conflict:
            if await self.catalogue(record.version) != record:
                raise

    async def create_operator(self, operator: Operator) -> None:
        model = self._tables.operators
        item = model(
            operator.name, digest=operator.digest, enabled=operator.enabled, created_at=operator.created_at_unix_s
        )
        try:
            await _in_thread(lambda: item.save(condition=model.name.does_not_exist()))
        except Conflict as conflict:
            if operator not in await self.operators():
                raise AlreadyThere(f"operator {operator.name}") from conflict

    async def operators(self) -> Sequence[Operator]:
        found = await _in_thread(
            lambda: [_operator(item) for item in self._tables.operators.scan(consistent_read=True)]
        )
        return sorted(found, key=lambda operator: operator.name)

    async def change_operator(self, operator: Operator, *, previous: Operator) -> None:
        model = self._tables.operators
        unchanged = (model.digest == previous.digest) & (model.enabled == previous.enabled)
        actions: list[Action] = [model.digest.set(operator.digest), model.enabled.set(operator.enabled)]
        await _in_thread(lambda: model(operator.name).update(actions, condition=unchanged))

    async def _stored_key(self, digest: str) -> ApiKey | None:
        item = await _found(lambda: self._tables.keys.get(digest, consistent_read=True))
        return None if item is None else _key(item)

    async def _why_no_key(self, key: ApiKey) -> StoreError:
        if await self._stored_key(key.digest) is not None:
            return AlreadyThere(f"key {key.id}")
        item = await _found(lambda: self._tables.accounts.get(key.account_id, consistent_read=True))
        if item is not None and (item.enabled_keys or 0) >= MAX_KEYS_PER_ACCOUNT:
            return TooManyKeys(key.account_id)
        return Conflict(f"the account {key.account_id} has changed")

    def _account_item(self, account: Account) -> AccountItem:
        return self._tables.accounts(
            account.id,
            name=account.name,
            requests_per_day=account.limits.requests,
            budget_nano_usd_per_day=account.limits.budget_nano_usd,
            concurrency=account.limits.concurrency,
            margin_bps=account.margin_bps,
            enabled=account.enabled,
            version=account.version,
            created_at=account.created_at_unix_s,
            estimate_permille=account.estimate_permille,
            estimate_raised_at=account.estimate_raised_at_unix_s,
            revoked=dict(account.revoked),
            enabled_keys=0,
            lanes=set(account.lanes) or None,
            zdr=account.zdr,
            prepaid=account.prepaid or None,
            **_quotas(account),
            limits_from=account.limits_from.value,
            entitled_day=account.entitled_day,
        )

    def _key_item(self, key: ApiKey) -> KeyItem:
        return self._tables.keys(
            key.digest,
            key_id=key.id,
            account_id=key.account_id,
            name=key.name,
            prefix=key.prefix,
            enabled=key.enabled,
            models=None if key.models is None else set(key.models),
            lanes=None if key.lanes is None else set(key.lanes),
            ip_ranges=None if key.ip_ranges is None else set(key.ip_ranges),
            reseller_margin_bps=key.reseller_margin_bps,
            labels=dict(key.labels) or None,
            caps_version=key.caps_version,
            expires_at=key.expires_at_unix_s,
            created_at=key.created_at_unix_s,
            disabled_at=key.disabled_at_unix_s,
            **_caps(key.caps),
        )


def _quotas(account: Account) -> dict[str, Any]:
    """Return the attributes of an account's limits beside those of the day, and of what it resells."""
    monthly = account.monthly or Limits()
    return {
        "monthly_requests": _unless(monthly.requests, UNLIMITED_REQUESTS),
        "monthly_budget_nano_usd": _unless(monthly.budget_nano_usd, UNLIMITED_BUDGET_NANO_USD),
        "requests_per_minute": account.requests_per_minute,
        "reseller_margin_bps": account.reseller_margin_bps,
    }


def _unless(value: int, unlimited: int) -> int | None:
    return None if value == unlimited else value


def _caps(caps: Limits | None) -> dict[str, Any]:
    """Return the attributes of a key's caps: what is unlimited has none."""
    caps = caps or Limits()
    return {
        "cap_requests_per_day": None if caps.requests == UNLIMITED_REQUESTS else caps.requests,
        "cap_budget_nano_usd_per_day": (
            None if caps.budget_nano_usd == UNLIMITED_BUDGET_NANO_USD else caps.budget_nano_usd
        ),
        "cap_concurrency": None if caps.concurrency == UNLIMITED_REQUESTS else caps.concurrency,
    }


def _account(item: AccountItem) -> Account:
    return account_from_item(item.serialize())


def _key(item: KeyItem) -> ApiKey:
    return key_from_item(item.serialize())


def _record(item: CatalogueItem) -> CatalogueRecord:
    return CatalogueRecord(item.version, json.loads(item.document), item.applied_at, item.applied_by)


def _operator(item: OperatorItem) -> Operator:
    return Operator(item.name, item.digest, item.enabled, item.created_at)


def _set_or_remove(attribute: Any, value: object) -> Action:
    action: Action = attribute.remove() if value is None else attribute.set(value)
    return action


async def _in_thread[T](call: Callable[[], T]) -> T:
    """Run a blocking call of pynamodb, its errors as those of the ports."""
    try:
        return await asyncio.to_thread(call)
    except PynamoDBException as error:
        raise _sorted(error) from error


async def _found[T](get: Callable[[], T]) -> T | None:
    """Run a get; None when there is no such item."""

    def get_or_none() -> T | None:
        try:
            return get()
        except DoesNotExist:
            return None

    return await _in_thread(get_or_none)


def _sorted(error: PynamoDBException) -> StoreError:
    code = error.cause_response_code
    if code == REFUSED:
        return Conflict("what the write depended on has changed")
    if code == TRANSACTION_CANCELED and isinstance(error, TransactWriteError):
        reasons = {reason.code for reason in error.cancellation_reasons if reason is not None}
        return (
            Conflict(", ".join(sorted(reasons))) if reasons <= {_CONDITION_FAILED, _RACED} else StoreUnavailable(code)
        )
    if code is not None:
        return OutcomeUnknown(code) if code in _UNCLEAR else StoreUnavailable(f"DynamoDB refused: {code}")
    if isinstance(error.cause, BotoCoreError) and not isinstance(error.cause, _NEVER_SENT):
        return OutcomeUnknown("no answer from DynamoDB")
    return StoreUnavailable("DynamoDB cannot be reached")
