"""
Jatevo Gateway: pooled language-model capacity behind one OpenAI-compatible API, metered by two exact limits.

`domain` holds the rules, `application` the use cases and the ports they need, `adapters` everything that touches the
world, `bootstrap` the wiring. Imports point that way only: bootstrap → adapters → application → domain.
"""

__version__ = "0.1.0"
