"""What the environment says. Durations end in their unit."""

from collections.abc import Mapping
from typing import NamedTuple

from lambda_response_stream.errors import InitError

_DEFAULT_MARGIN_MS = 1000
_MODES = ("auto", "streaming", "buffered")


class Settings(NamedTuple):
    """
    `deadline_margin_ms`: how long before Lambda would kill the function a response under way is ended.
    `buffered`: answer in the classic proxy JSON, all at once, because whoever asks cannot take a stream.
    """

    runtime_api: str
    handler: str
    task_root: str
    runtime_dir: str
    buffered: bool
    snap_start: bool
    deadline_margin_ms: int


def settings_from(environment: Mapping[str, str]) -> Settings:
    """Raises InitError on what cannot be used."""
    if environment.get("AWS_LAMBDA_MAX_CONCURRENCY", "1") != "1":
        raise InitError(
            "Runtime.ConcurrencyNotSupported",
            "this loop serves one invocation at a time; set the concurrency per execution environment to 1",
        )
    return Settings(
        runtime_api=_required(environment, "AWS_LAMBDA_RUNTIME_API"),
        handler=_required(environment, "_HANDLER"),
        task_root=environment.get("LAMBDA_TASK_ROOT", ""),
        runtime_dir=environment.get("LAMBDA_RUNTIME_DIR", "/var/runtime"),
        buffered=_buffered(environment),
        snap_start=environment.get("AWS_LAMBDA_INITIALIZATION_TYPE") == "snap-start",
        deadline_margin_ms=_margin_ms(environment),
    )


def _required(environment: Mapping[str, str], name: str) -> str:
    value = environment.get(name)
    if not value:
        raise InitError("Runtime.MissingSetting", f"{name} is not set")
    return value


def _buffered(environment: Mapping[str, str]) -> bool:
    """
    Tell a local emulator, which takes no streams, from Lambda.

    `sam local` says so in `AWS_SAM_LOCAL`. The Runtime Interface Emulator alone names its log stream `$LATEST`, where
    Lambda's are dated.
    """
    mode = environment.get("RESPONSE_STREAM_MODE", "auto")
    if mode not in _MODES:
        raise InitError("Runtime.BadSetting", f"RESPONSE_STREAM_MODE must be one of {', '.join(_MODES)}, not {mode!r}")
    if mode != "auto":
        return mode == "buffered"
    sam_local = environment.get("AWS_SAM_LOCAL", "").lower() == "true"
    return sam_local or environment.get("AWS_LAMBDA_LOG_STREAM_NAME") == "$LATEST"


def _margin_ms(environment: Mapping[str, str]) -> int:
    text = environment.get("RESPONSE_STREAM_DEADLINE_MARGIN_MS", str(_DEFAULT_MARGIN_MS))
    if not (text.isascii() and text.isdigit() and len(text) < 7):
        raise InitError(
            "Runtime.BadSetting",
            f"RESPONSE_STREAM_DEADLINE_MARGIN_MS must be a whole number of milliseconds, not {text!r}",
        )
    return int(text)
