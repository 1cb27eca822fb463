"""
What the owner of an account does without an operator's help: signing in, wallets, keys, the books.

`SelfService` bundles the use cases for the edge that offers them. Each takes the id of the account whose owner is
signed in, and reaches nothing of another one.
"""

from dataclasses import dataclass

from jatevo.application.attempts import Attempts
from jatevo.application.self_service.books import OwnBooks
from jatevo.application.self_service.budgets import Budgets
from jatevo.application.self_service.keys import OwnKeys
from jatevo.application.self_service.wallets import LinkedWallets
from jatevo.application.sessions import Sessions
from jatevo.application.sign_in import Proofs, SignIn, Sites


@dataclass(frozen=True, slots=True)
class SelfService:
    """All use cases of owners. `site`: where they sign in."""

    site: Sites
    attempts: Attempts
    proofs: Proofs
    sign_in: SignIn
    sessions: Sessions
    wallets: LinkedWallets
    keys: OwnKeys
    books: OwnBooks
    budgets: Budgets
