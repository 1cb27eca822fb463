"""
The wallets of an account: list, link, unlink.

The last wallet stays: without any, nobody could sign in to the account again, and its keys could be neither changed nor
stopped by their owner. Unlinking ends the sessions that the wallet opened, and moves no budget before the next day:
what the wallet counted for today stays on its item.
"""

from collections.abc import Sequence

from jatevo.application.identity import HoldingsReader, LinkedWallet, WalletStore
from jatevo.application.ports import Clock
from jatevo.application.sessions import Sessions
from jatevo.application.sign_in import Proofs, read_holdings
from jatevo.domain.refusals import Code, Refusal
from jatevo.domain.sign_in import Challenge
from jatevo.domain.wallets import wallet_from_text

MAX_WALLETS_PER_ACCOUNT = 50

_ELSEWHERE = Refusal(
    Code.WALLET_LINKED, "This wallet belongs to another account. Sign in with it and unlink it there first."
)
_LAST = Refusal(
    Code.LAST_WALLET, "This is the account's last wallet: link another one first, or nobody could sign in any more."
)
_NOT_LINKED = Refusal(Code.NOT_FOUND, "No such wallet is linked to this account.", "wallet")
_MOST = Refusal(Code.TOO_MANY_WALLETS, f"An account has at most {MAX_WALLETS_PER_ACCOUNT} wallets.")


class LinkedWallets:
    """The wallets of accounts whose owner is signed in."""

    def __init__(
        self,
        proofs: Proofs,
        wallets: WalletStore,
        sessions: Sessions,
        clock: Clock,
        *,
        holdings: HoldingsReader | None = None,
    ) -> None:
        self._proofs = proofs
        self._wallets = wallets
        self._sessions = sessions
        self._clock = clock
        self._holdings = holdings

    async def of_account(self, account_id: str) -> Sequence[LinkedWallet]:
        """Return an account's wallets, those linked first before the others."""
        found = await self._wallets.of_account(account_id)
        return sorted(found, key=lambda linked: (linked.linked_at_unix_s, str(linked.wallet)))

    async def challenge(self, account_id: str, chain: str, address: str, source_ip: str | None) -> Challenge | Refusal:
        """Return a challenge whose signature links a wallet to an account."""
        return await self._proofs.challenge(chain, address, source_ip, account_id=account_id)

    async def link(self, account_id: str, nonce: str, signature: str, source_ip: str | None) -> LinkedWallet | Refusal:
        """Link the wallet that signed a challenge. Linking one of one's own again changes nothing."""
        if len(await self._wallets.of_account(account_id)) >= MAX_WALLETS_PER_ACCOUNT:
            return _MOST
        proved = await self._proofs.proved(nonce, signature, source_ip, account_id=account_id)
        if isinstance(proved, Refusal):
            return proved
        linked = await self._wallets.link(proved, account_id, self._clock.now_ms() // 1000)
        stored = await self._wallets.wallet(proved)
        if stored is None or stored.account_id != account_id:
            return _ELSEWHERE
        if linked:
            await read_holdings(self._holdings, account_id, proved)
        return stored

    async def unlink(self, account_id: str, text: str) -> Refusal | None:
        """Unlink a wallet, named by its canonical text, or say why not."""
        wallet = wallet_from_text(text)
        stored = None if wallet is None else await self._wallets.wallet(wallet)
        if wallet is None:
            return _NOT_LINKED
        if stored is None or stored.account_id != account_id:
            # Whoever unlinked it may have died before its sessions were ended.
            await self._sessions.end_of_wallet(account_id, wallet)
            return _NOT_LINKED
        others = [linked.wallet for linked in await self._wallets.of_account(account_id) if linked.wallet != wallet]
        for other in others:
            if await self._wallets.unlink(wallet, account_id, staying=other):
                await self._sessions.end_of_wallet(account_id, wallet)
                return None
            # Either the other one has gone meanwhile, or this one.
            stored = await self._wallets.wallet(wallet)
            if stored is None or stored.account_id != account_id:
                return _NOT_LINKED
        return _LAST
