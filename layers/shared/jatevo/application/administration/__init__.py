"""
What operators do: accounts, keys, the catalogue, the books and each other.

`Administration` bundles the use cases for the two edges that offer them, the admin API and the local stack.
"""

from dataclasses import dataclass
from typing import TYPE_CHECKING

from jatevo.application.administration.accounts import Accounts
from jatevo.application.administration.books import Books
from jatevo.application.administration.catalogues import Catalogues
from jatevo.application.administration.checkup import Checkup
from jatevo.application.administration.corrections import Corrections
from jatevo.application.administration.erasure import Erasure
from jatevo.application.administration.grants import Grants
from jatevo.application.administration.keys import Keys
from jatevo.application.administration.lanes import Lanes
from jatevo.application.administration.operators import Operators
from jatevo.application.administration.prices import PriceAdministration
from jatevo.application.administration.routes import Routes
from jatevo.application.administration.service import ServiceSwitch
from jatevo.application.holdings_refresh import HoldingsRefresh
from jatevo.application.snapshots import Snapshots
from jatevo.application.sweeper import Sweeper

if TYPE_CHECKING:
    from jatevo.application.audit import Audit  # which imports what is refused from here


@dataclass(frozen=True, slots=True)
class Administration:
    """All use cases of operators."""

    accounts: Accounts
    keys: Keys
    catalogues: Catalogues
    operators: Operators
    books: Books
    corrections: Corrections
    erasure: Erasure
    checkup: Checkup
    sweeper: Sweeper
    prices: PriceAdministration
    snapshots: Snapshots
    refresh: HoldingsRefresh
    routes: Routes
    lanes: Lanes
    audit: "Audit"
    grants: Grants
    service: ServiceSwitch
