"""
What the local stack says when it cannot go on.
"""

import errno


class StackError(Exception):
    """
    Something a person has to put right. The message is one line that says what and, where it can, how.
    """


def explain(error: OSError, doing: str) -> StackError:
    """
    The line for an error of the operating system met while `doing` something.
    """
    if error.errno in {errno.ENOSPC, errno.EDQUOT}:
        return StackError(f"the disk is full (while {doing})")
    return StackError(f"{error.strerror or error} (while {doing})")
