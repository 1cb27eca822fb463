"""What an upstream reports is believed only as far as it can be a count, and never yields a negative part."""

from hypothesis import given
from jatevo_testing.strategies import claimed_usages, whole_usages

from jatevo.domain.tokens import MAX_TOKENS, TokenUsage, trusted

INPUT_PARTS = ("image_input_tokens", "audio_input_tokens", "cache_creation_input_tokens", "cache_read_input_tokens")
OUTPUT_PARTS = ("image_output_tokens", "audio_output_tokens", "reasoning_output_tokens")


def sum_of(usage: TokenUsage, names: tuple[str, ...]) -> int:
    return sum(getattr(usage, name) for name in names)


@given(claimed_usages)
def test_no_part_of_a_trusted_usage_is_negative_or_exceeds_its_whole(claimed: TokenUsage) -> None:
    usage = trusted(claimed)
    if usage is None:
        return
    assert all(0 <= getattr(usage, name) <= MAX_TOKENS for name in TokenUsage.__slots__)
    assert usage.plain_input_tokens == usage.input_tokens - sum_of(usage, INPUT_PARTS) >= 0
    assert usage.plain_output_tokens == usage.output_tokens - sum_of(usage, OUTPUT_PARTS) >= 0


@given(claimed_usages)
def test_the_wholes_are_believed_as_they_are_or_not_at_all(claimed: TokenUsage) -> None:
    usage = trusted(claimed)
    counts = [getattr(claimed, name) for name in TokenUsage.__slots__]
    believable = all(0 <= count <= MAX_TOKENS for count in counts) and claimed.input_tokens > 0
    assert (usage is not None) == believable
    if usage is not None:
        assert (usage.input_tokens, usage.output_tokens) == (claimed.input_tokens, claimed.output_tokens)


@given(whole_usages())
def test_a_consistent_report_is_taken_as_it_is(usage: TokenUsage) -> None:
    assert trusted(usage) == (usage if usage.input_tokens else None)
