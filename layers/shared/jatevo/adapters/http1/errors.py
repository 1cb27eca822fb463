"""
How an exchange fails, by what is known of the request::

    HttpFailure
    ├── NothingSent      no byte of it left this machine
    ├── NoAnswerInTime   it may have arrived, and nothing came in time
    └── ConnectionBroke  it may have arrived, and the answer is not whole, or is no HTTP
"""


class HttpFailure(Exception):
    """An exchange that failed."""


class NothingSent(HttpFailure):
    """No byte of the request left this machine."""


class NoAnswerInTime(HttpFailure):
    """The request may have arrived; nothing came in time."""


class ConnectionBroke(HttpFailure):
    """The request may have arrived; its answer is not whole, or is no HTTP."""
