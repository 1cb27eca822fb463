"""A whole gateway in this process, over a real engine and a scripted upstream."""

import json
import secrets
from dataclasses import dataclass, replace
from typing import Any

import httpx

from jatevo.adapters.dynamodb.items import number, text
from jatevo.adapters.dynamodb.schema import CATALOGUE_KIND
from jatevo.application.ports import Clock
from jatevo.bootstrap import Gateway, Settings
from jatevo.domain import api_keys, ids
from jatevo.domain.accounts import Account, ApiKey, account_window
from jatevo.domain.calendar import utc_day
from jatevo.domain.ledger import LedgerEntry
from jatevo.domain.windows import Limits, Window
from jatevo_inference.app import InferenceApp
from jatevo_inference.handler import create_app
from jatevo_local.engine import AWS_ENVIRONMENT
from jatevo_testing.tables import plain_client, put_account, put_key

USD = 10**9
MODEL: dict[str, Any] = {
    "id": "test-model",
    "context_window": 8192,
    "max_output_tokens": 2048,
    "default_output_tokens": 512,
    "price": {"input": "1.00", "cached_input": "0.10", "output": "2.00"},
    "routes": [{"pool": "main", "model": "secret-upstream-model"}],
}


@dataclass(frozen=True)
class Customer:
    """An account, its key, and the key's text."""

    account: Account
    key: ApiKey
    secret: str

    @property
    def headers(self) -> dict[str, str]:
        return {"authorization": f"Bearer {self.secret}"}


class World:
    """Everything one test needs. `gateway` is wired as the functions wire it; `client` speaks to its ASGI app."""

    def __init__(
        self, endpoint_url: str, prefix: str, settings: Settings | None = None, clock: Clock | None = None
    ) -> None:
        settings = settings or Settings(directory_keep_ms=0)
        self.settings = replace(settings, dynamodb_endpoint=endpoint_url, table_prefix=prefix)
        self.gateway = Gateway(self.settings, {**AWS_ENVIRONMENT, "POOL_KEY": "secret-pool-key"}, clock=clock)
        self.names = self.gateway.names
        self.dynamodb = plain_client(endpoint_url)
        self.app: InferenceApp = create_app(self.gateway)
        self.client = httpx.AsyncClient(
            transport=httpx.ASGITransport(self.app, raise_app_exceptions=False), base_url="http://gateway", timeout=30
        )

    async def close(self) -> None:
        await self.client.aclose()
        await self.app.drain()
        self.gateway.close()
        self.dynamodb.close()

    def apply_catalogue(self, *models: dict[str, Any], base_url: str, **pool: Any) -> None:
        document = {
            "pools": [{"id": "main", "base_url": base_url, "api_key": "env:POOL_KEY", **pool}],
            "models": list(models) or [MODEL],
        }
        self.put_catalogue(document)

    def put_catalogue(self, document: dict[str, Any], version: int = 1) -> None:
        item = {"kind": text(CATALOGUE_KIND), "version": number(version), "document": text(json.dumps(document))}
        self.dynamodb.put_item(TableName=self.names.catalogue, Item=item)
        self.gateway.directory.forget()

    def customer(
        self,
        *,
        requests: int = 11,
        budget_nano_usd: int = 11 * USD,
        concurrency: int = 64,
        margin_bps: int | None = None,
        caps: Limits | None = None,
        models: frozenset[str] | None = None,
        lanes: frozenset[str] = frozenset(),
        zdr: bool = False,
        **quotas: Any,
    ) -> Customer:
        """Register an account and its key; `quotas` are more fields of the account."""
        limits = Limits(requests=requests, budget_nano_usd=budget_nano_usd, concurrency=concurrency)
        account = Account(
            ids.account_id(secrets.randbits(64)),
            "test",
            limits,
            margin_bps=margin_bps,
            lanes=lanes,
            zdr=zdr,
            created_at_unix_s=self.gateway.clock.now_ms() // 1000,
            **quotas,
        )
        put_account(self.dynamodb, self.names, account)
        return self.key_of(account, caps=caps, models=models)

    def key_of(self, account: Account, **fields: Any) -> Customer:
        secret = api_keys.compose(secrets.token_bytes(api_keys.SECRET_BYTES))
        key = ApiKey(
            id=ids.key_id(secrets.randbits(64)),
            digest=api_keys.digest(secret),
            account_id=account.id,
            name="test",
            prefix=api_keys.shown_prefix(secret),
            **fields,
        )
        put_key(self.dynamodb, self.names, key)
        return Customer(account, key, secret)

    async def chat(self, customer: Customer, **body: Any) -> httpx.Response:
        message = {"model": "test-model", "messages": [{"role": "user", "content": "hello"}], **body}
        return await self.client.post("/v1/chat/completions", json=message, headers=customer.headers)

    def today(self) -> str:
        return utc_day(self.gateway.clock.now_ms() // 1000)

    async def window(self, customer: Customer) -> Window:
        window = await self.gateway.windows.read(account_window(customer.account.id, self.today()))
        assert window is not None
        return window

    async def ledger(self, customer: Customer) -> list[LedgerEntry]:
        return list(await self.gateway.ledger.entries(customer.account.id, self.today()))
