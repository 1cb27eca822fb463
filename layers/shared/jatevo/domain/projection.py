"""
The projected cost: the worst-case charge of a request, known before anything is sent.

It decides admission, so it errs upwards, and the output cap it was computed with is the cap sent upstream. All pure
integer arithmetic; margin included; rounded once, by `money.charge_nano_usd`.
"""

from dataclasses import dataclass
from fractions import Fraction

from jatevo.domain.catalogue import Model
from jatevo.domain.money import charge_nano_usd

type Margin = int | Fraction
"""Basis points on top of the cost; a fraction where a reseller's margin is on top of ours."""

PERMILLE = 1000
SMALLEST_DEFAULT_CAP = 256
"""When the default output cap shrinks to what is affordable, it stays at least this long while the budget allows."""


@dataclass(frozen=True, slots=True)
class InputSize:
    """What a model will see of a request, measured in UTF-8 bytes and parts."""

    ascii_bytes: int = 0
    other_bytes: int = 0
    tool_ascii_bytes: int = 0
    tool_other_bytes: int = 0
    messages: int = 0
    images: int = 0
    audio_parts: int = 0
    files: int = 0
    """Files that are not shown to the model as text."""


@dataclass(frozen=True, slots=True)
class Ask:
    """The part of a request that decides its worst case."""

    size: InputSize
    choices: int = 1
    output_cap: int | None = None
    """Output tokens per choice that the client asked for; None when it left that to the gateway."""
    estimate_permille: int = PERMILLE
    """How far above the model's estimate this account's inputs have lately measured."""
    exact_input_tokens: int | None = None
    """The input counted by the upstream's own tokenizer, when the estimate did not fit and it could be asked."""


@dataclass(frozen=True, slots=True)
class Projection:
    """The worst case of one request."""

    input_tokens: int
    """The most that the input can come to; beside the longest output it may be less, where both share a context."""
    output_cap: int
    """Output tokens per choice; binding: it is sent upstream."""
    choices: int
    amount_nano_usd: int


def text_tokens(model: Model, ask: Ask) -> int:
    """Return the most tokens the text of a request can come to, clamped to the context window."""
    return min(measured_tokens(model, ask), model.context_window)


def measured_tokens(model: Model, ask: Ask) -> int:
    """Return the most tokens the text and files of a request can come to, by any context window."""
    estimate, size = model.estimate, ask.size
    files = size.files * estimate.file_tokens
    if ask.exact_input_tokens is not None:
        return ask.exact_input_tokens + files
    text = size.ascii_bytes * estimate.ascii_permille + size.other_bytes * estimate.other_permille
    tools = size.tool_ascii_bytes * estimate.ascii_permille + size.tool_other_bytes * estimate.other_permille
    measured = text * PERMILLE + tools * estimate.tools_permille
    tokens = -(-measured * ask.estimate_permille // PERMILLE**3)
    overhead = estimate.per_request + size.messages * estimate.per_message
    return tokens + overhead + files


def project(model: Model, ask: Ask, margin_bps: Margin) -> Projection:
    """Return the worst case of a request with its own output cap, or the model's default one."""
    wanted = model.default_output_tokens if ask.output_cap is None else ask.output_cap
    cap = min(wanted, model.max_output_tokens, model.context_window)
    return with_output_cap(model, ask, margin_bps, cap=cap)


def affordable_output_cap(model: Model, ask: Ask, margin_bps: Margin, budget_nano_usd: int) -> int:
    """
    Return the largest output cap per choice whose worst case fits `budget_nano_usd`; 0 when none does.

    The charge grows with the cap, so the answer is found by bisection on the very function that admission uses.
    """
    low, high = 0, min(model.max_output_tokens, model.context_window)
    while low < high:
        middle = (low + high + 1) // 2
        if with_output_cap(model, ask, margin_bps, cap=middle).amount_nano_usd <= budget_nano_usd:
            low = middle
        else:
            high = middle - 1
    return low


def shrink_default_cap(
    model: Model, ask: Ask, margin_bps: Margin, *, budget_left_nano_usd: int, free_slots: int
) -> Projection | None:
    """
    Return the worst case with the default cap cut to a fair share of what is left, or None when nothing fits.

    Only for requests that name no cap: those that do get exactly what they asked for or a refusal. A fair share is
    what is left divided by the free slots, so that parallel requests do not starve each other; when a share cannot
    carry a useful answer, one request may use more than its share.
    """
    share = budget_left_nano_usd // max(1, free_slots)
    fair = affordable_output_cap(model, ask, margin_bps, share)
    floor = min(SMALLEST_DEFAULT_CAP, model.default_output_tokens)
    if fair < floor:
        fair = min(floor, affordable_output_cap(model, ask, margin_bps, budget_left_nano_usd))
    if fair == 0:
        return None
    return with_output_cap(model, ask, margin_bps, cap=min(fair, model.default_output_tokens))


def with_output_cap(model: Model, ask: Ask, margin_bps: Margin, *, cap: int) -> Projection:
    """Return the worst case of a request with a given output cap per choice."""
    text = text_tokens(model, ask)
    images = ask.size.images * model.estimate.image_tokens
    audio = ask.size.audio_parts * model.estimate.audio_tokens
    worst = max(
        model.price.worst_cost_femto_usd(text=seen, images=images, audio=audio, output=output * ask.choices)
        for seen, output in _extremes(model, text, cap, images + audio)
    )
    return Projection(
        input_tokens=text + images + audio,
        output_cap=cap,
        choices=ask.choices,
        amount_nano_usd=charge_nano_usd(worst, margin_bps),
    )


def _extremes(model: Model, text: int, cap: int, other: int) -> list[tuple[int, int]]:
    """
    Return the lengths of text and of each choice's output at which an answer can cost most.

    Both share the context window, so the longest input and the longest output may not come together. Between these
    points the cost is linear: the longest output with the input that fits beside it, the longest input with the output
    that does, and the shortest input (`other` tokens of it are no text) that makes a context a long one.
    """
    window, band = model.context_window, model.price.long_context
    if text + cap <= window:
        return [(text, cap)]
    seen = [max(0, window - cap), text]
    if band is not None and window - cap <= band.threshold_tokens - other < text:
        seen.append(band.threshold_tokens - other + 1)
    return [(length, min(cap, window - length)) for length in seen]
