"""What a request that signs nobody in does not pay for."""

import subprocess
import sys

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
