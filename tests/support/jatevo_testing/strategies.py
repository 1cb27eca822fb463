"""Hypothesis strategies for values of the domain: whatever may occur, and a little beyond."""

from hypothesis import strategies as st

from jatevo.domain.catalogue import InputEstimate, Model
from jatevo.domain.pricing import LongContext, Price, Rates
from jatevo.domain.projection import Ask, InputSize
from jatevo.domain.tokens import TokenUsage

rates_nano_usd = st.integers(0, 10**12)
"""Nano-USD per million tokens: up to $1,000."""
margins_bps = st.integers(0, 100_000)
budgets_nano_usd = st.integers(-(10**12), 10**13)
_optional_rates = st.none() | rates_nano_usd
_counts = st.integers(0, 3000)

rates = st.builds(
    Rates,
    input=rates_nano_usd,
    output=rates_nano_usd,
    cache_read=rates_nano_usd,
    cache_creation=rates_nano_usd,
    reasoning=rates_nano_usd,
    image_input=_optional_rates,
    audio_input=_optional_rates,
    image_output=_optional_rates,
    audio_output=_optional_rates,
    request_nano_usd=st.integers(0, 10**9),
)
prices = st.builds(
    Price, base=rates, long_context=st.none() | st.builds(LongContext, threshold_tokens=_counts, rates=rates)
)
sizes = st.builds(
    InputSize,
    ascii_bytes=_counts,
    other_bytes=_counts,
    tool_ascii_bytes=_counts,
    tool_other_bytes=_counts,
    messages=st.integers(0, 50),
    images=st.integers(0, 3),
    audio_parts=st.integers(0, 3),
)
asks = st.builds(
    Ask,
    size=sizes,
    choices=st.integers(1, 4),
    output_cap=st.none() | _counts,
    estimate_permille=st.integers(1000, 4000),
    exact_input_tokens=st.none() | _counts,
)


@st.composite
def models(draw: st.DrawFn) -> Model:
    longest = draw(st.integers(1, 4000))
    estimate = InputEstimate(
        ascii_permille=draw(st.integers(1, 1000)),
        other_permille=draw(st.integers(1, 2000)),
        tools_permille=draw(st.integers(1000, 2000)),
        image_tokens=draw(_counts),
        audio_tokens=draw(_counts),
    )
    return Model(
        id="m",
        context_window=draw(st.integers(1, 8000)),
        max_output_tokens=longest,
        default_output_tokens=draw(st.integers(1, longest)),
        price=draw(prices),
        routes=(),
        estimate=estimate,
    )


@st.composite
def whole_usages(
    draw: st.DrawFn, *, text: int = 3000, images: int = 3000, audio: int = 3000, output: int = 3000
) -> TokenUsage:
    """Usage whose parts never exceed their whole, of at most so many tokens of each kind."""
    plain, read, creation = (draw(st.integers(0, text)) for _ in range(3))
    read = min(read, text - min(plain, text))
    plain = min(plain, text)
    creation = min(creation, text - plain - read)
    image, heard = draw(st.integers(0, images)), draw(st.integers(0, audio))
    produced = draw(st.integers(0, output))
    reasoning = draw(st.integers(0, produced))
    drawn = draw(st.integers(0, produced - reasoning))
    spoken = draw(st.integers(0, produced - reasoning - drawn))
    return TokenUsage(
        input_tokens=plain + read + creation + image + heard,
        output_tokens=produced,
        cache_read_input_tokens=read,
        cache_creation_input_tokens=creation,
        image_input_tokens=image,
        audio_input_tokens=heard,
        reasoning_output_tokens=reasoning,
        image_output_tokens=drawn,
        audio_output_tokens=spoken,
    )


_claims = st.integers(-2, 12) | st.integers(-(10**10), 10**10)
claimed_usages = st.builds(TokenUsage, *(_claims for _ in TokenUsage.__slots__))
"""What an upstream may report, honest or not."""
