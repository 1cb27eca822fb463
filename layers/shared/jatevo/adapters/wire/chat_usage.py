"""Token counts in chat answers: as an upstream reports them, and as the gateway shows what it charged."""

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from jatevo.domain.ledger import LedgerEntry
from jatevo.domain.money import format_usd
from jatevo.domain.tokens import TokenUsage


class UsageCounter:
    """
    The usage of a stream, from whichever of its chunks carry one: the last counts.

    An answer of several choices may end with a usage frame for each of them, every one with the whole prompt in it:
    then their outputs add up.
    """

    def __init__(self, choices: int) -> None:
        self._several = choices > 1
        self._apart = False
        self.usage: TokenUsage | None = None

    def note(self, chunk: Mapping[str, Any]) -> None:
        """Take the usage of a chunk, if it has one."""
        usage = reported_usage(chunk.get("usage"))
        if usage is None:
            return
        apart = self._several and not chunk["choices"]
        if apart and self._apart and self.usage is not None:
            usage = replace(usage, output_tokens=usage.output_tokens + self.usage.output_tokens)
        self._apart, self.usage = apart, usage


def reported_usage(usage: Any) -> TokenUsage | None:
    """Return the counts of a chat `usage` object, or None when it is none."""
    return counts_of(usage, "prompt_tokens", "completion_tokens", "cache_creation_tokens")


def counts_of(usage: Any, taken: str, produced: str, cache_written: str) -> TokenUsage | None:
    """
    Return the counts of a usage object by the names that a format has for them, or None when it is none.

    Some upstreams count reasoning apart from the output, so output is the larger of that and what is left of the total.
    """
    total = count_of(usage, "total_tokens") or 0
    of_input, of_output = count_of(usage, taken), count_of(usage, produced)
    if of_input is None or of_output is None:
        return None
    input_details, output_details = usage.get(f"{taken}_details"), usage.get(f"{produced}_details")
    return TokenUsage(
        input_tokens=of_input,
        output_tokens=max(of_output, total - of_input),
        cache_read_input_tokens=count_of(input_details, "cached_tokens") or 0,
        cache_creation_input_tokens=count_of(input_details, cache_written) or 0,
        image_input_tokens=count_of(input_details, "image_tokens") or 0,
        audio_input_tokens=count_of(input_details, "audio_tokens") or 0,
        reasoning_output_tokens=count_of(output_details, "reasoning_tokens") or 0,
        audio_output_tokens=count_of(output_details, "audio_tokens") or 0,
    )


def shown_usage(entry: LedgerEntry) -> dict[str, Any]:
    """Return the usage object of an answer: the counts that were charged, and what its user pays."""
    usage = entry.usage
    return {
        "prompt_tokens": usage.input_tokens,
        "completion_tokens": usage.output_tokens,
        "total_tokens": usage.total_tokens,
        "prompt_tokens_details": {
            "cached_tokens": usage.cache_read_input_tokens,
            "audio_tokens": usage.audio_input_tokens,
        },
        "completion_tokens_details": {
            "reasoning_tokens": usage.reasoning_output_tokens,
            "audio_tokens": usage.audio_output_tokens,
            "accepted_prediction_tokens": 0,
            "rejected_prediction_tokens": 0,
        },
        "cost_usd": format_usd(entry.figures.resale_nano_usd),
    }


def count_of(usage: Any, name: str) -> int | None:
    """Return a count of a usage object, or None where it is none."""
    value = usage.get(name) if isinstance(usage, dict) else None
    return value if isinstance(value, int) and not isinstance(value, bool) else None
