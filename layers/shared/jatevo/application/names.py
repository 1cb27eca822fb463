"""
Names that callers ask for: a model's id, `auto`, or either in a lane, `lane/model`; and who may ask for what.

A lane is usable when the account and the key name it; a model when the lane sells it and the key's allow-list, if it
has one, names it, by itself or in that lane. What is private elsewhere is as unknown as what does not exist.
"""

from collections.abc import Iterable
from dataclasses import dataclass

from jatevo.domain import auto
from jatevo.domain.accounts import Caller
from jatevo.domain.catalogue import Catalogue, Model
from jatevo.domain.lanes import SHARED, Lane, split_name
from jatevo.domain.refusals import Code, Refusal, shown


@dataclass(frozen=True, slots=True)
class Offer:
    """A name that a caller may ask for, the model behind it, and the lane whose margin it pays."""

    name: str
    model: Model
    lane: Lane


def offers(catalogue: Catalogue, caller: Caller) -> list[Offer]:
    """Return all names a caller may ask for, by name: each model's own, and those in its reserved lanes."""
    lanes = usable_lanes(catalogue, caller, auto.AUTO)
    assert not isinstance(lanes, Refusal), "a bare name pins no lane"
    found: dict[str, Offer] = {}
    for lane in lanes:
        for model in catalogue.models.values():
            if not (catalogue.sells(model, lane) and names(caller, lane, model.id)):
                continue
            found.setdefault(model.id, Offer(model.id, model, lane))
            if lane.id != SHARED:
                name = f"{lane.id}/{model.id}"
                found[name] = Offer(name, model, lane)
    return [found[name] for name in sorted(found)]


def offer(catalogue: Catalogue, caller: Caller, name: str) -> Offer | Refusal:
    """Return what a name stands for, or why the caller may not ask for it."""
    lanes = usable_lanes(catalogue, caller, name)
    if isinstance(lanes, Refusal):
        return lanes
    model = allowed_model(catalogue, caller, lanes, split_name(name)[1], name)
    if isinstance(model, Refusal):
        return model
    selling = (lane for lane in lanes if catalogue.sells(model, lane) and names(caller, lane, model.id))
    return Offer(name, model, next(selling))


def usable_lanes(catalogue: Catalogue, caller: Caller, name: str, *, only_lane: str = "") -> list[Lane] | Refusal:
    """Return the lanes a request for `name` may travel in: the one it pins, or all of its caller's, shared last."""
    pinned, _ = split_name(name)
    theirs = [lane for lane_id in sorted(caller.lanes) if (lane := catalogue.lanes.get(lane_id)) is not None]
    shared = catalogue.lane(SHARED)
    assert shared is not None, "the shared lane is there without being listed"
    lanes = [*theirs, shared]
    if only_lane:
        lanes = [lane for lane in lanes if lane.id == only_lane]
        if not lanes:
            detail = f"This address serves the lane '{only_lane}' only, which this API key may not use."
            return Refusal(Code.MODEL_NOT_ALLOWED, detail, param="model")
    if pinned is None or any(lane.id == pinned for lane in lanes):
        return [lane for lane in lanes if pinned in {None, lane.id}]
    if catalogue.lane(pinned) is None:
        return unknown(name)
    detail = f"This API key may not use the lane '{pinned}'. GET /v1/models lists what it may use."
    return Refusal(Code.MODEL_NOT_ALLOWED, detail, param="model")


def allowed_model(
    catalogue: Catalogue, caller: Caller, lanes: Iterable[Lane], model_id: str, name: str
) -> Model | Refusal:
    """Return a model that one of the lanes sells and the key may use, or why not. `name` is what was asked for."""
    model = catalogue.models.get(model_id)
    selling = [lane for lane in lanes if model is not None and catalogue.sells(model, lane)]
    if model is None or not selling:
        return unknown(name)
    if not any(names(caller, lane, model_id) for lane in selling):
        detail = f"This API key may not use the model '{shown(name)}'. GET /v1/models lists those it may."
        return Refusal(Code.MODEL_NOT_ALLOWED, detail, param="model")
    return model


def names(caller: Caller, lane: Lane, model_id: str) -> bool:
    """Return whether a key's allow-list lets it use a model in a lane."""
    allowed = caller.key.models
    return allowed is None or model_id in allowed or f"{lane.id}/{model_id}" in allowed


def unknown(name: str) -> Refusal:
    """Return the refusal of a name that stands for nothing this caller may know of."""
    detail = f"The model '{shown(name)}' does not exist. GET /v1/models lists yours."
    return Refusal(Code.MODEL_NOT_FOUND, detail, param="model")
