"""What was built, running over an AWS that obeys the roles."""

from dataclasses import dataclass

import httpx

from jatevo.adapters.dynamodb.schema import TableNames
from jatevo_local.built_stack import BuiltStack
from jatevo_testing.aws import Aws
from jatevo_testing.chain import TestToken
from jatevo_testing.price_apis import PriceApis
from jatevo_testing.solana import SolanaStandIn
from jatevo_testing.upstream import ScriptedUpstream


@dataclass(frozen=True)
class Cloud:
    """`admin` speaks as the first operator; `client` as nobody."""

    stack: BuiltStack
    aws: Aws
    names: TableNames
    upstream: ScriptedUpstream
    admin: httpx.AsyncClient
    client: httpx.AsyncClient
    prices: PriceApis
    token: TestToken
    solana: SolanaStandIn

    def log(self) -> str:
        return "".join(function.log() for function in self.stack.functions.values())

    async def customer(self, **limits: object) -> dict[str, str]:
        """Create an account and a key; return the headers of its requests and, as `account` and `key`, their ids."""
        wanted = {"name": "test", "requests_per_day": 100, "budget_usd_per_day": "10.00", **limits}
        account = (await self.admin.post("/accounts", json=wanted)).raise_for_status().json()["account_id"]
        made = (await self.admin.post(f"/accounts/{account}/keys", json={"name": "k"})).raise_for_status().json()
        return {"authorization": f"Bearer {made['key']}", "account": account, "key": made["key_id"]}
