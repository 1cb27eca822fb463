"""
Serves one model file with llama.cpp until it is told to end.

    JATEVO_MODEL_API_KEY=… python -m jatevo_local.model_server FILE --port PORT [--slots 4] [--alias NAME]

The key, when there is one, comes from the environment, because a command line is there for every user to read.
`jatevo_local.model` says what the server does; this is the process it runs in.
"""

import argparse
import os
import signal
import sys
from pathlib import Path

import xllamacpp

from jatevo_local.model import API_KEY_VARIABLE, CONTEXT_TOKENS
from jatevo_local.ports import LOOPBACK

DEFAULT_TEMPERATURE = 0.2  # where a request names none: so small a model needs a steady hand
CHAT_TEMPLATE = Path(__file__).with_name("chat_template.jinja")


def main() -> int:
    options = parse()
    # Held for as long as the process lives: the server stops when it is collected.
    server = xllamacpp.Server(parameters(options))
    print(f"serving {options.file.name} on {server.listening_address}", flush=True)
    signal.sigwait({signal.SIGTERM, signal.SIGINT})
    return 0


def parse() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="jatevo_local.model_server")
    parser.add_argument("file", type=Path)
    parser.add_argument("--port", type=int, required=True)
    parser.add_argument("--slots", type=int, default=4)
    parser.add_argument("--alias", default="local")
    return parser.parse_args()


def parameters(options: argparse.Namespace) -> xllamacpp.CommonParams:
    chosen = xllamacpp.CommonParams()
    chosen.model.path = str(options.file)
    chosen.model_alias = {options.alias}
    chosen.hostnames = [LOOPBACK]
    chosen.port = options.port
    chosen.n_parallel = options.slots
    chosen.n_ctx = options.slots * CONTEXT_TOKENS  # shared out evenly among the slots
    chosen.use_jinja = True
    chosen.chat_template = CHAT_TEMPLATE.read_text()
    chosen.sampling.temp = DEFAULT_TEMPERATURE
    chosen.ui = False
    chosen.cache_ram_mib = 0  # prompts of ended slots need not be kept
    key = os.environ.get(API_KEY_VARIABLE)
    if key:
        chosen.api_keys = [key]
    return chosen


if __name__ == "__main__":
    sys.exit(main())
