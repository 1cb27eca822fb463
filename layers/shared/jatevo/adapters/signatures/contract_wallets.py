"""
Signatures of contract wallets: EIP-1271, and EIP-6492 for wallets that are not deployed yet.

A node of the chain is asked to run the check; nothing is ever sent. A wallet that exists is asked `isValidSignature`.
One that does not is deployed within the same call, in a state that the node then throws away: the call has no
recipient, so its data is run as if it were to create a contract, and that little program calls the factory, asks the
wallet, and gives back its answer. The rules of this verifier:

- only the exact 32 bytes of the magic value, from an address that has code, are a yes: a contract that echoes its
  input, or a precompiled one, says no;
- a factory is called only where the wallet has no code. EIP-6492 also lets a signer "prepare" a wallet that exists;
  that would run anybody's call against a real wallet before it is asked, and is not done;
- the caller is an address nobody has a key to. With none given, nodes use zero or an account of their own, which some
  contracts trust in simulations.

https://eips.ethereum.org/EIPS/eip-1271, https://eips.ethereum.org/EIPS/eip-6492
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

MAGIC_SUFFIX = bytes.fromhex("6492" * 16)
_IS_VALID = bytes.fromhex("1626ba7e")
_YES = _IS_VALID + bytes(28)
_WORD = 32
MAX_SIGNATURE_BYTES = 16_384
"""Far more than wallets send; with what is put around it, a program is below what nodes run (EIP-3860: 49,152)."""
CALLER = "0x" + b"jatevo gateway signs".hex()
"""Nobody can have a key to an address that was chosen to be a text."""


class Rpc(Protocol):
    """JSON-RPC to a node of the wallet's chain."""

    def call(self, method: str, parameters: Sequence[Any]) -> str:
        """Return the result, hexadecimal. Raises Reverted, ChainUnavailable."""
        ...


class Reverted(Exception):
    """The node ran the call, and the call failed."""


@dataclass(frozen=True, slots=True)
class _Undeployed:
    """What EIP-6492 wraps a signature in: how the wallet would be deployed, and what the wallet is to check."""

    factory: bytes
    deployment: bytes
    signature: bytes


def vouched(rpc: Rpc, address: str, digest: bytes, signature: bytes) -> bool:
    """Return whether the contract wallet at `address` vouches for a signature of `digest`. Raises ChainUnavailable."""
    assert len(signature) <= MAX_SIGNATURE_BYTES, "checked where it was read"
    wrapped = _unwrapped(signature)
    if wrapped is None and signature.endswith(MAGIC_SUFFIX):
        return False
    if rpc.call("eth_getCode", [address, "latest"]) != "0x":
        inner = signature if wrapped is None else wrapped.signature
        return _answers_yes(rpc, {"to": address, "data": _hex(_question(digest, inner))})
    if wrapped is None:
        return False
    question = _question(digest, wrapped.signature)
    program = _deploying(bytes.fromhex(address[2:]), wrapped.factory, wrapped.deployment, question)
    return _answers_yes(rpc, {"data": _hex(program)})


def _answers_yes(rpc: Rpc, call: Mapping[str, str]) -> bool:
    try:
        return rpc.call("eth_call", [{"from": CALLER, **call}, "latest"]) == _hex(_YES)
    except Reverted:
        return False


def _question(digest: bytes, signature: bytes) -> bytes:
    """Return the call `isValidSignature(bytes32 digest, bytes signature)`."""
    padding = bytes(-len(signature) % _WORD)
    return _IS_VALID + digest + _word(2 * _WORD) + _word(len(signature)) + signature + padding


def _unwrapped(signature: bytes) -> _Undeployed | None:
    """Return what `abi.encode(address, bytes, bytes)` before the magic suffix holds, or None."""
    if not signature.endswith(MAGIC_SUFFIX):
        return None
    data = signature[: -len(MAGIC_SUFFIX)]
    if len(data) < 3 * _WORD or any(data[:12]):
        return None
    deployment, inner = _bytes_at(data, 1), _bytes_at(data, 2)
    return None if deployment is None or inner is None else _Undeployed(data[12:_WORD], deployment, inner)


def _bytes_at(data: bytes, place: int) -> bytes | None:
    """Return the `bytes` whose offset is the word at `place`, or None when it lies outside."""
    start = int.from_bytes(data[place * _WORD : (place + 1) * _WORD])
    if start > len(data) - _WORD:
        return None
    length = int.from_bytes(data[start : start + _WORD])
    if length > len(data) - start - _WORD:
        return None
    return data[start + _WORD : start + _WORD + length]


def _deploying(wallet: bytes, factory: bytes, deployment: bytes, question: bytes) -> bytes:
    """
    Return a program that calls `factory` with `deployment`, asks `wallet` the `question`, and returns its answer.

    It returns nothing when the wallet has no code even then, refuses, or answers with less than a word.
    """
    length = len(_program(wallet, factory, len(deployment), len(question), after=0))
    return _program(wallet, factory, len(deployment), len(question), after=length) + deployment + question


def _program(wallet: bytes, factory: bytes, deployment: int, question: int, *, after: int) -> bytes:
    """Return the program proper, whose length does not depend on `after`: where the two calls' data begins."""
    # CALL(gas, factory, no value, the deployment, no room): whether it worked shows in whether the wallet is there.
    deploy = (
        _copy(after, deployment)
        + _push(0, 0)
        + _push2(deployment)
        + _push(0, 0)
        + _push20(factory)
        + _GAS
        + _CALL
        + _POP
    )
    # STATICCALL(gas, wallet, the question, no room), then three reasons to say nothing
    ask = (
        _copy(after + deployment, question)
        + _push(0, 0)
        + _push2(question)
        + _push(0)
        + _push20(wallet)
        + _GAS
        + _STATICCALL
    )
    refused = _ISZERO
    has_no_code = _push20(wallet) + _EXTCODESIZE + _ISZERO
    too_short = _push(_WORD) + _RETURNDATASIZE + _LT
    begin = deploy + ask + refused + has_no_code + _OR + too_short + _OR + _ISZERO
    answered = len(begin) + len(_push2(0) + _JUMPI + _STOP)
    answer = _push(_WORD, 0, 0) + _RETURNDATACOPY + _push(_WORD, 0) + _RETURN
    return begin + _push2(answered) + _JUMPI + _STOP + _JUMPDEST + answer


def _copy(start: int, length: int) -> bytes:
    """CODECOPY(0, start, length): put a part of the program's own data at the beginning of memory."""
    return _push2(length) + _push2(start) + _push(0) + _CODECOPY


def _push(*values: int) -> bytes:
    return b"".join(bytes([0x60, value]) for value in values)


def _push2(value: int) -> bytes:
    return b"\x61" + value.to_bytes(2)


def _push20(address: bytes) -> bytes:
    return b"\x73" + address


def _word(value: int) -> bytes:
    return value.to_bytes(_WORD)


def _hex(data: bytes) -> str:
    return "0x" + data.hex()


_STOP, _LT, _ISZERO, _OR = b"\x00", b"\x10", b"\x15", b"\x17"
_CODECOPY, _EXTCODESIZE, _RETURNDATASIZE, _RETURNDATACOPY = b"\x39", b"\x3b", b"\x3d", b"\x3e"
_POP, _JUMPI, _GAS, _JUMPDEST = b"\x50", b"\x57", b"\x5a", b"\x5b"
_CALL, _RETURN, _STATICCALL = b"\xf1", b"\xf3", b"\xfa"
