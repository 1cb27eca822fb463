"""Types of the browser tests' fixtures."""

from collections.abc import Callable
from typing import Protocol

import openai
from playwright.sync_api import Page

type Shot = Callable[[Page, str], None]
"""Keeps a picture of a page for people to look at."""

type ClientOf = Callable[[str], openai.OpenAI]
"""Makes a client for a key."""


class Opener(Protocol):
    """Opens a page; console errors fail the test, but for those that contain one of `expects`."""

    def __call__(
        self, path: str, *, width: int = 1280, theme: str = "light", expects: tuple[str, ...] = ()
    ) -> Page: ...
