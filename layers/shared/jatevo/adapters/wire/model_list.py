"""
Models as clients see them: OpenAI's object, and beside it what they need to choose and to reckon.

`pricing` is what the caller's account is charged: its margin is included, and nothing shows what a model costs the
operator. Decimal strings of USD per million tokens; `request` is USD per request. Kinds that are not sold are absent.
"""

from collections.abc import Iterable
from typing import Any

from jatevo.domain.catalogue import Model
from jatevo.domain.money import format_usd, price_with_margin
from jatevo.domain.pricing import Price, Rates


def model_list(models: Iterable[dict[str, Any]]) -> dict[str, Any]:
    """Return the answer that lists models."""
    return {"object": "list", "data": list(models)}


def model_object(model: Model, margin_bps: int, *, name: str | None = None) -> dict[str, Any]:
    """Return one model under the `name` it is asked for by, with the prices of an account that pays this margin."""
    rates = model.price.base
    kinds = {"text": 0, "image": rates.image_input, "audio": rates.audio_input}
    return {
        "id": name or model.id,
        "object": "model",
        "created": model.created_unix_s,
        "owned_by": "jatevo",
        "context_window": model.context_window,
        "max_output_tokens": model.max_output_tokens,
        "input_modalities": [kind for kind, rate in kinds.items() if rate is not None],
        "pricing": _pricing(model.price, margin_bps),
    }


def _pricing(price: Price, margin_bps: int) -> dict[str, Any]:
    pricing: dict[str, Any] = {"currency": "USD", "per_tokens": 1_000_000, **_shown(price.base, margin_bps)}
    if price.long_context is not None:
        band = price.long_context
        pricing["long_context"] = {"above_input_tokens": band.threshold_tokens, **_shown(band.rates, margin_bps)}
    return pricing


def _shown(rates: Rates, margin_bps: int) -> dict[str, str]:
    sold = {
        "input": rates.input,
        "cached_input": rates.cache_read,
        "cache_write": rates.cache_creation,
        "output": rates.output,
        "reasoning": rates.reasoning,
        "image_input": rates.image_input,
        "audio_input": rates.audio_input,
        "image_output": rates.image_output,
        "audio_output": rates.audio_output,
        "request": rates.request_nano_usd or None,
    }
    return {kind: format_usd(price_with_margin(rate, margin_bps)) for kind, rate in sold.items() if rate is not None}
