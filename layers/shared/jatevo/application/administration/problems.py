"""
Why an operator's wish is not done. The text is for the operator, who may know everything but secrets.

AdministrationError
├── NotThere       it names something that does not exist
├── InvalidValue   a value is out of bounds or cannot be meant
└── Refused        it is understood and clashes with what is there
"""


class AdministrationError(Exception):
    """What was asked is not done; nothing was changed. `param` names the field at fault, if one is."""

    def __init__(self, message: str, *, param: str | None = None) -> None:
        super().__init__(message)
        self.message = message
        self.param = param


class NotThere(AdministrationError):
    """No account, key, version or operator of that name."""


class InvalidValue(AdministrationError):
    """A value that is out of bounds."""


class Refused(AdministrationError):
    """Possible at another time, or for another account, but not now."""
