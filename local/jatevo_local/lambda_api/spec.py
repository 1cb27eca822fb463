"""
What a function is, and the process that Lambda would make of it.

A layer's folder is what Lambda would unpack to `/opt`; where it holds no `python` folder it is itself taken for that,
so that a layer's sources serve as well as its build. `/opt` in the wrapper's path means the last layer with the file.
"""

import sys
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from jatevo_local.errors import StackError

WRAPPER = "AWS_LAMBDA_EXEC_WRAPPER"
_REGION = "us-east-1"
_PATH = "/usr/local/bin:/usr/bin:/bin"


@dataclass(frozen=True, slots=True)
class FunctionSpec:
    """
    `environment` is the function's own, as in a template; `AWS_LAMBDA_EXEC_WRAPPER` in it is obeyed. `python` is the
    interpreter, with whatever packages it carries.
    """

    name: str
    handler: str
    code: Path
    layers: tuple[Path, ...] = ()
    environment: Mapping[str, str] = field(default_factory=dict)
    timeout_s: float = 3.0
    init_timeout_s: float = 10.0
    memory_mb: int = 128
    most_environments: int = 1
    snap_start: bool = False
    python: str = sys.executable


def command(spec: FunctionSpec) -> list[str]:
    """Return what Lambda runs: the runtime's own loop, or the wrapper with that as its arguments."""
    loop = str(Path(__file__).with_name("classic.py"))
    wrapper = spec.environment.get(WRAPPER)
    return [*([str(_in_layers(spec, wrapper))] if wrapper else []), spec.python, loop]


def environment(spec: FunctionSpec, *, runtime_api: str, stream: str) -> dict[str, str]:
    """Return a process's whole environment; nothing of this process's own gets in."""
    return {
        "PATH": _PATH,
        "LANG": "en_US.UTF-8",
        "TZ": ":UTC",
        "AWS_REGION": _REGION,
        "AWS_DEFAULT_REGION": _REGION,
        "AWS_EXECUTION_ENV": "AWS_Lambda_python3.13",
        "AWS_LAMBDA_FUNCTION_MEMORY_SIZE": str(spec.memory_mb),
        "AWS_LAMBDA_FUNCTION_NAME": spec.name,
        "AWS_LAMBDA_FUNCTION_VERSION": "$LATEST",
        "AWS_LAMBDA_INITIALIZATION_TYPE": "snap-start" if spec.snap_start else "on-demand",
        "AWS_LAMBDA_LOG_GROUP_NAME": f"/aws/lambda/{spec.name}",
        "AWS_LAMBDA_LOG_STREAM_NAME": stream,
        "LAMBDA_TASK_ROOT": str(spec.code),
        "_HANDLER": spec.handler,
        "PYTHONPATH": ":".join(str(path) for path in import_path(spec)),
        **spec.environment,
        "AWS_LAMBDA_RUNTIME_API": runtime_api,
    }


def import_path(spec: FunctionSpec) -> list[Path]:
    """Return the function's folder and those of the layers, the last layer first: it overlays the others in `/opt`."""
    roots = [layer / "python" if (layer / "python").is_dir() else layer for layer in reversed(spec.layers)]
    packages = [root / "lib" / "python3.13" / "site-packages" for root in roots]
    return [spec.code, *(path for path in packages if path.is_dir()), *roots]


def _in_layers(spec: FunctionSpec, path: str) -> Path:
    if not path.startswith("/opt/"):
        return Path(path)
    inside = path.removeprefix("/opt/")
    for layer in reversed(spec.layers):
        for candidate in (layer / inside, layer / inside.removeprefix("python/")):
            if candidate.is_file():
                return candidate
    raise StackError(f"no layer of {spec.name} holds {path}")
