"""
Compressed request bodies: `Content-Encoding: gzip` or `zstd`.

Guarantees: no more than `most_bytes` of a body is ever unpacked, and what is damaged, cut short or followed by
something else is refused. A package is imported when the first such body comes, not at a cold start.
"""

import zlib

from jatevo.adapters.http.asgi import BodyTooLarge

ACCEPTED = "gzip, zstd"
_MAGIC = {"gzip": b"\x1f\x8b", "zstd": b"\x28\xb5\x2f\xfd"}
_ALIASES = {"x-gzip": "gzip"}
_REPLACED = "\N{REPLACEMENT CHARACTER}".encode()
"""What a byte that is no UTF-8 has become when a body was read as text on its way."""
_GZIP_FRAMES = 16 + zlib.MAX_WBITS
_ZSTD_PIECE_BYTES = 256
"""A block of four bytes may unpack to 128 KB: so a piece unpacks to 8 MB at most."""
_ZSTD_WINDOW_BYTES = 8 * 1024 * 1024
"""What every decoder must be able to take (RFC 8878, 3.1.1.1.2), and ours takes no more."""


class BadEncoding(ValueError):
    """The body is not what its Content-Encoding says; the text says why and is fit for the client."""


class UnknownEncoding(ValueError):
    """The Content-Encoding is none that is taken here."""


def encoding_of(header: str | None) -> str | None:
    """Return the encoding that a Content-Encoding names, None for a plain body. Raises UnknownEncoding."""
    name = (header or "").strip(" \t").lower()
    name = _ALIASES.get(name, name)
    if name in {"", "identity"}:
        return None
    if name not in _MAGIC:
        raise UnknownEncoding
    return name


def decoded(raw: bytes, encoding: str, most_bytes: int) -> bytes:
    """Return a body unpacked. Raises BadEncoding, and BodyTooLarge when it unpacks to more than `most_bytes`."""
    if not raw.startswith(_MAGIC[encoding]):
        raise BadEncoding(_mangled(encoding) if _REPLACED in raw[:16] else f"The body is not {encoding}.")
    return _gzip(raw, most_bytes) if encoding == "gzip" else _zstd(raw, most_bytes)


def _gzip(raw: bytes, most_bytes: int) -> bytes:
    frame = zlib.decompressobj(_GZIP_FRAMES)
    try:
        unpacked = frame.decompress(raw, most_bytes + 1)
    except zlib.error:
        raise BadEncoding("The body is damaged gzip.") from None
    if len(unpacked) > most_bytes:
        raise BodyTooLarge
    _require_end("gzip", ended=frame.eof, rest=frame.unused_data)
    return unpacked


def _zstd(raw: bytes, most_bytes: int) -> bytes:
    import zstandard  # noqa: PLC0415 - only where such a body comes

    frame = zstandard.ZstdDecompressor(max_window_size=_ZSTD_WINDOW_BYTES).decompressobj()
    unpacked = bytearray()
    rest = b""
    for begin in range(0, len(raw), _ZSTD_PIECE_BYTES):
        if frame.eof:
            rest = raw[begin:]
            break
        try:
            unpacked += frame.decompress(raw[begin : begin + _ZSTD_PIECE_BYTES])
        except zstandard.ZstdError:
            raise BadEncoding("The body is damaged zstd, or needs more than 8 MB of memory.") from None
        if len(unpacked) > most_bytes:
            raise BodyTooLarge
    _require_end("zstd", ended=frame.eof, rest=rest or frame.unused_data)
    return bytes(unpacked)


def _require_end(encoding: str, *, ended: bool, rest: bytes) -> None:
    if not ended:
        raise BadEncoding(f"The body is {encoding} that ends too early.")
    if rest:
        raise BadEncoding(f"The body goes on after its {encoding} frame has ended: one frame is taken.")


def _mangled(encoding: str) -> str:
    return (
        f"The {encoding} body was read as text on its way here and is damaged: this gateway takes compressed bodies "
        f"with 'Content-Type: application/octet-stream' beside 'Content-Encoding: {encoding}'. Send it so, or "
        "uncompressed."
    )
