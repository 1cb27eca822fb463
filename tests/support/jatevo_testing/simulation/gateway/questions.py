"""
What clients ask: chat, responses, messages and the playground; what is stored, and going on from it.

Each question knows all that its model is to be shown, history included, as its client has it.
"""

from dataclasses import dataclass
from typing import Any

from jatevo_testing.simulation.chance import Chance
from jatevo_testing.simulation.gateway.crowd import Customer
from jatevo_testing.simulation.gateway.goods import MODELS, PLAYGROUND_ID
from jatevo_testing.simulation.gateway.shelf import Kept

CHAT, MESSAGES, PLAYGROUND = "/v1/chat/completions", "/v1/messages", "/playground/v1/chat/completions"
RESPONSES, CODEX = "/v1/responses", "/backend-api/codex/responses"
ADDRESSES = ("198.51.100.7", "203.0.113.9", "2001:db8:1:2::a", "2001:db8:1:2:ffff::b")
"""Where clients are; the last two are one subscriber."""
_TEXTS = (1, 8, 40, 120, 400)
_CAPS = (None, None, 1, 10, 40, 100)


@dataclass
class Question:
    """One request, and how its client behaves. Seconds None: never. `secret` None: it comes without a key."""

    account_id: str
    secret: str | None
    path: str
    body: dict[str, Any] | None = None
    method: str = "POST"
    address: str = ADDRESSES[0]
    shown: str | None = None
    """All that its model is to be shown, one text after the other; None: no model is asked."""
    about: Kept | None = None
    """What it continues, or asks for."""
    asked_at_ms: int = 0
    clock_ms: int = 0
    """What its process takes for that time."""
    gone: bool = False
    """What it is about was not stored when it was asked."""
    leaves_after_s: float | None = None
    reads_each_s: float = 0.0
    left: bool = False

    @property
    def dawdles(self) -> bool:
        """Whether it reads so slowly that it may be taken for one that has left."""
        return self.reads_each_s > 0

    @property
    def stream(self) -> bool:
        return bool((self.body or {}).get("stream"))

    @property
    def responses(self) -> bool:
        return self.path in {RESPONSES, CODEX}

    @property
    def messages(self) -> bool:
        return self.path == MESSAGES

    @property
    def visitor(self) -> bool:
        return self.secret is None

    @property
    def include_usage(self) -> bool:
        return bool((self.body or {}).get("stream_options"))

    @property
    def capped(self) -> bool:
        return bool({"max_tokens", "max_output_tokens"} & (self.body or {}).keys())

    @property
    def stores(self) -> bool:
        """Whether its client wants the answer to be kept."""
        return self.responses and (self.body or {}).get("store", True)


class Questions:
    """Makes questions."""

    def __init__(self, chance: Chance) -> None:
        self._chance = chance

    def of(self, customer: Customer, secret: str) -> Question:
        """Return some request to a model."""
        chance = self._chance
        path = chance.weighed(((CHAT, 6), (RESPONSES, 2), (CODEX, 1), (MESSAGES, 1), (PLAYGROUND, 0.3)))
        if path in {RESPONSES, CODEX}:
            return self._response(customer, secret, path)
        body = self._body(customer)
        if path == MESSAGES:
            body |= self._said() | {"max_tokens": chance.choice(_CAPS[2:])}
        else:
            body |= self._chat(stream=body["stream"])
        return self._behaved(Question(customer.account.id, secret, path, body))

    def of_visitor(self) -> Question:
        """Return a request of somebody without a key."""
        body = self._body(None)
        body |= self._chat(stream=body["stream"])
        address = self._chance.choice(ADDRESSES)
        return self._behaved(Question(PLAYGROUND_ID, None, PLAYGROUND, body, address=address))

    def about(self, kept: Kept, customer: Customer, secret: str) -> Question:
        """Return a request that goes on from something stored, asks for it, or wants it forgotten."""
        what = self._chance.weighed((("go on", 8), ("GET", 2), ("DELETE", 0.5)))
        if what == "go on":
            return self._response(customer, secret, self._chance.choice((RESPONSES, CODEX)), kept)
        asked = Question(customer.account.id, secret, f"{RESPONSES}/{kept.id}", None, what, about=kept)
        kept.forgetting |= what == "DELETE" and kept.account_id == asked.account_id
        return asked

    def _response(self, customer: Customer, secret: str, path: str, about: Kept | None = None) -> Question:
        body, text, cap = self._body(customer), self._text(), self._chance.choice(_CAPS)
        body |= {"input": text, **({} if cap is None else {"max_output_tokens": max(16, cap)})}
        if self._chance.happens(0.3):
            body["store"] = False
        if about is not None:
            body["previous_response_id"] = about.id
        shown = text if about is None else about.text + text
        return self._behaved(Question(customer.account.id, secret, path, body, shown=shown, about=about))

    def _body(self, customer: Customer | None) -> dict[str, Any]:
        chance = self._chance
        lanes = customer is not None and "quick" in customer.account.lanes
        lane = chance.choice(("", "", "quick/")) if lanes else ""
        return {"model": lane + chance.choice(MODELS), "stream": chance.choice((False, True))}

    def _chat(self, *, stream: bool) -> dict[str, Any]:
        chance, cap = self._chance, self._chance.choice(_CAPS)
        body: dict[str, Any] = self._said() | ({} if cap is None else {"max_tokens": cap})
        if chance.happens(0.1):
            body["n"] = 2
        if stream and chance.happens(0.7):
            body["stream_options"] = {"include_usage": True}
        return body

    def _said(self) -> dict[str, Any]:
        return {"messages": [{"role": "user", "content": self._text()}]}

    def _text(self) -> str:
        return "x" * self._chance.choice(_TEXTS)

    def _behaved(self, asked: Question) -> Question:
        chance = self._chance
        if asked.shown is None and asked.body is not None:
            asked.shown = "".join(message["content"] for message in asked.body["messages"])
        if chance.happens(0.2):
            asked.leaves_after_s = chance.choice((0, 0.2, 0.6, 1, 5, 30))
        if chance.happens(0.05):
            asked.reads_each_s = chance.choice((0.5, 5, 25, 60))
        return asked
