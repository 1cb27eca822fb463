"""
What tokens cost: rates, long-context bands and the exact cost of an answer.

Rates are integer nano-USD per million tokens, so `tokens × rate` is femto-USD, exact. A price is fixed when a request
is reserved; later changes of the catalogue do not touch it.
"""

from dataclasses import dataclass

from jatevo.domain.money import FEMTO_PER_NANO
from jatevo.domain.tokens import TokenUsage


@dataclass(frozen=True, slots=True)
class Rates:
    """
    Nano-USD per million tokens of each kind; `request_nano_usd` is flat per request.

    A kind that is None is not sold: a request that needs it is refused before it is reserved. Should an upstream
    report such tokens all the same, they count at the dearest rate of their side.
    """

    input: int
    output: int
    cache_read: int
    cache_creation: int
    reasoning: int
    image_input: int | None = None
    audio_input: int | None = None
    image_output: int | None = None
    audio_output: int | None = None
    request_nano_usd: int = 0

    @property
    def dearest_text_input(self) -> int:
        return max(self.input, self.cache_read, self.cache_creation)

    @property
    def dearest_output(self) -> int:
        return max(self.output, self.reasoning, self.image_output or 0, self.audio_output or 0)

    def image_input_rate(self) -> int:
        return self.dearest_text_input if self.image_input is None else self.image_input

    def audio_input_rate(self) -> int:
        return self.dearest_text_input if self.audio_input is None else self.audio_input


@dataclass(frozen=True, slots=True)
class LongContext:
    """The rates that replace the base rates for a whole request whose input exceeds `threshold_tokens`."""

    threshold_tokens: int
    rates: Rates


@dataclass(frozen=True, slots=True)
class Price:
    """What one model costs."""

    base: Rates
    long_context: LongContext | None = None

    def rates_for(self, input_tokens: int) -> Rates:
        """Return the rates of the band in which an input of this size falls."""
        if self.long_context is not None and input_tokens > self.long_context.threshold_tokens:
            return self.long_context.rates
        return self.base

    def cost_femto_usd(self, usage: TokenUsage) -> int:
        """Return the exact cost of an answer."""
        rates = self.rates_for(usage.input_tokens)
        image_output = rates.dearest_output if rates.image_output is None else rates.image_output
        audio_output = rates.dearest_output if rates.audio_output is None else rates.audio_output
        return (
            usage.plain_input_tokens * rates.input
            + usage.cache_read_input_tokens * rates.cache_read
            + usage.cache_creation_input_tokens * rates.cache_creation
            + usage.image_input_tokens * rates.image_input_rate()
            + usage.audio_input_tokens * rates.audio_input_rate()
            + usage.plain_output_tokens * rates.output
            + usage.reasoning_output_tokens * rates.reasoning
            + usage.image_output_tokens * image_output
            + usage.audio_output_tokens * audio_output
            + rates.request_nano_usd * FEMTO_PER_NANO
        )

    def worst_cost_femto_usd(self, *, text: int, images: int, audio: int, output: int) -> int:
        """
        Return the most that an answer within these token counts can cost, whatever of it was cached or reasoning.

        Both bands are considered when the long one can be reached: nothing obliges it to be the dearer one.
        """
        bands = [self.base]
        if self.long_context is not None and text + images + audio > self.long_context.threshold_tokens:
            bands.append(self.long_context.rates)
        return max(
            text * rates.dearest_text_input
            + images * max(rates.image_input_rate(), rates.dearest_text_input)
            + audio * max(rates.audio_input_rate(), rates.dearest_text_input)
            + output * rates.dearest_output
            + rates.request_nano_usd * FEMTO_PER_NANO
            for rates in bands
        )
