"""
Balances of one mint on Solana, over JSON-RPC.

All holders are read in ONE `getProgramAccounts` of the program that owns the mint, so they are of one slot. The answer
is believed only when it is whole: what the accounts hold, and what is withheld as fees, is exactly the supply, as it
was just before or just after, or between the two when it moved. An answer that leaves out a holder falls short; one
that makes holders up exceeds. An answer without its slot is refused. (A token with confidential balances cannot be read
so, and never counts.)

Only finalized state is read. A node has to be of the right cluster and not to lag behind.
"""

import asyncio
import base64
import binascii
import ssl
from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from typing import Any

import httpx

from jatevo.adapters.chains.nodes import NodeFailed, Nodes, check_fresh
from jatevo.adapters.chains.spl_accounts import (
    ACCOUNT_BYTES,
    BALANCE_BYTES,
    TOKEN_2022_PROGRAM,
    TOKEN_PROGRAM,
    Mint,
    NotAnAccount,
    TokenAccount,
    mint_from,
    token_account_from,
)
from jatevo.application.ports import Clock
from jatevo.domain.holdings import MOST_DECIMALS, Moment, Reading, Token
from jatevo.domain.wallets import Namespace, Wallet, base58_decoded, base58_encoded

_AT_ONCE = 8
_CONNECT_S = 5.0
_FINALIZED = {"commitment": "finalized", "encoding": "base64"}


@cache
def _tls() -> ssl.SSLContext:
    """Made once: reading the certificates costs more than a call."""
    return httpx.create_ssl_context()


@dataclass(frozen=True, slots=True)
class _MintSeen:
    slot: int
    program: str
    mint: Mint


class SolanaNode:
    """JSON-RPC to one node. Every error is NodeFailed, and none repeats the address."""

    def __init__(self, address: str, *, timeout_s: float) -> None:
        self._address = address
        self._timeout = httpx.Timeout(timeout_s, connect=_CONNECT_S)
        self.is_known = False
        """Whether it has proved to be of the right cluster."""

    async def ask(self, method: str, *parameters: Any) -> Any:
        """Return the result of a method."""
        body = {"jsonrpc": "2.0", "id": 1, "method": method, "params": list(parameters)}
        try:
            # A client for each call: nothing here belongs to an event loop that may be gone at the next one.
            async with httpx.AsyncClient(timeout=self._timeout, trust_env=False, verify=_tls()) as client:
                response = await client.post(self._address, json=body)
            answer = response.json()
        except (httpx.HTTPError, httpx.InvalidURL, ValueError) as error:
            raise NodeFailed(f"{method}: {type(error).__name__}") from None
        if not isinstance(answer, dict) or "result" not in answer:
            error_code = answer.get("error", {}).get("code") if isinstance(answer, dict) else None
            raise NodeFailed(f"{method}: refused with status {response.status_code}, code {error_code}")
        return answer["result"]


class SolanaReader:
    """The `BalanceReader` of a mint. `lag_s` as in `check_fresh`."""

    reads_everybody = True

    def __init__(
        self,
        token: Token,
        addresses: Callable[[], Sequence[str]],
        clock: Clock,
        *,
        lag_s: int = 300,
        timeout_s: float = 60.0,
    ) -> None:
        self.token = token
        self._nodes = Nodes(addresses, lambda address: SolanaNode(address, timeout_s=timeout_s))
        self._clock = clock
        self._lag_s = lag_s
        self._mint_key = base58_decoded(token.address)

    async def everybody(self) -> Reading:
        return await self._nodes.first(self._everybody)

    async def moment(self) -> Moment:
        return await self._nodes.first(self._moment)

    async def now(self, wallets: Sequence[Wallet]) -> Reading:
        async def read(node: SolanaNode) -> Reading:
            moment, seen = await self._moment(node), await self._mint(node)
            turns = asyncio.Semaphore(_AT_ONCE)

            async def one(wallet: Wallet) -> tuple[Wallet, int]:
                async with turns:
                    return wallet, await self._balance(node, wallet, moment.height)

            units = dict(await asyncio.gather(*(one(wallet) for wallet in wallets)))
            return Reading(moment, seen.mint.decimals, units)

        return await self._nodes.first(read)

    async def at(self, wallets: Sequence[Wallet], moment: Moment) -> Reading:
        raise NotImplementedError("no Solana node knows the balances of an old slot; a snapshot has everybody's")

    async def _everybody(self, node: SolanaNode) -> Reading:
        await self._recognise(node)
        before = await self._mint(node)
        slot, accounts = await self._accounts(node, before)
        after = await self._mint(node, since=slot)
        _check_whole(accounts, before.mint, after.mint)
        units: defaultdict[Wallet, int] = defaultdict(int)
        for account in accounts:
            if account.units:
                units[Wallet(Namespace.SOLANA, base58_encoded(account.owner))] += account.units
        return Reading(await self._moment_of(node, slot), before.mint.decimals, units)

    async def _accounts(self, node: SolanaNode, seen: _MintSeen) -> tuple[int, list[TokenAccount]]:
        """Return the slot of the one reading of all accounts, and those accounts."""
        filters: list[dict[str, Any]] = [{"memcmp": {"offset": 0, "bytes": self.token.address}}]
        options: dict[str, Any] = {**_FINALIZED, "withContext": True, "minContextSlot": seen.slot}
        if seen.program == TOKEN_PROGRAM:
            # All accounts of this program have one size. Those of the other have extensions, which are read too.
            filters.append({"dataSize": ACCOUNT_BYTES})
            options["dataSlice"] = {"offset": 0, "length": BALANCE_BYTES}
        result = await node.ask("getProgramAccounts", seen.program, {**options, "filters": filters})
        slot, values = _with_context(result, "getProgramAccounts", since=seen.slot)
        if not isinstance(values, list):
            raise NodeFailed("getProgramAccounts: no list of accounts")
        accounts = {str(_field(value, "pubkey")): self._account(value, seen.program) for value in values}
        if len(accounts) != len(values):
            raise NodeFailed("getProgramAccounts: an account is listed twice")
        return slot, list(accounts.values())

    async def _balance(self, node: SolanaNode, wallet: Wallet, since: int) -> int:
        options = {**_FINALIZED, "minContextSlot": since}
        result = await node.ask("getTokenAccountsByOwner", wallet.address, {"mint": self.token.address}, options)
        _, values = _with_context(result, "getTokenAccountsByOwner", since=since)
        accounts = {
            str(_field(value, "pubkey")): self._account(value, _field(value, "account", "owner")) for value in values
        }
        owner = base58_decoded(wallet.address)
        if len(accounts) != len(values) or any(account.owner != owner for account in accounts.values()):
            raise NodeFailed("getTokenAccountsByOwner: accounts of somebody else, or listed twice")
        return sum(account.units for account in accounts.values())

    def _account(self, value: Any, program: object) -> TokenAccount:
        if program not in {TOKEN_PROGRAM, TOKEN_2022_PROGRAM} or _field(value, "account", "owner") != program:
            raise NodeFailed("an account of another program")
        try:
            account = token_account_from(_data(value["account"]))
        except NotAnAccount as error:
            raise NodeFailed(str(error)) from None
        if account.mint != self._mint_key:
            raise NodeFailed("an account of another mint")
        return account

    async def _mint(self, node: SolanaNode, *, since: int = 0) -> _MintSeen:
        options = {**_FINALIZED, **({"minContextSlot": since} if since else {})}
        result = await node.ask("getAccountInfo", self.token.address, options)
        slot, value = _with_context(result, "getAccountInfo", since=since)
        program = value.get("owner") if isinstance(value, dict) else None
        if program not in {TOKEN_PROGRAM, TOKEN_2022_PROGRAM}:
            raise NodeFailed("the mint is not there")
        try:
            mint = mint_from(_data(value))
        except NotAnAccount as error:
            raise NodeFailed(str(error)) from None
        if mint.decimals > MOST_DECIMALS:
            raise NodeFailed("more decimals than any token has")
        return _MintSeen(slot, program, mint)

    async def _moment(self, node: SolanaNode) -> Moment:
        await self._recognise(node)
        slot = await node.ask("getSlot", {"commitment": "finalized"})
        if not isinstance(slot, int):
            raise NodeFailed("getSlot: no number")
        return await self._moment_of(node, slot)

    async def _moment_of(self, node: SolanaNode, slot: int) -> Moment:
        now = self._clock.now_ms() // 1000
        at = await node.ask("getBlockTime", slot)
        if not isinstance(at, int):
            raise NodeFailed("getBlockTime: the slot has no time")
        check_fresh(at, now, self._lag_s)
        return Moment(slot, at)

    async def _recognise(self, node: SolanaNode) -> None:
        if node.is_known or not self.token.chain:
            return
        genesis = await node.ask("getGenesisHash")
        if not isinstance(genesis, str) or not genesis.startswith(self.token.chain):
            raise NodeFailed("it is of another cluster")
        node.is_known = True


def _check_whole(accounts: Sequence[TokenAccount], before: Mint, after: Mint) -> None:
    """Raise NodeFailed unless the accounts are all of the token: not less and not more than there is."""
    low, high = sorted((before.supply, after.supply))
    shown = sum(account.units + account.withheld for account in accounts)
    if shown + max(before.withheld, after.withheld) < low:
        raise NodeFailed("the accounts hold less than the supply: some are missing")
    if shown + min(before.withheld, after.withheld) > high:
        raise NodeFailed("the accounts hold more than the supply")


def _with_context(result: Any, method: str, *, since: int = 0) -> tuple[int, Any]:
    """Return the slot and the value of an answer. Raises NodeFailed when it has no slot, or one before `since`."""
    slot = _field(result, "context", "slot")
    if not isinstance(slot, int) or not isinstance(result, dict) or "value" not in result:
        raise NodeFailed(f"{method}: an answer without its slot")
    if slot < since:
        raise NodeFailed(f"{method}: an answer older than the one before")
    return slot, result["value"]


def _data(account: Mapping[str, Any]) -> bytes:
    """Return an account's data. Raises NotAnAccount."""
    data = account.get("data")
    if not isinstance(data, list) or len(data) != 2 or data[1] != "base64":
        raise NotAnAccount("no data in base64")
    try:
        return base64.b64decode(data[0], validate=True)
    except (binascii.Error, TypeError, ValueError):
        raise NotAnAccount("no data in base64") from None


def _field(value: Any, *names: str) -> Any:
    """Return a field within objects, or None."""
    for name in names:
        if not isinstance(value, dict):
            return None
        value = value.get(name)
    return value
