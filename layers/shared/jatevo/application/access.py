"""Who calls: from the bearer token to a valid key and its account."""

from jatevo.application.journal import Journal
from jatevo.application.ports import Clock, Directory
from jatevo.application.suspicion import Addresses, Sign
from jatevo.domain.accounts import ApiKey, Caller
from jatevo.domain.api_keys import PREFIX, digest, well_formed
from jatevo.domain.ip_ranges import in_ranges
from jatevo.domain.refusals import Code, Refusal


class Access:
    """Checks keys and what they may use. Costs a read only for well-formed keys not seen in the last seconds."""

    def __init__(self, directory: Directory, clock: Clock) -> None:
        self._directory = directory
        self._clock = clock
        self._addresses = Addresses()

    async def authenticate(self, bearer: str | None, source_ip: str | None, journal: Journal) -> Caller | Refusal:
        """
        Return the caller a bearer token stands for, or why there is none. The token is never repeated in a text.

        `source_ip` is what the gateway saw: the address a key with IP ranges must come from. Whose key it is, and what
        looks like a thief's use of it, is noted also where it is refused.
        """
        if not bearer:
            return Refusal(
                Code.INVALID_API_KEY,
                f"No API key was given. Send it as 'Authorization: Bearer {PREFIX}…'.",
            )
        if not well_formed(bearer):
            return Refusal(
                Code.INVALID_API_KEY,
                f"This is not a valid API key: keys begin with '{PREFIX}' and have 50 characters. Check for a typo.",
            )
        key = await self._directory.key(digest(bearer))
        if key is None:
            return Refusal(Code.INVALID_API_KEY, "This API key does not exist. Check for a typo or create a new key.")
        journal.account_id, journal.key_id = key.account_id, key.id
        account = await self._directory.account(key.account_id)
        if account is None or not account.enabled:
            journal.suspicion = None if key.enabled else Sign.DISABLED
            return Refusal(Code.KEY_DISABLED, "The account of this API key is disabled.")
        now = self._clock.now_ms() // 1000
        refusal = _unusable(key, source_ip, now)
        journal.suspicion = self._sign(key, refusal, source_ip, now)
        return refusal or Caller(key, account)

    def _sign(self, key: ApiKey, refusal: Refusal | None, source_ip: str | None, now_unix_s: int) -> Sign | None:
        if not key.enabled:
            return Sign.DISABLED
        if refusal is not None:
            return Sign.FOREIGN_ADDRESS if refusal.code is Code.IP_NOT_ALLOWED else None
        return Sign.MANY_ADDRESSES if self._addresses.too_many(key.id, source_ip, now_unix_s) else None


def _unusable(key: ApiKey, source_ip: str | None, now_unix_s: int) -> Refusal | None:
    if not key.enabled:
        return Refusal(Code.KEY_DISABLED, "This API key is disabled. Use another one or create a new key.")
    if key.expired(now_unix_s):
        return Refusal(Code.KEY_DISABLED, "This API key has expired. Create a new key.")
    if key.ip_ranges is not None and not in_ranges(source_ip, key.ip_ranges):
        return Refusal(Code.IP_NOT_ALLOWED, "This API key may not be used from your network.")
    return None
