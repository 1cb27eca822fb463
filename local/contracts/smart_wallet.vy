# pragma version ==0.4.3
"""
@title A contract wallet with one owner, which vouches for that owner's signatures (EIP-1271).
@notice Deployed by itself it belongs to its constructor's owner; a copy made by the factory to whom it is initialised for.
"""

MAGIC: constant(bytes4) = 0x1626ba7e
NO: constant(bytes4) = 0xffffffff

owner: public(address)


@deploy
def __init__(owner: address):
    self.owner = owner


@external
def initialise(owner: address):
    assert self.owner == empty(address), "it has an owner"
    self.owner = owner


@external
@view
def isValidSignature(digest: bytes32, signature: Bytes[1024]) -> bytes4:
    if len(signature) != 65:
        return NO
    r: uint256 = convert(slice(signature, 0, 32), uint256)
    s: uint256 = convert(slice(signature, 32, 32), uint256)
    v: uint256 = convert(slice(signature, 64, 1), uint256)
    signer: address = ecrecover(digest, v, r, s)
    return MAGIC if signer != empty(address) and signer == self.owner else NO


@external
def execute(target: address, data: Bytes[4096]) -> Bytes[256]:
    assert msg.sender == self.owner, "only its owner may"
    return raw_call(target, data, max_outsize=256)
