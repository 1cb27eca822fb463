"""What a function reads from an event that is no HTTP request: a schedule's, or an operator's own."""


class MalformedEvent(ValueError):
    """An event that the function cannot have been meant to get. The text is one line."""


def flag(event: object, name: str) -> bool:
    """Return whether an event has `name` set to true. Raises MalformedEvent for what is no JSON object."""
    if not isinstance(event, dict):
        raise MalformedEvent(f"the event must be a JSON object, not {type(event).__name__}")
    return event.get(name) is True
