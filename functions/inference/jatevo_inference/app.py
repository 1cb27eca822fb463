"""
The ASGI app of the streamed routes: `POST [/playground]/v1/chat/completions`, `POST /v1/responses` and `/compact`
below it (also under `/backend-api/codex`), `POST /v1/messages`, and the two that count what a request would come to.

Bare ASGI, so that a cold start imports no framework. Every answer carries `x-request-id` and both counters; errors
have the shape of the API that was asked; a stream that breaks is left without its regular end, so that no client takes
it for whole.
"""

import asyncio
import logging
import re
from contextlib import suppress
from dataclasses import dataclass, replace

from jatevo.adapters.http.asgi import (
    BodyTooLarge,
    ClientLeft,
    PatientSender,
    Receive,
    Scope,
    Send,
    header,
    read_body,
    respond,
    source_ip,
    start,
    until_disconnect,
)
from jatevo.adapters.http.encodings import ACCEPTED, BadEncoding, UnknownEncoding, decoded, encoding_of
from jatevo.adapters.json_text import json_bytes
from jatevo.adapters.wire.checks import MAX_BODY_BYTES
from jatevo.adapters.wire.errors import ErrorWording, wire_error
from jatevo.adapters.wire.headers import (
    Standing,
    limit_headers,
    standing_in,
    standing_of,
    standing_with,
    tightest,
    without_budget,
)
from jatevo.application.access import Access
from jatevo.application.counters import Counters
from jatevo.application.exchange import InferenceRequest
from jatevo.application.histories import Histories
from jatevo.application.inference import DRAIN_PATIENCE_S, Inference, Streaming
from jatevo.application.journal import Chronicle, Journal, Tracing
from jatevo.application.ports import Clock, Randomness, StoreError
from jatevo.application.relay import Completed, Rejected
from jatevo.domain import ids
from jatevo.domain.accounts import Caller
from jatevo.domain.refusals import Code, QuotaFacts, Refusal
from jatevo_inference.endpoints import (
    ChatEndpoint,
    CodexEndpoint,
    CompactionEndpoint,
    CountTokensEndpoint,
    Endpoint,
    InputTokensEndpoint,
    MessagesEndpoint,
    ResponsesEndpoint,
    codex_wording,
)
from jatevo_inference.playground import PlaygroundCallers

_log = logging.getLogger(__name__)

KEEP_NOTHING = "x-jatevo-zdr"
"""The request header by which a client wants nothing of its request to be kept, here or upstream: `true`."""
CHAT_PATH = "/v1/chat/completions"
PLAYGROUND_PATH = "/playground/v1/chat/completions"
"""The same for those without a key, too: see `playground`."""
RESPONSES_PATH = "/v1/responses"
INPUT_TOKENS_PATH = "/v1/responses/input_tokens"
COMPACT_PATH = "/v1/responses/compact"
MESSAGES_PATH = "/v1/messages"
COUNT_TOKENS_PATH = "/v1/messages/count_tokens"
CODEX_PATH = "/backend-api/codex/responses"
CODEX_COMPACT_PATH = "/backend-api/codex/responses/compact"
_SSE = {"content-type": "text/event-stream; charset=utf-8", "cache-control": "no-cache", "x-accel-buffering": "no"}
_TOO_LARGE = Refusal(Code.REQUEST_TOO_LARGE, f"The body is larger than {MAX_BODY_BYTES // 1024**2} MB.")
_INTERNAL = Refusal(Code.INTERNAL_ERROR, "Something went wrong in the gateway. Try again.")
_STORE_DOWN = Refusal(Code.SERVICE_UNAVAILABLE, "The gateway cannot check this request right now. Try again shortly.")
_NOT_FOUND = Refusal(Code.NOT_FOUND, "There is no such route.")
_NO_UPGRADE = Refusal(
    Code.UPGRADE_UNSUPPORTED, "This route streams server-sent events over POST; it does not take upgrades."
)
_ONLY_POST = Refusal(Code.METHOD_NOT_ALLOWED, "This route takes POST only.")
_ENCODINGS = Refusal(Code.UNSUPPORTED_ENCODING, f"Content-Encoding may be one of {ACCEPTED}, or left out.")
_LONGEST_ECHO = 256
_ECHOABLE = re.compile(r"[ -~\x80-\xff]+")
"""No line can end in it, whatever stands between us and the client."""
_INSTEAD = {
    Code.UNSUPPORTED_ENCODING: {"accept-encoding": ACCEPTED},
    Code.METHOD_NOT_ALLOWED: {"allow": "POST"},
    Code.UPGRADE_UNSUPPORTED: {"upgrade": "HTTP/1.1", "connection": "close, upgrade"},
}
"""Headers that HTTP wants with a refusal: what would be served."""


@dataclass(frozen=True, slots=True)
class InferenceServices:
    """What the app needs, wired by bootstrap."""

    access: Access
    inference: Inference
    counters: Counters
    clock: Clock
    randomness: Randomness
    wording: ErrorWording
    histories: Histories
    playground: PlaygroundCallers
    chronicle: Chronicle
    tracing: Tracing | None = None
    """None: nothing is traced."""


class InferenceApp:
    """The app. One instance serves any number of requests at once."""

    def __init__(self, services: InferenceServices) -> None:
        self._services = services
        made = (services.wording, services.histories, services.inference)
        self._endpoints: dict[str, Endpoint] = {
            CHAT_PATH: ChatEndpoint(services.wording),
            PLAYGROUND_PATH: ChatEndpoint(services.wording),
            RESPONSES_PATH: ResponsesEndpoint(*made),
            INPUT_TOKENS_PATH: InputTokensEndpoint(*made),
            COMPACT_PATH: CompactionEndpoint(services.wording, services.histories),
            MESSAGES_PATH: MessagesEndpoint(services.wording),
            COUNT_TOKENS_PATH: CountTokensEndpoint(services.wording),
            CODEX_PATH: CodexEndpoint(*made),
            CODEX_COMPACT_PATH: CompactionEndpoint(codex_wording(services.wording), services.histories),
        }

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "lifespan":
            await self._lifespan(receive, send)
        elif scope["type"] == "http":
            endpoint = self._endpoints.get(scope["path"].rstrip("/"))
            await _Request(self._services, endpoint, scope, receive, send).serve()
            if "lambda.invocation" in scope.get("extensions", {}):
                # Lambda freezes what runs after the answer: an answer given up by its reader is settled before.
                await self.drain(patience_s=None)

    async def drain(self, patience_s: float | None = DRAIN_PATIENCE_S) -> None:
        """Settle everything under way, cutting short what takes longer than `patience_s`."""
        await self._services.inference.drain(patience_s)
        if self._services.tracing is not None:
            await self._services.tracing.flush()

    async def _lifespan(self, receive: Receive, send: Send) -> None:
        await receive()
        try:
            await self._services.inference.prepare()
        except StoreError as error:
            await send({"type": "lifespan.startup.failed", "message": f"the tables cannot be read: {error}"})
            return
        await send({"type": "lifespan.startup.complete"})
        await receive()
        # Before the answer: what still runs after it is cancelled.
        await self.drain()
        await send({"type": "lifespan.shutdown.complete"})


class _Request:
    """One HTTP request."""

    def __init__(
        self, services: InferenceServices, endpoint: Endpoint | None, scope: Scope, receive: Receive, send: Send
    ) -> None:
        self._services = services
        self._endpoint = endpoint
        self._scope = scope
        self._receive = receive
        self._send = send
        self._id = ids.reservation_id(services.clock.now_ms(), services.randomness.bits(64))
        self._journal = Journal(
            asyncio.get_running_loop().time,
            services.chronicle,
            method=scope["method"],
            route="" if endpoint is None else scope["path"].rstrip("/"),
        )
        if services.tracing is not None:
            services.tracing.begin(self._journal, header(scope, "traceparent"))
        self._caller: Caller | None = None
        self._body_read = False
        self._started = False

    async def serve(self) -> None:
        with self._journal:
            try:
                # A client may leave while it is told that something failed, too.
                with suppress(ClientLeft):
                    await self._served()
            finally:
                self._journal.id = f"req_{self._id}"

    async def _served(self) -> None:
        try:
            refusal = _NOT_FOUND if self._endpoint is None else self._misused() or await self._answer(self._endpoint)
            if refusal is not None:
                await self._refuse(refusal)
        except ClientLeft:
            raise
        except StoreError as error:
            _log.error("request %s: the store does not answer: %s", self._id, error)
            await self._refuse(_STORE_DOWN, told=False)
        except Exception as error:  # noqa: BLE001 - the outermost edge of a request
            _log.exception("request %s failed", self._id)
            self._journal.failure = type(error).__name__
            if not self._started:
                await self._refuse(_INTERNAL, told=False)

    def _misused(self) -> Refusal | None:
        if self._scope["method"] == "POST":
            return None
        return _NO_UPGRADE if header(self._scope, "upgrade") else _ONLY_POST

    async def _answer(self, endpoint: Endpoint) -> Refusal | None:
        """Serve the request; return the refusal if nothing has been sent."""
        caller = await self._who(endpoint)
        if isinstance(caller, Refusal):
            return caller
        self._caller = caller
        self._journal.account_id, self._journal.key_id = caller.account.id, caller.key.id
        self._journal.mark("access")
        raw = await self._body()
        if isinstance(raw, Refusal):
            return raw
        self._journal.mark("body")
        zdr = header(self._scope, KEEP_NOTHING) == "true"
        asked = await endpoint.asked(_keeping_nothing(caller) if zdr else caller, raw)
        if isinstance(asked, Refusal):
            return asked
        request = replace(asked.request, zdr=zdr, journal=self._journal)
        self._journal.mark("parse")
        if endpoint.counts_only:
            return await self._count(caller, request, endpoint)
        serve = self._services.inference.stream if request.stream else self._services.inference.complete
        result = await serve(caller, request, endpoint.formats, asked.keeper)
        if isinstance(result, Rejected):
            return await self._reject(result)
        self._id = result.reservation.id
        if isinstance(result, Completed):
            await self._send_whole(result)
        else:
            await self._send_stream(result, endpoint.heartbeat)
        return None

    async def _count(self, caller: Caller, request: InferenceRequest, endpoint: Endpoint) -> Refusal | None:
        """Send how many tokens the input comes to."""
        count = await self._services.inference.count(caller, request, endpoint.formats)
        if isinstance(count, Refusal):
            return count
        headers = self._headers(await self._standing(caller, None))
        self._begin(200)
        await respond(self._send, 200, headers, json_bytes(endpoint.counted(count)))
        return None

    async def _who(self, endpoint: Endpoint) -> Caller | Refusal:
        if self._scope["path"].rstrip("/") == PLAYGROUND_PATH:
            return await self._services.playground.who(self._scope, self._journal)
        return await self._services.access.authenticate(
            endpoint.key(self._scope), source_ip(self._scope), self._journal
        )

    async def _body(self) -> bytes | Refusal:
        """Return the body, unpacked, or why it is not taken."""
        try:
            encoding = encoding_of(header(self._scope, "content-encoding"))
            raw = await read_body(self._receive, MAX_BODY_BYTES)
            self._body_read = True
            return raw if encoding is None else await asyncio.to_thread(decoded, raw, encoding, MAX_BODY_BYTES)
        except UnknownEncoding:
            return _ENCODINGS
        except BadEncoding as error:
            return Refusal(Code.INVALID_ENCODING, str(error))
        except BodyTooLarge:
            return _TOO_LARGE

    async def _send_whole(self, done: Completed) -> None:
        standing = standing_with(done.reservation, done.entry)
        self._begin(200)
        await respond(self._send, 200, self._headers(standing), done.body)

    async def _send_stream(self, streaming: Streaming, heartbeat: bytes) -> None:
        """Write a stream until it ends, or give it up when nobody reads it."""
        self._begin(200)
        await start(self._send, 200, {**self._headers(standing_with(streaming.reservation)), **_SSE})
        channel = streaming.channel
        writing = asyncio.ensure_future(self._write(streaming, heartbeat))
        watching = [
            asyncio.ensure_future(until_disconnect(self._receive)),
            asyncio.ensure_future(channel.abandoned.wait()),
        ]
        try:
            await asyncio.wait([writing, *watching], return_when=asyncio.FIRST_COMPLETED)
        finally:
            if not writing.done():
                channel.abandon()
            for task in (writing, *watching):
                task.cancel()
            await asyncio.gather(writing, *watching, return_exceptions=True)

    async def _write(self, streaming: Streaming, heartbeat: bytes) -> None:
        channel = streaming.channel
        with PatientSender(self._send, channel.abandon) as client:
            if streaming.late:
                await client.send(heartbeat, more=True)
            while (data := await channel.read(self._services.inference.heartbeat_s)) is not None:
                await client.send(data or heartbeat, more=True)
            if channel.whole:
                await client.send(b"", more=False)

    async def _reject(self, rejected: Rejected) -> Refusal | None:
        """Send the refusal of a request that held a reservation; others are returned."""
        if rejected.reservation is None:
            return rejected.refusal
        self._id = rejected.reservation.id
        await self._send_error(rejected.refusal, standing_with(rejected.reservation, rejected.entry))
        return None

    async def _refuse(self, refusal: Refusal, *, told: bool = True) -> None:
        """Send a refusal; with both counters where the caller is known and `told`."""
        standing = await self._standing(self._caller, refusal.quota) if told and self._caller is not None else None
        await self._send_error(refusal, standing)

    async def _standing(self, caller: Caller, facts: QuotaFacts | None) -> Standing | None:
        """Return both counters, with no read where a refusal by the account's limits tells them already."""
        told = () if facts is None else (standing_in(facts),)
        if told and caller.key.caps is None:
            return told[0]
        try:
            account = await self._services.counters.of_account(caller.account)
            month = await self._services.counters.of_month(caller.account)
            key = await self._services.counters.of_key(caller.key)
        except StoreError:
            return None
        binding = [one for one in (account, month) if one is not None]
        if caller.reseller_margin_bps is not None:
            binding = [without_budget(one) for one in binding]
        return tightest(*told, *map(standing_of, binding if key is None else [*binding, key]))

    async def _send_error(self, refusal: Refusal, standing: Standing | None) -> None:
        now_unix_s = self._services.clock.now_ms() // 1000
        if self._endpoint is None:
            error = wire_error(refusal, now_unix_s, self._services.wording)
        else:
            error = self._endpoint.error(refusal, now_unix_s, f"req_{self._id}")
        self._begin(error.status)
        self._journal.code = refusal.code
        headers = {**self._headers(standing), **error.headers, **_INSTEAD.get(refusal.code, {})}
        await respond(self._send, error.status, headers, json_bytes(error.body))

    def _begin(self, status: int) -> None:
        self._started = True
        self._journal.status = status

    def _headers(self, standing: Standing | None) -> dict[str, str]:
        names = ("x-request-id",) if self._endpoint is None else self._endpoint.id_headers
        headers = dict.fromkeys(names, f"req_{self._id}")
        if self._journal.trace_id:
            headers["x-trace-id"], headers["traceparent"] = self._journal.trace_id, self._journal.traceparent()
        if self._endpoint is not None and self._endpoint.echoed is not None:
            said = header(self._scope, self._endpoint.echoed) or ""
            headers[self._endpoint.echoed] = said[:_LONGEST_ECHO] if _ECHOABLE.fullmatch(said) else self._id
        if not self._body_read:
            headers["connection"] = "close"  # nobody is going to read what may still be coming
        if standing is not None:
            headers |= limit_headers(standing, self._services.clock.now_ms() // 1000)
        return headers


def _keeping_nothing(caller: Caller) -> Caller:
    return replace(caller, account=replace(caller.account, zdr=True))
