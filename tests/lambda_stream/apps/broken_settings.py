"""An app whose factory refuses its environment."""


class SettingsError(ValueError):
    pass


def create_app() -> None:
    raise SettingsError("TABLE_NAME must be set")
