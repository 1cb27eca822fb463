"""
Sessions: opened by who proved to control a wallet, found by their token, ended by their owner or by time.

A token is new with every sign-in and known to nobody before, so none can be planted on somebody. A session does not
outlive the link of the wallet that opened it.
"""

import asyncio
from collections.abc import Iterable
from dataclasses import dataclass, field

from jatevo.application.identity import SessionStore
from jatevo.application.ports import Clock, Directory, Randomness
from jatevo.domain import sessions
from jatevo.domain.accounts import Account
from jatevo.domain.refusals import Code, Refusal
from jatevo.domain.sessions import MAX_SESSIONS_PER_ACCOUNT, Session
from jatevo.domain.wallets import Wallet

_NONE = Refusal(
    Code.INVALID_SESSION,
    "Sign in first: POST /account/v1/auth/challenge, then /account/v1/auth/verify, and send the token as "
    "'Authorization: Bearer …'.",
)
_OVER = Refusal(Code.INVALID_SESSION, "This session has ended. Sign in again.")
_DISABLED = Refusal(Code.ACCOUNT_DISABLED, "This account is disabled.")


@dataclass(frozen=True, slots=True)
class OpenedSession:
    """A new session, and the secret its owner needs: it cannot be had again."""

    session: Session
    token: str = field(repr=False)


@dataclass(frozen=True, slots=True)
class SignedIn:
    """Who sends a request of self-service: a session that is going on, and its account."""

    session: Session
    account: Account


class Sessions:
    """Opens, finds and ends sessions, which last `lifetime_s` and are not prolonged."""

    def __init__(
        self, store: SessionStore, directory: Directory, clock: Clock, randomness: Randomness, *, lifetime_s: int
    ) -> None:
        self._store = store
        self._directory = directory
        self._clock = clock
        self._randomness = randomness
        self._lifetime_s = lifetime_s

    async def open(self, account_id: str, wallet: Wallet) -> OpenedSession | Refusal:
        """Return a new session; refused when the account is disabled, or the wallet was unlinked at this moment."""
        account = await self._directory.account(account_id, fresh=True)
        if account is None or not account.enabled:
            return _DISABLED
        now = self._clock.now_ms() // 1000
        token = sessions.compose(account_id, self._randomness.secret(sessions.SECRET_BYTES))
        session = Session(account_id, sessions.digest(token), wallet, now, now + self._lifetime_s)
        if not await self._store.open(session):
            return Refusal(Code.CONFLICT, "The wallet was unlinked at this moment. Sign in again.")
        await self._end_oldest(account_id)
        return OpenedSession(session, token)

    async def authenticate(self, token: str | None) -> SignedIn | Refusal:
        """Return whose session a token is, or why it is none."""
        account_id = None if token is None else sessions.account_of(token)
        if token is None or account_id is None:
            return _NONE
        session = await self._store.session(account_id, sessions.digest(token))
        if session is None or session.expires_at_unix_s <= self._clock.now_ms() // 1000:
            return _OVER
        account = await self._directory.account(account_id)
        if account is None:
            # Its first session may be younger than what this process remembers.
            account = await self._directory.account(account_id, fresh=True)
        return SignedIn(session, account) if account is not None and account.enabled else _DISABLED

    async def end(self, session: Session) -> None:
        """End one session."""
        await self._store.end(session.account_id, session.digest)

    async def end_all(self, account_id: str) -> None:
        """End every session of an account."""
        await self._end(await self._store.of_account(account_id))

    async def end_of_wallet(self, account_id: str, wallet: Wallet) -> None:
        """End the sessions that a wallet opened."""
        await self._end([session for session in await self._store.of_account(account_id) if session.wallet == wallet])

    async def _end_oldest(self, account_id: str) -> None:
        stored = sorted(await self._store.of_account(account_id), key=lambda session: session.created_at_unix_s)
        await self._end(stored[: max(0, len(stored) - MAX_SESSIONS_PER_ACCOUNT)])

    async def _end(self, ended: Iterable[Session]) -> None:
        await asyncio.gather(*(self.end(session) for session in ended))
