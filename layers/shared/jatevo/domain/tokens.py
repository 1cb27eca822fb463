"""
Token counts of one answer, by OpenTelemetry's names.

`input_tokens` includes cached, image and audio input; `output_tokens` includes reasoning, image and audio output: the
parts say how the whole divides. Invariant of every `TokenUsage`: all counts ≥ 0 and parts never exceed their whole.
"""

from dataclasses import dataclass
from enum import StrEnum

MAX_TOKENS = 10**9
"""A count above this is no count: it is treated as not reported."""


class UsageSource(StrEnum):
    """Who counted the tokens of a ledger entry."""

    REPORTED = "reported"
    ESTIMATED = "estimated"
    NONE = "none"


@dataclass(frozen=True, slots=True)
class TokenUsage:
    """Tokens of one answer; see the module for which counts include which."""

    input_tokens: int = 0
    output_tokens: int = 0
    cache_read_input_tokens: int = 0
    cache_creation_input_tokens: int = 0
    image_input_tokens: int = 0
    audio_input_tokens: int = 0
    reasoning_output_tokens: int = 0
    image_output_tokens: int = 0
    audio_output_tokens: int = 0

    @property
    def total_tokens(self) -> int:
        return self.input_tokens + self.output_tokens

    @property
    def plain_input_tokens(self) -> int:
        """Text input that came from no cache."""
        parts = self.cache_read_input_tokens + self.cache_creation_input_tokens
        return self.input_tokens - parts - self.image_input_tokens - self.audio_input_tokens

    @property
    def plain_output_tokens(self) -> int:
        """Text output that was no reasoning."""
        parts = self.reasoning_output_tokens + self.image_output_tokens + self.audio_output_tokens
        return self.output_tokens - parts


def trusted(reported: TokenUsage) -> TokenUsage | None:
    """
    Return what may be believed of counts an upstream reported, or None when they cannot be counts at all.

    Negative, absurd or all-zero counts are no report (the caller estimates instead, so that an answer is never free
    by accident). Parts are cut down to their whole, in the order in which they are priced lowest last, so that a
    wrong breakdown can never produce a negative remainder.
    """
    counts = [getattr(reported, name) for name in TokenUsage.__slots__]
    if any(count < 0 or count > MAX_TOKENS for count in counts):
        return None
    if reported.input_tokens == 0 or reported.total_tokens == 0:
        return None
    room = reported.input_tokens
    image = min(reported.image_input_tokens, room)
    audio = min(reported.audio_input_tokens, room - image)
    creation = min(reported.cache_creation_input_tokens, room - image - audio)
    read = min(reported.cache_read_input_tokens, room - image - audio - creation)
    room = reported.output_tokens
    image_out = min(reported.image_output_tokens, room)
    audio_out = min(reported.audio_output_tokens, room - image_out)
    reasoning = min(reported.reasoning_output_tokens, room - image_out - audio_out)
    return TokenUsage(
        input_tokens=reported.input_tokens,
        output_tokens=reported.output_tokens,
        cache_read_input_tokens=read,
        cache_creation_input_tokens=creation,
        image_input_tokens=image,
        audio_input_tokens=audio,
        reasoning_output_tokens=reasoning,
        image_output_tokens=image_out,
        audio_output_tokens=audio_out,
    )
