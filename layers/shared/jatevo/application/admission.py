"""
Admission: everything a request must pass before an upstream is called.

Model exists and is allowed → some route honours the request → its worst case is reserved. What no route can honour is
refused before anything is reserved.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from jatevo.application.access import find_model
from jatevo.application.client_errors import ClientErrors
from jatevo.application.exchange import Candidate, Formats, InferenceRequest
from jatevo.application.ports import Clock, Directory, Upstream, UpstreamCall
from jatevo.application.reservations import Reservation, Reservations, Wanted
from jatevo.domain.accounts import Caller
from jatevo.domain.catalogue import Catalogue, Model
from jatevo.domain.projection import Ask
from jatevo.domain.refusals import Code, Refusal


@dataclass(frozen=True, slots=True)
class Admitted:
    """A request that holds its worst case, and the routes that can serve it, best first."""

    request: InferenceRequest
    reservation: Reservation
    routes: Sequence[Candidate]
    input_field: str


class Admission:
    """Admits requests for one gateway process."""

    def __init__(
        self, directory: Directory, reservations: Reservations, upstream: Upstream, clock: Clock, errors: ClientErrors
    ) -> None:
        self._directory = directory
        self._reservations = reservations
        self._upstream = upstream
        self._clock = clock
        self._errors = errors

    async def prepare(self) -> None:
        """Read ahead what the first request needs. Raises StoreError: then no request could be served."""
        await self._directory.catalogue()

    async def admit(self, caller: Caller, request: InferenceRequest, formats: Formats) -> Admitted | Refusal:
        """Return the admitted request, or why not. Raises StoreError when the store does not answer."""
        catalogue = await self._directory.catalogue()
        model = find_model(catalogue, caller, request.model)
        if isinstance(model, Refusal):
            return model
        routes = honouring_routes(catalogue, model, request, formats)
        if isinstance(routes, Refusal):
            return routes
        await self._errors.hold_back(caller.account.id)
        ask = Ask(
            size=request.size,
            choices=request.choices,
            output_cap=request.output_cap,
            estimate_permille=caller.account.estimate_at(self._clock.now_ms() // 1000),
        )

        async def count_tokens() -> int | None:
            best = routes[0]
            body = best.wire.countable(request, best.pool)
            return await self._upstream.count_tokens(UpstreamCall(best.pool, best.wire.path, body, 0, ""))

        wanted = Wanted(caller, model, catalogue.version, ask)
        result = await self._reservations.reserve(wanted, count_tokens)
        return result if isinstance(result, Refusal) else Admitted(request, result, routes, formats.input_field)


def honouring_routes(
    catalogue: Catalogue, model: Model, request: InferenceRequest, formats: Formats
) -> Sequence[Candidate] | Refusal:
    """Return the routes of a model that can serve a request as it is, or the refusal that names what none can."""
    for name, parts, sold in (
        ("images", request.size.images, model.price.base.image_input is not None),
        ("audio", request.size.audio_parts, model.price.base.audio_input is not None),
        ("files", request.size.files, model.estimate.file_tokens > 0),
    ):
        if parts and not sold:
            detail = f"The model '{model.id}' does not take {name} as input."
            return Refusal(Code.UNSUPPORTED_MODALITY, detail, param=formats.input_field)
    served = ((catalogue.pools[route.pool], route) for route in model.routes)
    routes = [Candidate(pool, route, wire) for pool, route in served if (wire := formats.for_pool(pool)) is not None]
    if not routes:
        return Refusal(Code.MODEL_NOT_FOUND, f"The model '{model.id}' is not served by this route.", param="model")
    refusals = [candidate.wire.refusal(request, candidate.pool) for candidate in routes]
    honouring = [candidate for candidate, refusal in zip(routes, refusals, strict=True) if refusal is None]
    return honouring or next(filter(None, refusals))
