"""
Runs a command that dies with the process that asked for it.

    python with_parent.py PARENT_PID COMMAND ARGUMENT…

Guarantees, on Linux: when the parent ends in any way, SIGKILL included, the kernel kills the command at once; a parent
that ended before the request was made counts too. Elsewhere the command runs without that bond. The request survives
`execv`, so no process stays in between. The kernel binds to the *thread* that started the child: keep it alive.

Run by its path, with nothing but the standard library, so that it starts in a few milliseconds.
"""

import ctypes
import os
import signal
import sys

PR_SET_PDEATHSIG = 1
COMMAND_NOT_FOUND = 127


def bind_to(parent_pid: int) -> None:
    """
    Asks the kernel to kill this process when its parent ends; leaves at once if that has happened already.
    """
    if not sys.platform.startswith("linux"):
        return
    ctypes.CDLL(None, use_errno=True).prctl(PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0)
    if os.getppid() != parent_pid:
        sys.exit("with_parent: the parent is gone")


def main(arguments: list[str]) -> int:
    parent_pid, command = int(arguments[0]), arguments[1:]
    bind_to(parent_pid)
    try:
        os.execv(command[0], command)  # noqa: S606 - the whole point
    except OSError as error:
        print(f"{command[0]}: {error.strerror}", file=sys.stderr)
    return COMMAND_NOT_FOUND


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
