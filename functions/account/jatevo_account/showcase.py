"""
The routes behind the public pages: `GET /account/v1/pricing` and `GET /account/v1/simulation`. Nobody has to say who
they are; both read what is the same for everybody, so answers may be kept for a few seconds.
"""

from typing import Annotated, Any

from fastapi import APIRouter, Query
from starlette.responses import Response

from jatevo.adapters.http.starlette_errors import Errors
from jatevo.adapters.json_text import json_bytes
from jatevo.adapters.wire.showcase import showcase, simulation
from jatevo.application.showcase import Showcase, Supposed
from jatevo.domain.prices import PriceError, parse_price
from jatevo.domain.refusals import Code, Refusal, shown

_MOST_TOKENS = 10**12
_MOST_IN_A_REQUEST = 10**7
_MOST_REQUESTS = 10**6

type Count = Annotated[int, Query(ge=0, le=_MOST_IN_A_REQUEST)]


def showcase_routes(use: Showcase, errors: Errors) -> APIRouter:
    """Return the routes, below `/account/v1`."""
    router = APIRouter(prefix="/account/v1")

    @router.get("/pricing", response_model=None)
    async def pricing() -> Response:
        return _answer(showcase(await use.models(), await use.quote(), use.margin_bps))

    @router.get("/simulation", response_model=None)
    async def simulated_day(
        tokens: Annotated[int, Query(ge=0, le=_MOST_TOKENS)],
        price_usd: Annotated[str, Query(max_length=24)],
        model: Annotated[str, Query(max_length=200)],
        input_tokens: Count,
        output_tokens: Count,
        requests: Annotated[int, Query(ge=1, le=_MOST_REQUESTS)],
    ) -> Response:
        try:
            price = parse_price(price_usd)
        except PriceError as error:
            return errors.answer(Refusal(Code.INVALID_VALUE, f"price_usd: {error}.", param="price_usd"))
        supposed = Supposed(tokens, price, model, input_tokens, output_tokens, requests)
        result = await use.simulate(supposed)
        if result is None:
            return errors.answer(Refusal(Code.MODEL_NOT_FOUND, f"There is no model '{shown(model)}'.", param="model"))
        return _answer(simulation(supposed, result))

    return router


def _answer(body: dict[str, Any]) -> Response:
    return Response(json_bytes(body), headers={"cache-control": "public, max-age=10"}, media_type="application/json")
