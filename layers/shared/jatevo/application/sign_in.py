"""
Signing in with a wallet: a challenge, and a signature of exactly its text.

A challenge is for one wallet and one purpose, to sign in or to link the wallet to one account, and both stand in the
text that is signed: a signature got for the one is worth nothing for the other. Its nonce is a secret between the
gateway and whoever asked; each asker gets one of their own. So wrong signatures spend only the attempts of the one who
sends them, and cannot use up anybody else's challenge. A right signature uses its nonce up, by one conditional write
that succeeds once: of two that race, one is refused.
"""

import asyncio
import logging
from collections.abc import Awaitable, Callable

from jatevo.application.attempts import Attempts
from jatevo.application.holdings import ChainUnavailable
from jatevo.application.identity import (
    Challenges,
    HoldingsReader,
    Signatures,
    Unsigned,
    WalletStore,
)
from jatevo.application.ports import Clock, Randomness, StoreError
from jatevo.application.sessions import OpenedSession, Sessions
from jatevo.domain import ids, sign_in
from jatevo.domain.accounts import DEFAULT_CONCURRENCY, Account, LimitsFrom
from jatevo.domain.refusals import Code, Refusal, shown
from jatevo.domain.sign_in import LIFETIME_S, NONCE_CHARACTERS, ChainIds, Challenge, Site
from jatevo.domain.wallets import Wallet, wallet_at
from jatevo.domain.windows import Limits

_log = logging.getLogger(__name__)

type Sites = Callable[[], Awaitable[Site | None]]

_READING_PATIENCE_S = 10.0
"""How long signing in or linking waits for a balance; the regular refresh reads it otherwise."""
_ACCOUNT_ID_BITS = 60
_AGAIN = "Ask for a new one: POST /account/v1/auth/challenge."
_UNSIGNED = {
    Unsigned.UNKNOWN: Refusal(Code.UNKNOWN_NONCE, f"There is no challenge with this nonce. {_AGAIN}", "nonce"),
    Unsigned.EXPIRED: Refusal(Code.NONCE_EXPIRED, f"This challenge has expired. {_AGAIN}", "nonce"),
    Unsigned.USED: Refusal(Code.NONCE_USED, f"This challenge has been used. {_AGAIN}", "nonce"),
    Unsigned.SPENT: Refusal(
        Code.TOO_MANY_ATTEMPTS, f"Too many signatures were tried on this challenge. {_AGAIN}", "nonce"
    ),
}
_WRONG = Refusal(
    Code.INVALID_SIGNATURE,
    "This is not the wallet's signature of the challenge's message. Sign the message exactly as it was given, with the "
    "wallet it was given for.",
    "signature",
)
_NO_SITE = Refusal(Code.SERVICE_UNAVAILABLE, "Signing in is not set up at this gateway.")
_CHAIN_DOWN = Refusal(
    Code.SERVICE_UNAVAILABLE, "The wallet's chain cannot be asked right now. Try again shortly.", retry_after_s=5
)


class Proofs:
    """Challenges wallets and checks what they sign."""

    def __init__(
        self,
        challenges: Challenges,
        signatures: Signatures,
        attempts: Attempts,
        clock: Clock,
        randomness: Randomness,
        *,
        site: Sites,
        chains: ChainIds,
    ) -> None:
        self._challenges = challenges
        self._signatures = signatures
        self._attempts = attempts
        self._clock = clock
        self._randomness = randomness
        self._site = site
        self._chains = chains

    async def challenge(
        self, chain: str, address: str, source_ip: str | None, *, account_id: str | None = None
    ) -> Challenge | Refusal:
        """Return a challenge for a wallet: to sign in, or to link it to an account."""
        site = await self._site()
        if site is None:
            return _NO_SITE
        refusal = await self._attempts.challenge_from(source_ip)
        if refusal is not None:
            return refusal
        wallet = self._wallet(chain, address)
        if isinstance(wallet, Refusal):
            return wallet
        challenge = await self._made(site, wallet, account_id)
        await self._challenges.add_challenge(challenge)
        return challenge

    async def proved(
        self, nonce: str, signature: str, source_ip: str | None, *, account_id: str | None = None
    ) -> Wallet | Refusal:
        """Return the wallet that signed a challenge, which is used up with that; or why there is none."""
        refusal = await self._attempts.signature_from(source_ip)
        challenge = refusal or await self._attempted(nonce, account_id)
        if isinstance(challenge, Refusal):
            return challenge
        refusal = await self._why_not_its(challenge, signature)
        if refusal is not None:
            return refusal
        if not await self._challenges.consume(nonce, self._now()):
            return _UNSIGNED[Unsigned.USED]
        return challenge.wallet

    async def _why_not_its(self, challenge: Challenge, signature: str) -> Refusal | None:
        """Return why a signature is not the wallet's; None when it is. What asks a chain is bounded for each wallet."""
        if await self._signatures.signed(challenge.wallet, challenge.message, signature):
            return None
        refusal = await self._attempts.question_about(challenge.wallet)
        if refusal is not None:
            return refusal
        try:
            vouched = await self._signatures.vouched(challenge.wallet, challenge.message, signature)
        except ChainUnavailable:
            return _CHAIN_DOWN
        return None if vouched else _WRONG

    async def _attempted(self, nonce: str, account_id: str | None) -> Challenge | Refusal:
        """Return a challenge for this purpose, one attempt of which is counted."""
        if len(nonce) != NONCE_CHARACTERS or not (nonce.isascii() and nonce.isalnum()):
            return _UNSIGNED[Unsigned.UNKNOWN]
        challenge = await self._challenges.attempt(nonce, self._now())
        if isinstance(challenge, Unsigned):
            return _UNSIGNED[challenge]
        if challenge.account_id != account_id:
            return _UNSIGNED[Unsigned.UNKNOWN]
        return challenge

    def _wallet(self, chain: str, address: str) -> Wallet | Refusal:
        namespace = sign_in.namespace_of(chain, self._chains)
        if namespace is None:
            return Refusal(
                Code.UNSUPPORTED_CHAIN,
                f"Wallets of the chain '{shown(chain)}' cannot sign in here. Use 'eip155:{self._chains.evm}', "
                "'ethereum' or 'solana'.",
                "chain",
            )
        wallet = wallet_at(namespace, address)
        if wallet is None:
            return Refusal(Code.INVALID_VALUE, "This is no address of that chain.", "address")
        return wallet

    async def _made(self, site: Site, wallet: Wallet, account_id: str | None) -> Challenge:
        now = self._now()
        nonce = ids.name_id("", self._randomness.bits(5 * NONCE_CHARACTERS), NONCE_CHARACTERS)
        text = sign_in.message(
            site,
            wallet,
            await self._signatures.shown(wallet),
            self._chains.of(wallet.namespace),
            nonce,
            now,
            account_id,
        )
        return Challenge(nonce, wallet, text, now + LIFETIME_S, account_id)

    def _now(self) -> int:
        return self._clock.now_ms() // 1000


class SignIn:
    """From a signature to a session. The first one of a wallet that nobody linked makes an account."""

    def __init__(
        self,
        proofs: Proofs,
        wallets: WalletStore,
        sessions: Sessions,
        clock: Clock,
        randomness: Randomness,
        *,
        holdings: HoldingsReader | None = None,
    ) -> None:
        self._proofs = proofs
        self._wallets = wallets
        self._sessions = sessions
        self._clock = clock
        self._randomness = randomness
        self._holdings = holdings

    async def verify(self, nonce: str, signature: str, source_ip: str | None) -> OpenedSession | Refusal:
        """Return a new session of the account that the wallet belongs to."""
        proved = await self._proofs.proved(nonce, signature, source_ip)
        if isinstance(proved, Refusal):
            return proved
        return await self._sessions.open(await self._account_of(proved), proved)

    async def _account_of(self, wallet: Wallet) -> str:
        stored = await self._wallets.wallet(wallet)
        if stored is not None and stored.account_id is not None:
            return stored.account_id
        account = Account(
            id=ids.account_id(self._randomness.bits(_ACCOUNT_ID_BITS)),
            name=str(wallet),
            limits=Limits(0, 0, DEFAULT_CONCURRENCY),
            created_at_unix_s=self._clock.now_ms() // 1000,
            limits_from=LimitsFrom.HOLDINGS,
        )
        if await self._wallets.create_account(account, wallet):
            await read_holdings(self._holdings, account.id, wallet)
            return account.id
        stored = await self._wallets.wallet(wallet)
        if stored is None or stored.account_id is None:
            raise StoreError("the wallet was linked and unlinked within a moment")
        return stored.account_id


async def read_holdings(holdings: HoldingsReader | None, account_id: str, wallet: Wallet) -> None:
    """Have a newly linked wallet counted, as far as that works now: the regular refresh does what is left."""
    if holdings is None:
        return
    try:
        async with asyncio.timeout(_READING_PATIENCE_S):
            await holdings.linked(account_id, wallet)
    except (ChainUnavailable, StoreError, TimeoutError) as error:
        _log.warning("the holdings of %s are not read yet: %s", account_id, type(error).__name__)
