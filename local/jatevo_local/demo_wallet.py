"""
The demo wallet's own routes, on this machine only: a browser without a wallet can sign in with it.

`GET /local/v1/demo-wallet` tells its address, `POST /local/v1/demo-wallet/sign` signs a text as `personal_sign` does.
Whoever can reach the port can have texts signed by a wallet that holds nothing of worth; nothing of this is deployed.
"""

from dataclasses import dataclass
from pathlib import Path

from eth_hash.auto import keccak
from eth_keys.datatypes import PrivateKey
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse
from starlette.routing import Route

PREFIX = "/local/v1"
_LONGEST_TEXT = 4096


@dataclass(frozen=True, slots=True)
class DemoWallet:
    """A wallet of this machine."""

    key: PrivateKey

    @property
    def address(self) -> str:
        return self.key.public_key.to_checksum_address()

    def sign(self, text: str) -> str:
        """Return the signature of a text by EIP-191, as hexadecimal digits after 0x."""
        data = text.encode()
        digest = keccak(b"\x19Ethereum Signed Message:\n%d%b" % (len(data), data))
        signature = self.key.sign_msg_hash(digest)
        return f"0x{signature.r:064x}{signature.s:064x}{signature.v + 27:02x}"


def demo_wallet_from(file: Path) -> DemoWallet:
    """Return the wallet whose private key stands in a file, as hexadecimal digits."""
    return DemoWallet(PrivateKey(bytes.fromhex(file.read_text().strip().removeprefix("0x"))))


def demo_wallet_app(wallet: DemoWallet | None) -> Starlette:
    """Return the routes. Without a wallet there is no address, and nothing is signed."""

    async def show(_request: Request) -> JSONResponse:
        if wallet is None:
            return JSONResponse({"chain": None, "address": None})
        return JSONResponse({"chain": "ethereum", "address": wallet.address})

    async def sign(request: Request) -> JSONResponse:
        if wallet is None:
            return _refused("This stack has no demo wallet.", 404)
        try:
            text = (await request.json())["message"]
        except (ValueError, KeyError, TypeError):
            text = None
        if not isinstance(text, str) or len(text) > _LONGEST_TEXT:
            return _refused("message must be a text.", 400)
        return JSONResponse({"signature": wallet.sign(text)})

    prefix = f"{PREFIX}/demo-wallet"
    return Starlette(routes=[Route(prefix, show), Route(f"{prefix}/sign", sign, methods=["POST"])])


def _refused(message: str, status: int) -> JSONResponse:
    return JSONResponse({"error": {"message": message}}, status)
