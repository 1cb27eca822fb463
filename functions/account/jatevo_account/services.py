"""What the routes of this function need."""

from collections.abc import Callable
from dataclasses import dataclass

from jatevo.adapters.wire.errors import ErrorWording
from jatevo.application.access import Access
from jatevo.application.counters import Counters
from jatevo.application.histories import Histories
from jatevo.application.ports import Clock, Directory, Randomness
from jatevo.application.self_service import SelfService
from jatevo.application.showcase import Showcase
from jatevo.application.usage import UsageReports


@dataclass(frozen=True, slots=True)
class AccountServices:
    """What the app needs, wired by bootstrap. `margin_bps`: of accounts that have none of their own."""

    access: Access
    directory: Directory
    counters: Counters
    usage: UsageReports
    histories: Histories
    clock: Clock
    randomness: Randomness
    wording: ErrorWording
    margin_bps: int
    showcase: Showcase
    self_service: Callable[[], SelfService]
    """Makes the use cases of owners, once."""
