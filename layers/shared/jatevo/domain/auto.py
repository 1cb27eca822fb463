"""
Which model serves a request that leaves the choice to the gateway: `auto`.

The rule, deterministic: of the models the caller may use and that some route can serve as asked, those fit whose
context window holds the input and the output that was asked for. Of those the cheapest for this very request is taken,
at its listed price and for the same length of answer; of two that cost the same, the one whose id comes first.
"""

from collections.abc import Iterable

from jatevo.domain.catalogue import Model
from jatevo.domain.projection import Ask, measured_tokens, with_output_cap

AUTO = "auto"
TYPICAL_OUTPUT_TOKENS = 1024
"""The length of answer by which models are compared when the request names none."""


def fits(model: Model, ask: Ask) -> bool:
    """Return whether a model can hold the input, and as much output as was asked for."""
    if ask.output_cap is not None and ask.output_cap > model.max_output_tokens:
        return False
    wanted = ask.output_cap or min(TYPICAL_OUTPUT_TOKENS, model.default_output_tokens)
    return measured_tokens(model, ask) + wanted <= model.context_window


def cost(model: Model, ask: Ask) -> int:
    """Return what models are compared by: the worst cost of this request, without margin, in nano-USD."""
    cap = ask.output_cap or min(TYPICAL_OUTPUT_TOKENS, model.max_output_tokens)
    return with_output_cap(model, ask, 0, cap=cap).amount_nano_usd


def by_preference(models: Iterable[Model], ask: Ask) -> list[Model]:
    """Return the models that fit, the one to take first."""
    return sorted((model for model in models if fits(model, ask)), key=lambda model: (cost(model, ask), model.id))
