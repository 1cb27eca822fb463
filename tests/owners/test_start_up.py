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


def test_the_account_app_starts_without_what_only_signatures_and_keys_need() -> None:
    done = subprocess.run(
        [sys.executable, "-c", _STARTED], env=AWS_ENVIRONMENT, capture_output=True, text=True, check=False, timeout=60
    )
    assert (done.returncode, done.stdout.split()) == (0, []), done.stdout + done.stderr


@pytest.mark.parametrize("url", ["http://gateway.test", "gateway.test", "https://gateway.test/?x", "https://a b"])
def test_a_public_address_that_cannot_be_meant_is_one_line_at_the_start(url: str) -> None:
    with pytest.raises(SettingsError, match="JATEVO_PUBLIC_URL must be like"):
        settings_from({"JATEVO_PUBLIC_URL": url})
    assert settings_from({"JATEVO_PUBLIC_URL": "ssm:/jatevo/public-url"}).public_url == "ssm:/jatevo/public-url"
