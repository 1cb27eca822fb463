"""What each visitor of the playground was answered, by where they come from: it is never more than one may have."""

from collections import defaultdict
from ipaddress import ip_address, ip_network

from jatevo_testing.simulation.images import Decision


class Visits:
    """All visits of a history. `requests`, `nano_usd`: what a visitor may use in a day."""

    def __init__(self, requests: int, nano_usd: int) -> None:
        self._requests = requests
        self._nano_usd = nano_usd
        self._charges: dict[tuple[str, str], list[int]] = defaultdict(list)

    def answered(self, address: str, decision: Decision) -> None:
        """Take an answer that a visitor got, and what it was charged."""
        day = decision.book.partition("#")[2]
        charges = self._charges[_subscriber(address), day]
        charges.append(decision.charge)
        assert len(charges) <= self._requests, "a visitor is answered more often than the quota says"
        assert sum(charges) <= self._nano_usd, "a visitor has spent more than the quota says"


def _subscriber(address: str) -> str:
    """Return who has an address: it alone, or all with the same half of one of the long ones."""
    return str(ip_network((address, 64), strict=False)) if ip_address(address).version == 6 else address
