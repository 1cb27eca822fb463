"""What a request that signs nobody in does not pay for."""

import subprocess
import sys

import pytest

from jatevo.bootstrap import SettingsError, settings_from
from jatevo_local.engine import AWS_ENVIRONMENT

_STARTED = """
import sys
from jatevo_account.handler import create_app
from jatevo.bootstrap import Gateway, Settings
create_app(Gateway(Settings(public_url="https://gateway.test/prod"), {}))
print(*(name for name in ("web3", "eth_keys", "eth_hash", "eth_abi", "cryptography", "pynamodb", "requests")
        if name in sys.modules))
"""

_SERVING = """
import sys
from jatevo.bootstrap import Gateway, Settings
token = "eip155:1/erc20:0x" + "11" * 20
Gateway(Settings(evm_token=token, evm_rpc_urls="http://127.0.0.1:9"), {}).self_service()
print(*(name for name in ("web3", "eth_keys", "eth_hash", "eth_abi", "cryptography") if name in sys.modules))
"""


@pytest.mark.parametrize("script", [_STARTED, _SERVING], ids=["started", "serving owners of a token on a chain"])
def test_nobody_waits_for_what_only_signatures_and_chains_need(script: str) -> None:
    done = subprocess.run(
        [sys.executable, "-c", script], env=AWS_ENVIRONMENT, capture_output=True, text=True, check=False, timeout=60
    )
    assert (done.returncode, done.stdout.split()) == (0, []), done.stdout + done.stderr


@pytest.mark.parametrize("url", ["http://gateway.test", "gateway.test", "https://gateway.test/?x", "https://a b"])
def test_a_public_address_that_cannot_be_meant_is_one_line_at_the_start(url: str) -> None:
    with pytest.raises(SettingsError, match="JATEVO_PUBLIC_URL must be like"):
        settings_from({"JATEVO_PUBLIC_URL": url})
    assert settings_from({"JATEVO_PUBLIC_URL": "ssm:/jatevo/public-url"}).public_url == "ssm:/jatevo/public-url"


def test_wallets_sign_in_on_the_chain_of_the_token_and_on_no_other() -> None:
    """Whoever deploys a contract on one chain at the address of somebody's wallet on another answers for it there."""
    token = {"JATEVO_EVM_TOKEN": "eip155:8453/erc20:0x" + "11" * 20}
    assert settings_from(token).chain_ids.evm == 8453
    assert settings_from(token | {"JATEVO_EVM_CHAIN_ID": "8453"}).chain_ids.evm == 8453
    assert settings_from({}).chain_ids.evm == 1
    with pytest.raises(SettingsError, match="wallets sign in on the chain of the token"):
        settings_from(token | {"JATEVO_EVM_CHAIN_ID": "1"})
