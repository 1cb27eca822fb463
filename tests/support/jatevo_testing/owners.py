"""People with wallets, and the account app they sign in to."""

import os
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

import httpx
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from eth_abi.abi import encode
from eth_account import Account
from eth_account.messages import encode_defunct
from eth_account.signers.local import LocalAccount
from eth_utils.abi import function_signature_to_4byte_selector

from jatevo.adapters.signatures.contract_wallets import MAGIC_SUFFIX
from jatevo.domain.wallets import base58_encoded
from jatevo_local.chain import Node

SITE = "https://gateway.test/prod"
ORIGIN = "https://gateway.test"
AUTH = "/account/v1/auth"


class EvmPerson:
    """Somebody with a key of an EVM wallet."""

    chain = "ethereum"

    def __init__(self, key: bytes | None = None) -> None:
        self.key: LocalAccount = Account.from_key(key or os.urandom(32))
        self.address: str = self.key.address
        self.wallet = f"eip155:{self.address.lower()}"

    def sign(self, message: str) -> str:
        return "0x" + bytes(self.key.sign_message(encode_defunct(text=message)).signature).hex()


class ContractPerson(EvmPerson):
    """Somebody whose key owns a contract wallet; with `factory`, one that is not deployed yet (EIP-6492)."""

    def __init__(self, owner: EvmPerson, address: str, factory: str = "") -> None:
        super().__init__(bytes(owner.key.key))
        self.factory = factory
        self.address = address
        self.wallet = f"eip155:{address.lower()}"

    def sign(self, message: str) -> str:
        signature = super().sign(message)
        if not self.factory:
            return signature
        return "0x" + wrapped(self.factory, deployment(self.key.address), bytes.fromhex(signature[2:])).hex()


def deployment(owner: str) -> bytes:
    """Return the call of `wallet_factory` that deploys an owner's wallet."""
    selector = function_signature_to_4byte_selector("deploy(address,bytes32)")
    return selector + encode(["address", "bytes32"], [owner, bytes(32)])


def undeployed(node: Node, factory: str, owner: str) -> str:
    """Return the address at which it would."""
    return str(node.call("wallet_factory", factory, "deploy", owner, bytes(32)))


def wrapped(factory: str, call: bytes, signature: bytes) -> bytes:
    """Return a signature with how its wallet would be deployed, as EIP-6492 has it."""
    return encode(["address", "bytes", "bytes"], [factory, call, signature]) + MAGIC_SUFFIX


class SolanaPerson:
    """Somebody with a key of a Solana wallet."""

    chain = "solana"

    def __init__(self) -> None:
        self.key = Ed25519PrivateKey.from_private_bytes(os.urandom(32))
        self.address = base58_encoded(self.key.public_key().public_bytes(Encoding.Raw, PublicFormat.Raw))
        self.wallet = f"solana:{self.address}"

    def sign(self, message: str) -> str:
        return base58_encoded(self.key.sign(message.encode()))


type Person = EvmPerson | SolanaPerson


@dataclass
class Door:
    """The account app as a program sees it that comes from one address."""

    client: httpx.AsyncClient
    bearer: str = ""
    origin: str = ""
    more: dict[str, str] = field(default_factory=dict)

    async def ask(self, method: str, path: str, body: Any = None, **headers: str) -> httpx.Response:
        sent = {**self.more, **{name.replace("_", "-"): value for name, value in headers.items()}}
        if self.bearer:
            sent["authorization"] = f"Bearer {self.bearer}"
        raw = [(name.encode(), value.encode()) for name, value in sent.items()]
        return await self.client.request(method, path, json=body, headers=raw)

    async def challenge(self, person: Person, **more: Any) -> Mapping[str, Any]:
        body = {"chain": person.chain, "address": person.address, **more}
        answer = await self.ask("POST", f"{AUTH}/challenge", body)
        assert answer.status_code == 200, answer.text
        challenge: Mapping[str, Any] = answer.json()
        return challenge

    async def verify(self, nonce: str, signature: str, **headers: str) -> httpx.Response:
        return await self.ask("POST", f"{AUTH}/verify", {"nonce": nonce, "signature": signature}, **headers)

    async def proof(self, person: Person, **more: Any) -> dict[str, str]:
        challenge = await self.challenge(person, **more)
        return {"nonce": challenge["nonce"], "signature": person.sign(challenge["message"])}

    async def signed_in(self, person: Person) -> "Door":
        """Return the door as somebody who is signed in by a bearer token."""
        answer = await self.verify(**await self.proof(person))
        assert answer.status_code == 200, answer.text
        return Door(self.client, bearer=answer.json()["token"])

    async def link(self, person: Person) -> httpx.Response:
        return await self.ask("POST", "/account/v1/wallets", await self.proof(person, link=True))

    async def account_id(self) -> str:
        return str((await self.ask("GET", f"{AUTH}/session")).json()["account_id"])


@asynccontextmanager
async def door(app: Any, source_ip: str = "198.51.100.7") -> AsyncIterator[Door]:
    """Open the account app to programs at an address."""
    transport = httpx.ASGITransport(app, raise_app_exceptions=False, client=(source_ip, 4711))
    async with httpx.AsyncClient(transport=transport, base_url="http://internal-host") as client:
        yield Door(client)


def code_of(answer: httpx.Response) -> tuple[int, str]:
    """Return an error's status and code; its shape is checked."""
    error = answer.json()["error"]
    assert {"message", "type", "param", "code"} <= error.keys()
    return answer.status_code, error["code"]
