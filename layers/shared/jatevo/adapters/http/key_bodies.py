"""
What routes take to create and change a key: bodies, checked for fields and types. Bounds are the use cases' own.

Money is a decimal string of US dollars. In a change, a field that is left out stays as it is; null removes a limit.
"""

from typing import Any

from pydantic import BaseModel, ConfigDict

from jatevo.application.administration.keys import KeyChange, NewKey
from jatevo.application.administration.problems import InvalidValue
from jatevo.domain.money import MoneyError, parse_usd


class Body(BaseModel):
    """A body: no field that is not known, no type that is not exactly right."""

    model_config = ConfigDict(extra="forbid", strict=True)

    def given(self) -> dict[str, Any]:
        """Return the fields that were sent, money as nano-USD."""
        fields = {name: getattr(self, name) for name in self.model_fields_set}
        for span in ("day", "month"):
            if (name := f"budget_usd_per_{span}") in fields:
                fields[f"budget_nano_usd_per_{span}"] = nano_usd(fields.pop(name), name)
        return fields


class NewKeyBody(Body):
    """A new key."""

    name: str = ""
    models: list[str] | None = None
    lanes: list[str] | None = None
    ip_ranges: list[str] | None = None
    requests_per_day: int | None = None
    budget_usd_per_day: str | None = None
    concurrency: int | None = None
    expires_at_unix_s: int | None = None
    reseller_margin_bps: int | None = None
    labels: dict[str, str] | None = None

    def wanted(self) -> NewKey:
        return NewKey(**self.given())


class KeyChangeBody(NewKeyBody):
    """What is to become of a key."""

    def changes(self) -> KeyChange:
        return KeyChange(**self.given())


def nano_usd(text: str | None, param: str) -> int | None:
    """Return an amount of USD. Raises InvalidValue."""
    try:
        return None if text is None else parse_usd(text)
    except MoneyError as error:
        raise InvalidValue(f"{error}.", param=param) from error
