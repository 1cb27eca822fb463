"""
A Solana node for tests: JSON-RPC over HTTP on loopback, with accounts in the encodings of the real token programs.

`lies` changes answers on their way out, so that a test can make a node leave things out, make things up, or lag.
"""

import base64
import json
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from struct import pack
from typing import Any

from jatevo.adapters.chains.spl_accounts import TOKEN_2022_PROGRAM, TOKEN_PROGRAM
from jatevo.domain.holdings import Token
from jatevo.domain.wallets import Namespace, Wallet, base58_decoded, base58_encoded

GENESIS = base58_encoded(b"a cluster of this test's own....")
type Lie = Callable[[str, Any], Any]
"""Takes a method and its true result, and returns what is answered."""


class Refused(Exception):
    """Answered as a JSON-RPC error."""


@dataclass
class SolanaStandIn:
    """One mint and its accounts. Balances are changed by the methods; `slot` grows with each."""

    decimals: int = 6
    program: str = TOKEN_PROGRAM
    mint: bytes = b"\x02mint" + bytes(27)
    slot: int = 1_000
    time: Callable[[], int] = lambda: 1_795_000_000
    url: str = ""
    asked: list[tuple[str, list[Any]]] = field(default_factory=list)
    lies: list[Lie] = field(default_factory=list)
    withheld: int = 0
    """Fees that lie in the mint."""
    _accounts: dict[str, bytes] = field(default_factory=dict)
    _lock: threading.Lock = field(default_factory=threading.Lock)

    @property
    def token(self) -> Token:
        return Token(Namespace.SOLANA, GENESIS[:32], base58_encoded(self.mint))

    @property
    def supply(self) -> int:
        return self.withheld + sum(_units(data) + _withheld(data) for data in self._accounts.values())

    def hold(self, wallet: Wallet, units: int, *, account: int = 0, withheld: int | None = None) -> None:
        """Let a wallet's token account hold so much. A wallet may have several accounts."""
        with self._lock:
            self.slot += 1
            self._accounts[self._address(wallet, account)] = self._account(wallet, units, withheld)

    def transfer(self, sender: Wallet, receiver: Wallet, units: int) -> None:
        """Move tokens between the first accounts of two wallets."""
        left, right = self.balance(sender) - units, self.balance(receiver) + units
        assert left >= 0
        if sender != receiver:
            self.hold(sender, left)
            self.hold(receiver, right)

    def balance(self, wallet: Wallet) -> int:
        """Return what a wallet's first account holds."""
        data = self._accounts.get(self._address(wallet, 0))
        return 0 if data is None else _units(data)

    def answer(self, method: str, parameters: list[Any]) -> Any:
        """Return the result of a method."""
        with self._lock:
            self.asked.append((method, parameters))
            options = parameters[-1] if parameters and isinstance(parameters[-1], dict) else {}
            if options.get("minContextSlot", 0) > self.slot:
                raise Refused
            result = self._methods()[method](*parameters)
        for lie in self.lies:
            result = lie(method, result)
        return result

    def _methods(self) -> dict[str, Callable[..., Any]]:
        return {
            "getGenesisHash": lambda: GENESIS,
            "getSlot": lambda _: self.slot,
            "getBlockTime": lambda _: self.time(),
            "getAccountInfo": self._account_info,
            "getTokenAccountsByOwner": self._by_owner,
            "getProgramAccounts": self._program_accounts,
        }

    def _account_info(self, address: str, _options: Any) -> Any:
        if address != base58_encoded(self.mint):
            return self._with_context(None)
        data = bytes(36) + pack("<QBB", self.supply, self.decimals, 1) + bytes(36)
        if self.program == TOKEN_2022_PROGRAM:
            fees = bytes(64) + pack("<Q", self.withheld) + bytes(36)
            data = data.ljust(165, b"\0") + b"\x01" + pack("<HH", 1, len(fees)) + fees
        return self._with_context({"owner": self.program, "data": _encoded(data), "lamports": 1})

    def _by_owner(self, owner: str, which: Any, _options: Any) -> Any:
        assert which == {"mint": base58_encoded(self.mint)}
        key = base58_decoded(owner)
        mine = {address: data for address, data in self._accounts.items() if data[32:64] == key}
        return self._with_context([self._listed(address, data) for address, data in mine.items()])

    def _program_accounts(self, program: str, options: Any) -> Any:
        found = dict(self._accounts) if program == self.program else {}
        for wanted in options["filters"]:
            if "dataSize" in wanted:
                found = {address: data for address, data in found.items() if len(data) == wanted["dataSize"]}
            else:
                start, part = wanted["memcmp"]["offset"], base58_decoded(wanted["memcmp"]["bytes"]) or b""
                found = {key: data for key, data in found.items() if data[start : start + len(part)] == part}
        cut = options.get("dataSlice", {"offset": 0, "length": 10**6})
        slices = {key: data[cut["offset"] : cut["offset"] + cut["length"]] for key, data in found.items()}
        accounts = [self._listed(address, data) for address, data in slices.items()]
        return self._with_context(accounts) if options.get("withContext") else accounts

    def _with_context(self, value: Any) -> Any:
        return {"context": {"slot": self.slot, "apiVersion": "3.0.0"}, "value": value}

    def _listed(self, address: str, data: bytes) -> Any:
        return {"pubkey": address, "account": {"owner": self.program, "data": _encoded(data), "executable": False}}

    def _address(self, wallet: Wallet, account: int) -> str:
        key = base58_decoded(wallet.address) or b""
        return base58_encoded(bytes([account + 1]) + key[1:])

    def _account(self, wallet: Wallet, units: int, withheld: int | None) -> bytes:
        owner = base58_decoded(wallet.address) or b""
        data = self.mint + owner + pack("<Q", units) + bytes(36) + b"\x01" + bytes(56)
        assert len(data) == 165
        if self.program == TOKEN_2022_PROGRAM and withheld is not None:
            # The owner cannot be changed (extension 7, empty), and a fee is withheld (extension 2).
            data += b"\x02" + pack("<HH", 7, 0) + pack("<HHQ", 2, 8, withheld)
        return data


def _units(data: bytes) -> int:
    return int.from_bytes(data[64:72], "little")


def _withheld(data: bytes) -> int:
    return int.from_bytes(data[-8:], "little") if len(data) > 165 else 0


def _encoded(data: bytes) -> list[str]:
    return [base64.b64encode(data).decode(), "base64"]


@contextmanager
def solana_node(node: SolanaStandIn | None = None) -> Iterator[SolanaStandIn]:
    """Serve a stand-in on loopback."""
    node = node or SolanaStandIn()
    server = ThreadingHTTPServer(("127.0.0.1", 0), _handler(node))
    server.daemon_threads = True
    node.url = f"http://127.0.0.1:{server.server_address[1]}"
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True)
    thread.start()
    try:
        yield node
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


def _handler(node: SolanaStandIn) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = json.loads(self.rfile.read(int(self.headers["content-length"])))
            answer = {"jsonrpc": "2.0", "id": body["id"]}
            try:
                answer["result"] = node.answer(body["method"], body["params"])
            except Refused:
                answer["error"] = {"code": -32016, "message": "Minimum context slot has not been reached"}
            payload = json.dumps(answer).encode()
            self.send_response(200)
            self.send_header("content-type", "application/json")
            self.send_header("content-length", str(len(payload)))
            self.end_headers()
            self.wfile.write(payload)

        def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - the server's name for it
            """Say nothing."""

    return Handler
