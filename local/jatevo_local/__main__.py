"""`python -m jatevo_local --port 8000 --data .local`: what `make run` runs."""

import argparse
import sys
from pathlib import Path

from jatevo_local import stack


def add_options(parser: argparse.ArgumentParser) -> None:
    """Add what `jatevo local` takes."""
    parser.description = "Run the whole gateway on this machine."
    parser.add_argument("--port", type=int, default=8000, help="default 8000")
    parser.add_argument("--data", type=Path, default=Path(".local"), help="where it keeps its data (default .local)")
    parser.add_argument(
        "--lambda", dest="built", action="store_true", help="run what `make build` made, as Lambda would"
    )
    parser.add_argument(
        "--models", type=int, choices=(1, 2), default=2, help="processes of the model: one needs half the memory"
    )


def run(options: argparse.Namespace) -> int:
    """Run it until it is stopped."""
    return stack.run(stack.Options(options.port, options.data, options.built, options.models))


if __name__ == "__main__":
    parser = argparse.ArgumentParser(prog="jatevo local")
    add_options(parser)
    sys.exit(run(parser.parse_args()))
