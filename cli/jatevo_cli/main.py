"""
Entry point of the `jatevo` command.
"""

import argparse


def main() -> int:
    """
    Prints what the command can do.
    """
    argparse.ArgumentParser(prog="jatevo", description="Operate a Jatevo Gateway.").print_help()
    return 0
