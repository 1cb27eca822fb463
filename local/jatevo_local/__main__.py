"""`python -m jatevo_local --port 8000 --data .local`: what `make run` runs."""

import argparse
import sys
from pathlib import Path

from jatevo_local.stack import Options, run


def main() -> int:
    parser = argparse.ArgumentParser(prog="jatevo local", description="Run the whole gateway on this machine.")
    parser.add_argument("--port", type=int, default=8000)
    parser.add_argument("--data", type=Path, default=Path(".local"))
    parser.add_argument(
        "--lambda", dest="built", action="store_true", help="run what `make build` made, as Lambda would"
    )
    parser.add_argument(
        "--models", type=int, choices=(1, 2), default=2, help="processes of the model: one needs half the memory"
    )
    options = parser.parse_args()
    return run(Options(options.port, options.data, options.built, options.models))


if __name__ == "__main__":
    sys.exit(main())
