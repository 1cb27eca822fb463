"""
The list of models as the Codex CLI reads it: what each takes, in that client's terms.

Codex leaves a model out of use when a field that it wants is missing, so every one is there. Instructions are Codex's
own to write, and no model here is said to reason, because no catalogue says so.
"""

from collections.abc import Iterable
from typing import Any

_INSTRUCTIONS = (
    "You are Codex, a coding agent that runs in a terminal on the user's computer. Work in the current folder: look "
    "before you change anything, make the smallest change that does what is asked, check that it works, and then say "
    "in a few words what you did. Never touch what you were not asked to touch."
)
_MOST_TOOL_OUTPUT_TOKENS = 10_000


def codex_models(models: Iterable[dict[str, Any]]) -> dict[str, Any]:
    """Return the answer, of models as `model_list` shows them, best first."""
    return {"models": [_codex_model(model, place) for place, model in enumerate(models)]}


def _codex_model(model: dict[str, Any], place: int) -> dict[str, Any]:
    window = model.get("context_window")
    return {
        "slug": model["id"],
        "display_name": model["id"],
        "description": None,
        "supported_reasoning_levels": [],
        "shell_type": "unified_exec",
        "visibility": "list",
        "supported_in_api": True,
        "priority": place,
        "upgrade": None,
        "base_instructions": _INSTRUCTIONS,
        "supports_reasoning_summaries": False,
        "support_verbosity": False,
        "default_verbosity": None,
        "apply_patch_tool_type": None,
        "truncation_policy": {"mode": "tokens", "limit": _MOST_TOOL_OUTPUT_TOKENS},
        "supports_parallel_tool_calls": True,
        "context_window": window,
        "experimental_supported_tools": [],
        "input_modalities": [kind for kind in model.get("input_modalities", ["text"]) if kind in {"text", "image"}],
    }
