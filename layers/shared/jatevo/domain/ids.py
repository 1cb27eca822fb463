"""
Identifiers: how they look and sort. Random bits are passed in.

A reservation id is 16 characters: 42 bits of milliseconds since 2020, then 54 random bits, in an alphabet whose order
is the byte order. So ids of one account sort by time in the ledger, and a range of time is a range of ids.
"""

from base64 import b64decode, b64encode

_SORTED64 = "-0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZ_abcdefghijklmnopqrstuvwxyz"
_BASE64 = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/"
_TO_SORTED, _TO_BASE64 = str.maketrans(_BASE64, _SORTED64), str.maketrans(_SORTED64, _BASE64)
_BASE32 = "abcdefghijklmnopqrstuvwxyz234567"
_EPOCH_2020_MS = 1_577_836_800_000
_RANDOM_BITS = 54
_ID_BYTES = 12
_MOST_MS = (1 << 8 * _ID_BYTES - _RANDOM_BITS) - 1
RESERVATION_ID_LENGTH = 16
KEY_REF_LENGTH = 10


def reservation_id(unix_ms: int, random_bits: int) -> str:
    """Return the id of a reservation made at `unix_ms`, from 2020 to 2159, with at least 54 random bits."""
    since_2020_ms = min(max(0, unix_ms - _EPOCH_2020_MS), _MOST_MS)
    value = since_2020_ms << _RANDOM_BITS | (random_bits & ((1 << _RANDOM_BITS) - 1))
    return b64encode(value.to_bytes(_ID_BYTES)).decode("ascii").translate(_TO_SORTED)


def is_reservation_id(text: str) -> bool:
    """Return whether a text has the form of a reservation id."""
    return len(text) == RESERVATION_ID_LENGTH and all(character in _SORTED64 for character in text)


def reserved_at_ms(reservation_id: str) -> int:
    """Return when a reservation was made."""
    value = int.from_bytes(b64decode(reservation_id.translate(_TO_BASE64)))
    return (value >> _RANDOM_BITS) + _EPOCH_2020_MS


def first_reservation_id(unix_ms: int) -> str:
    """Return the least id a reservation made at `unix_ms` or later can have."""
    return reservation_id(unix_ms, 0)


def response_id(reservation_id: str) -> str:
    """Return the id of the response that a reservation was made for."""
    return f"resp_{reservation_id}"


def item_id(kind: str, response_id: str, place: int) -> str:
    """Return the id of an item of a response: `kind` (`msg`, `fc`, …), whose it is, which one. Items have places."""
    return f"{kind}_{response_id.partition('_')[2]}{place}"


def response_id_of_item(item_id: str) -> str | None:
    """Return the response that an item's id names, or None when it is no id of ours."""
    kind, _, rest = item_id.partition("_")
    name, place = rest[:RESERVATION_ID_LENGTH], rest[RESERVATION_ID_LENGTH:]
    ours = kind.isalpha() and place.isascii() and place.isdigit() and is_reservation_id(name)
    return f"resp_{name}" if ours else None


def name_id(prefix: str, random_bits: int, length: int) -> str:
    """Return `prefix` followed by `length` lower-case letters and digits of 5 random bits each."""
    return prefix + "".join(_BASE32[random_bits >> 5 * place & 31] for place in range(length))


def conversation_id(random_bits: int) -> str:
    return name_id("conv_", random_bits, 24)


def account_id(random_bits: int) -> str:
    return name_id("acct_", random_bits, 12)


def key_id(random_bits: int) -> str:
    return name_id("key_", random_bits, KEY_REF_LENGTH)


def key_ref(key_id: str) -> str:
    """Return the short id of a key, as it stands in windows."""
    return key_id.removeprefix("key_")
