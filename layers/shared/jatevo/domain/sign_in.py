"""
Challenges: the text a wallet signs to prove that somebody controls it.

The text is EIP-4361's, for Solana wallets too (as their "Sign In With Solana" has it). It is composed here, stored as
it is, and a signature is checked against exactly what was stored; nothing a client sends is ever parsed as such a text.
It names the site, so a text signed for one site serves at no other; the wallet; the chain; what it is good for; a
nonce that works once; and when it ends.

https://eips.ethereum.org/EIPS/eip-4361
"""

import re
from dataclasses import dataclass

from jatevo.domain.calendar import iso_instant
from jatevo.domain.wallets import Namespace, Wallet

LIFETIME_S = 300
MAX_ATTEMPTS = 5
"""Signatures that may be tried on one challenge. Whoever asked for it is who can spend them."""
NONCE_CHARACTERS = 26
"""Of five random bits each."""

_PEOPLE = {Namespace.EIP155: "Ethereum", Namespace.SOLANA: "Solana"}
_ALIASES = {"ethereum": Namespace.EIP155, "evm": Namespace.EIP155, "solana": Namespace.SOLANA}
_URL = re.compile(
    r"(?P<scheme>https?)://(?P<host>[a-z0-9](?:[a-z0-9.-]{0,251}[a-z0-9])?|\[::1\])(?P<port>:[0-9]{1,5})?"
    r"(?P<path>(?:/[A-Za-z0-9._~-]{1,64}){0,4}/?)",
    re.ASCII,
)
_THIS_MACHINE = frozenset({"127.0.0.1", "localhost", "[::1]"})


@dataclass(frozen=True, slots=True)
class ChainIds:
    """The chains whose wallets are taken: what stands as "Chain ID" in a text."""

    evm: int
    solana: str

    def of(self, namespace: Namespace) -> str:
        return str(self.evm) if namespace is Namespace.EIP155 else self.solana


@dataclass(frozen=True, slots=True)
class Site:
    """Where people sign in: an origin of this gateway, and the path its routes are under. See `site_at`."""

    scheme: str
    domain: str
    """The host, with its port where it has one: what a wallet compares with the page that asks."""
    path: str = ""

    @property
    def origin(self) -> str:
        """What a browser sends as `Origin` from our pages."""
        return f"{self.scheme}://{self.domain}"

    @property
    def url(self) -> str:
        return self.origin + self.path

    @property
    def secure(self) -> bool:
        return self.scheme == "https"


def site_at(url: str) -> Site | None:
    """
    Return the site at a public URL such as `https://api.example.com/prod`, or None when it is none.

    Plain HTTP is for this machine only: a session's cookie would travel for all to read.
    """
    form = _URL.fullmatch(url)
    if form is None or (form["scheme"] == "http" and form["host"] not in _THIS_MACHINE):
        return None
    return Site(form["scheme"], f"{form['host']}{form['port'] or ''}", form["path"].rstrip("/"))


@dataclass(frozen=True, slots=True)
class Challenge:
    """A text to be signed by `wallet`. `account_id`: the account it links the wallet to; None: it signs in."""

    nonce: str
    wallet: Wallet
    message: str
    expires_at_unix_s: int
    account_id: str | None = None
    attempts: int = 0


def namespace_of(chain: str, ids: ChainIds) -> Namespace | None:
    """Return the family of a chain as clients name it: `eip155:1`, `ethereum`, `evm`, `solana`; None if not taken."""
    if chain == f"eip155:{ids.evm}":
        return Namespace.EIP155
    return _ALIASES.get(chain)


def statement(account_id: str | None) -> str:
    """Return what the signature is for, in one line."""
    if account_id is None:
        return "Sign in to Jatevo Gateway. This costs nothing and sends no transaction."
    return f"Link this wallet to the Jatevo Gateway account {account_id}. This costs nothing and sends no transaction."


def message(
    site: Site, wallet: Wallet, shown_address: str, chain_id: str, nonce: str, now_unix_s: int, account_id: str | None
) -> str:
    """Return the text. `shown_address` is the wallet's address as its chain writes it."""
    return (
        f"{site.domain} wants you to sign in with your {_PEOPLE[wallet.namespace]} account:\n"
        f"{shown_address}\n"
        "\n"
        f"{statement(account_id)}\n"
        "\n"
        f"URI: {site.url}\n"
        "Version: 1\n"
        f"Chain ID: {chain_id}\n"
        f"Nonce: {nonce}\n"
        f"Issued At: {iso_instant(now_unix_s)}\n"
        f"Expiration Time: {iso_instant(now_unix_s + LIFETIME_S)}"
    )
