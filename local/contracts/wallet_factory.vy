# pragma version ==0.4.3
"""
@title Deploys contract wallets at addresses known beforehand, so that one can sign before it exists (EIP-6492).
@notice The address depends on the owner and the salt only: nobody else can take it. Calling `deploy` without sending it
        tells the address.
"""

interface SmartWallet:
    def initialise(owner: address): nonpayable

implementation: public(immutable(address))


@deploy
def __init__(implementation_: address):
    implementation = implementation_


@external
def deploy(owner: address, salt: bytes32) -> address:
    own_salt: bytes32 = keccak256(abi_encode(owner, salt))
    wallet: address = create_minimal_proxy_to(implementation, salt=own_salt)
    extcall SmartWallet(wallet).initialise(owner)
    return wallet
