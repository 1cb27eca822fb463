"""
The catalogue: which models are sold, at what price, and which pools serve them.

Values only; reading and validating the operator's file is `jatevo.domain.catalogue_file`. Model ids are public, pool
ids and everything about an upstream are not.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from enum import StrEnum

from jatevo.domain.lanes import SHARED, Lane
from jatevo.domain.pricing import Price

CHAT_FIELDS = frozenset(
    {
        "frequency_penalty",
        "function_call",
        "functions",
        "logit_bias",
        "logprobs",
        "messages",
        "n",
        "parallel_tool_calls",
        "presence_penalty",
        "prompt_cache_key",
        "reasoning_effort",
        "response_format",
        "safety_identifier",
        "seed",
        "stop",
        "temperature",
        "tool_choice",
        "tools",
        "top_logprobs",
        "top_p",
        "user",
        "verbosity",
    }
)
"""Fields of a chat request that every pool takes unless it lists them as refused. None changes what a token costs."""

RESPONSES_FIELDS = frozenset(
    {
        "include",
        "input",
        "instructions",
        "max_tool_calls",
        "parallel_tool_calls",
        "prompt_cache_key",
        "reasoning",
        "safety_identifier",
        "temperature",
        "text",
        "tool_choice",
        "tools",
        "top_logprobs",
        "top_p",
        "truncation",
        "user",
    }
)
"""Fields of a Responses request that every pool which speaks that format takes unless it lists them as refused."""

COST_FIELDS = frozenset(
    {
        "audio",
        "background",
        "background_options",
        "best_of",
        "conversation",
        "ignore_eos",
        "max_completion_tokens",
        "max_new_tokens",
        "max_output_tokens",
        "max_tokens",
        "min_tokens",
        "modalities",
        "model",
        "n",
        "n_predict",
        "num_predict",
        "prediction",
        "previous_response_id",
        "prompt",
        "service_tier",
        "store",
        "stream",
        "stream_options",
        "use_beam_search",
        "web_search_options",
    }
)
"""Fields that change cost, length or the answer's shape: the gateway sets or refuses them, no pool may pass them."""


class WhenClientLeaves(StrEnum):
    """What becomes of an upstream answer nobody reads any more."""

    DRAIN = "drain"
    """Read on, for its usage: right where the upstream bills the whole answer anyway."""
    STOP = "stop"
    """Hang up: right where that ends the work and its cost. What was produced until then is charged."""


class CountedBy(StrEnum):
    """Whose count of an answer's tokens is charged."""

    REPORTED = "reported"
    """The upstream's, where it can be believed; else an estimate."""
    ESTIMATED = "estimated"
    """Ours: this upstream reports nothing, or nothing true, and is not asked to."""


class Modality(StrEnum):
    """What a message may carry."""

    TEXT = "text"
    IMAGE = "image"
    AUDIO = "audio"


@dataclass(frozen=True, slots=True)
class Pool:
    """
    An upstream endpoint with its credentials, and its quirks as data. Never shown to clients.

    `api_key` is a reference (`env:NAME`, later a secret's name), never the secret itself.
    """

    id: str
    base_url: str
    api_key: str | None = None
    wire: tuple[str, ...] = ("chat",)
    cap_field: str = "max_tokens"
    pass_fields: frozenset[str] = frozenset()
    refuse_fields: frozenset[str] = frozenset()
    when_client_leaves: WhenClientLeaves = WhenClientLeaves.DRAIN
    tokenize_url: str | None = None
    usage_per_choice: bool = False
    """With `n` above 1 its usage counts one choice: only a stream, with a usage frame for each, tells the whole."""
    usage: CountedBy = CountedBy.REPORTED
    rename_fields: Mapping[str, str] = field(default_factory=dict)
    """Fields of the client's body that go by another name there."""
    roles: Mapping[str, str] = field(default_factory=dict)
    """Roles of messages that go by another name there, such as developer by system."""
    refuse_roles: frozenset[str] = frozenset()
    """Roles it does not take: a request with one goes elsewhere, or is refused."""
    modalities: frozenset[Modality] = frozenset(Modality)
    """What it really reads. A picture is never sent to where it would be ignored."""
    headers: Mapping[str, str] = field(default_factory=dict)
    """Sent with every request. No secrets: those are `api_key`."""
    zdr: Mapping[str, str] | None = None
    """The headers that make it keep nothing of a request; none needed when empty. None: it keeps what it likes."""
    first_byte_s: int = 0
    """The longest a stream is waited for until it begins; 0 for no limit but the upstream's silence."""
    concurrency: int | None = None
    """Requests at once that it takes: guaranteed shares of lanes, and a rest that is shared. None: no limit here."""
    private: bool = False
    """Used only by lanes that name it."""

    def passes(self, name: str) -> bool:
        """Return whether a field of the client's body may go to this pool."""
        return name not in self.refuse_fields and (name in CHAT_FIELDS or name in self.pass_fields)

    def passes_responses(self, name: str) -> bool:
        """Return whether a field of a Responses request may go to this pool as it is."""
        return name not in self.refuse_fields and (name in RESPONSES_FIELDS or name in self.pass_fields)


@dataclass(frozen=True, slots=True)
class Route:
    """
    One way to serve a model: a pool, and the name the model has there.

    Of the routes that are well, those of the lowest `priority` share the requests by `weight`.
    """

    pool: str
    model: str
    weight: int = 1
    priority: int = 0


@dataclass(frozen=True, slots=True)
class InputEstimate:
    """
    How many tokens an input may come to, at worst, before anyone has counted them.

    Factors are thousandths of a token per byte. Text measures about 4 bytes a token; the defaults leave room for dense
    code, JSON and scripts beyond ASCII without stranding budgets.
    """

    ascii_permille: int = 500
    other_permille: int = 1000
    tools_permille: int = 1500
    per_request: int = 32
    per_message: int = 8
    image_tokens: int = 0
    audio_tokens: int = 0
    file_tokens: int = 0
    """The most that one file (a PDF, not one of plain text) can come to, as text; 0: the model takes none."""


@dataclass(frozen=True, slots=True)
class Model:
    """A model as it is sold."""

    id: str
    context_window: int
    max_output_tokens: int
    default_output_tokens: int
    price: Price
    routes: tuple[Route, ...]
    estimate: InputEstimate = field(default_factory=InputEstimate)
    created_unix_s: int = 0
    private: bool = False
    """Sold only in lanes that name it."""
    auto: bool = True
    """May be picked for requests that leave the choice of a model to the gateway."""
    hedge_after_ms: int = 0
    """A stream that has not begun after this long is tried on a second route as well; 0 for never."""


@dataclass(frozen=True, slots=True)
class Catalogue:
    """All models, pools and lanes of one version. `version` is the price version that ledger entries name."""

    version: int
    models: Mapping[str, Model]
    pools: Mapping[str, Pool]
    lanes: Mapping[str, Lane] = field(default_factory=dict)

    def lane(self, lane_id: str) -> Lane | None:
        """Return a lane; `shared` is there without being listed."""
        return self.lanes.get(lane_id, Lane(SHARED) if lane_id == SHARED else None)

    def sells(self, model: Model, lane: Lane) -> bool:
        """Return whether a lane sells a model, and has a pool that serves it."""
        listed = not model.private if lane.models is None else model.id in lane.models
        return listed and any(self.serves(self.pools[route.pool], lane) for route in model.routes)

    def serves(self, pool: Pool, lane: Lane) -> bool:
        """Return whether a lane's requests may go to a pool."""
        return not pool.private if lane.pools is None else pool.id in lane.pools

    def divided(self, pool: Pool) -> bool:
        """Return whether a part of a pool's concurrency is guaranteed to a lane: then its places are counted."""
        return any(pool.id in lane.guaranteed for lane in self.lanes.values())

    def rest(self, pool: Pool) -> int | None:
        """Return the part of a pool's concurrency that no lane has for itself; None when it has no limit."""
        if pool.concurrency is None:
            return None
        return pool.concurrency - sum(lane.guaranteed.get(pool.id, 0) for lane in self.lanes.values())

    def offers(self, model_id: str, lanes: Iterable[str]) -> bool:
        """Return whether a model is sold in the shared lane, or in one of these reserved ones."""
        model = self.models.get(model_id)
        if model is None:
            return False
        travelled = (self.lane(lane_id) for lane_id in (SHARED, *lanes))
        return any(lane is not None and self.sells(model, lane) for lane in travelled)

    def public(self) -> list[Model]:
        """Return the models that everybody may use, by id."""
        shared = self.lanes.get(SHARED, Lane(SHARED))
        return [model for _, model in sorted(self.models.items()) if self.sells(model, shared)]
