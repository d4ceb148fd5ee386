"""The endpoints for machines: `/metrics`, `/callback`, probes, `/-/reload`; request bodies and worker threads."""

import asyncio
import math
import zlib
from collections.abc import Callable, Hashable, Iterable, Iterator, Mapping
from contextlib import suppress
from importlib import import_module
from types import ModuleType
from typing import Any, NamedTuple, TypeVar

from anyio import CapacityLimiter, to_thread
from starlette.requests import ClientDisconnect, Request
from starlette.responses import PlainTextResponse, Response
from starlette.types import Receive, Scope, Send

from exporter.enums import CallbackOutcome, Source
from exporter.errors import ConfigError, StartError, StateError
from exporter.metrics.exposition import accepts_gzip, choose_format
from exporter.web.auth import TokenBucket
from exporter.web.interfaces import ReplicaApi

Result = TypeVar("Result")

compressor: ModuleType = zlib
with suppress(ImportError):  # it has no build for every machine
    compressor = import_module("isal.isal_zlib")  # a fifth of zlib's time (docs/performance.md)

GZIP_LEVEL = 1
"""The text repeats itself so much that a higher level saves little for its time."""
GZIP_WINDOW = zlib.MAX_WBITS | 16
"""The largest window, in gzip's own wrapping."""

CHUNK_BYTES = 96 * 1024
"""Few enough to stay in memory that was used before, enough to be worth a call."""

BODY_TIMEOUT = 10.0
"""Seconds that a body may take to arrive."""

MAX_CALLBACK_BYTES = 64 * 1024
UNSIGNED_PER_SECOND, UNSIGNED_BURST = 10.0, 100.0
"""Callbacks without a good signature and pushes without a good token that are answered so; more get 429."""

STATUS_OF_OUTCOME = {CallbackOutcome.BAD_SIGNATURE: 401, CallbackOutcome.MALFORMED: 400}
"""All other outcomes are 200: the vendor need not send the event again."""

CALLBACKS_OFF = "Callbacks are off: the configuration has no callbacks.secret_file.\n"
CALLBACKS_ELSEWHERE = "Callbacks have a listener of their own, callbacks.listen_address.\n"
STATE_UNAVAILABLE = "The state cannot be written now; send this again.\n"
TOO_MANY_UNSIGNED = "Too many unsigned callbacks.\n"
CLOSE = {"Connection": "close"}
RETRY = {"Retry-After": "1"}


TURNS = 4


class Turns:
    """Lets TURNS tasks of the event loop go on at a time, in the order in which they ask.

    However many responses are sent at once, one pass of the loop writes so many chunks: a probe waits for them alone.
    """

    def __init__(self) -> None:
        self._loop: asyncio.AbstractEventLoop | None = None
        self._free = asyncio.Semaphore(TURNS)

    def next(self) -> asyncio.Semaphore:
        """The semaphore that a task holds for its turn; a server that was started again has another loop."""
        loop = asyncio.get_running_loop()
        if loop is not self._loop:
            self._loop, self._free = loop, asyncio.Semaphore(TURNS)
        return self._free


class Busy(Exception):
    """Too many requests of this kind wait already."""


class WorkerPool:
    """Worker threads for one kind of request: `at_once` run, `waiting` more wait, further ones are refused.

    Used from one event loop. Kinds have pools of their own, so that none waits behind another.
    """

    def __init__(self, at_once: int, waiting: float = math.inf) -> None:
        self._slots = CapacityLimiter(at_once)
        self._threads = CapacityLimiter(math.inf)
        self._max_waiting = waiting
        self._shared: dict[Hashable, asyncio.Task[Any]] = {}

    async def run(self, work: Callable[..., Result], *args: object) -> Result:
        """Call `work` on a thread; Busy when too many wait."""
        if self._slots.statistics().tasks_waiting >= self._max_waiting:
            raise Busy
        return await self.finish(work, *args)

    async def finish(self, work: Callable[..., Result], *args: object) -> Result:
        """Call `work` on a thread, however many wait: for what has begun already."""
        async with self._slots:
            return await to_thread.run_sync(work, *args, limiter=self._threads)

    async def share(self, key: Hashable, work: Callable[[], Result]) -> Result:
        """Call `work` on a thread, once for all callers with this key that came before it began."""
        task = self._shared.get(key)
        if task is None:
            task = self._shared[key] = asyncio.create_task(self._run_shared(key, work))
            task.add_done_callback(lambda done: done.cancelled() or done.exception())  # all callers may have left
        result: Result = await asyncio.shield(task)
        return result

    async def _run_shared(self, key: Hashable, work: Callable[[], Result]) -> Result:
        try:
            async with self._slots:
                del self._shared[key]
                return await to_thread.run_sync(work, limiter=self._threads)
        finally:
            if self._shared.get(key) is asyncio.current_task():
                del self._shared[key]


class Pools:
    """Worker threads by kind of request. Probes use none: they are answered on the event loop."""

    def __init__(self) -> None:
        self.scrapes = WorkerPool(2)
        self.filtered_scrapes = WorkerPool(1, waiting=32)
        self.callbacks = WorkerPool(8, waiting=128)
        self.pushes = WorkerPool(1, waiting=8)
        self.tokens = WorkerPool(2, waiting=64)
        self.reloads = WorkerPool(1)
        self.pages = WorkerPool(2, waiting=32)
        self.fleet = WorkerPool(2, waiting=8)
        self.state = WorkerPool(2, waiting=8)
        self.probes = WorkerPool(1)
        self.turns = Turns()
        self.no_thread = False
        """Whether no thread could be started for a request, and for none since."""


def api_of(request: Request) -> ReplicaApi:
    """The exporter or standby that answers the request."""
    api: ReplicaApi = request.app.state.api
    return api


def pools_of(request: Request) -> Pools:
    """The worker threads of the application."""
    pools: Pools = request.app.state.pools
    return pools


class BodyError(Exception):
    """The body cannot be used; `status` is the answer's."""

    def __init__(self, status: int, sentence: str) -> None:
        super().__init__(sentence)
        self.status = status


def require_type(request: Request, content_type: str) -> None:
    """BodyError (415) when the body is declared to be of another type."""
    given = request.headers.get("content-type", content_type).partition(";")[0].strip().lower()
    if given != content_type:
        raise BodyError(415, f"Content-Type must be {content_type}")


async def read_body(request: Request, limit: int, timeout: float = BODY_TIMEOUT) -> bytes:  # noqa: ASYNC109 - how long the client may take
    """Read the whole body; BodyError when it is too long (413), breaks off (400), or is late (408)."""
    if request.headers.get("content-length", "").isdecimal() and int(request.headers["content-length"]) > limit:
        raise _too_long(limit)
    body = bytearray()
    try:
        async with asyncio.timeout(timeout):
            async for chunk in request.stream():
                body += chunk
                if len(body) > limit:
                    raise _too_long(limit)
    except ClientDisconnect:
        raise BodyError(400, "the body breaks off") from None
    except TimeoutError:
        raise BodyError(408, "the body takes too long to arrive") from None
    return bytes(body)


def _too_long(limit: int) -> BodyError:
    return BodyError(413, f"the body has more than {limit:,} bytes; send it in parts")


def chunks(pieces: Iterable[bytes], size: int = CHUNK_BYTES) -> Iterator[bytes]:
    """Join small pieces and split large ones to chunks of `size` bytes, or up to twice as many."""
    batch: list[bytes] = []
    length = 0
    for piece in pieces:
        for start in range(0, len(piece), size):
            part = piece[start : start + size]
            batch.append(part)
            length += len(part)
            if length >= size:
                yield b"".join(batch)
                batch, length = [], 0
    if batch:
        yield b"".join(batch)


class Compressed(NamedTuple):
    """A text as one gzip stream in parts, and its own length in bytes."""

    parts: list[bytes]
    length: int


def compress(pieces: Iterable[bytes]) -> Compressed:
    """Compress the pieces to one gzip stream. Compression releases the GIL."""
    packer = compressor.compressobj(GZIP_LEVEL, zlib.DEFLATED, GZIP_WINDOW)
    parts, length = [], 0
    for chunk in chunks(pieces):
        length += len(chunk)
        parts.append(packer.compress(chunk))
    parts.append(packer.flush())
    return Compressed([*chunks(parts)], length)


def decompress(parts: Iterable[bytes]) -> Iterator[bytes]:
    """The text of a gzip stream, in chunks."""
    unpacker = zlib.decompressobj(GZIP_WINDOW)
    for part in parts:
        left = part
        while left:
            yield unpacker.decompress(left, CHUNK_BYTES)
            left = unpacker.unconsumed_tail
    yield unpacker.flush()


class ChunkedResponse(Response):
    """A response of known length, sent in chunks, so that the whole body is never copied for a slow client."""

    def __init__(self, body: Iterable[bytes], length: int, headers: Mapping[str, str], turns: Turns) -> None:
        self._chunks = iter(body)
        self._turns = turns
        super().__init__(headers={**headers, "Content-Length": str(length)})

    async def __call__(self, _scope: Scope, receive: Receive, send: Send) -> None:
        """Send one chunk after the other, as fast as the client reads, until it has all of them or leaves."""
        await send({"type": "http.response.start", "status": self.status_code, "headers": self.raw_headers})
        left = asyncio.create_task(_wait_until_left(receive))
        try:
            await self._send_body(left, send)
        finally:
            left.cancel()

    async def _send_body(self, left: "asyncio.Task[None]", send: Send) -> None:
        chunk: bytes | None = b""
        while chunk is not None:
            await send({"type": "http.response.body", "more_body": True})  # waits for a client that does not read
            async with self._turns.next():
                chunk = None if left.done() else next(self._chunks, None)
                await send({"type": "http.response.body", "body": chunk or b"", "more_body": chunk is not None})
                await asyncio.sleep(0)  # sending does not wait while the socket takes it: other requests get their turn


async def _wait_until_left(receive: Receive) -> None:
    """Wait until the client has left; the server accepts what is sent to it all the same."""
    while (await receive())["type"] != "http.disconnect":
        pass


async def metrics(request: Request) -> Response:
    """`GET /metrics` in the format and encoding that the client asks for.

    Scrapes that arrive together share one exposition, so that many cost as much as three. It is kept compressed, so
    that clients that read slowly hold little memory.
    """
    query, pools = request.query_params, pools_of(request)
    fmt = choose_format(request.headers.get("accept", ""))
    names = frozenset(query.getlist("name[]"))
    per_task = "fleet" not in query.getlist("collect[]")

    def expose() -> Compressed:
        return compress(api_of(request).exposition.pieces(fmt, names, per_task=per_task))

    if names:
        try:
            text = await pools.filtered_scrapes.run(expose)
        except Busy:
            return busy()
    else:
        text = await pools.scrapes.share((fmt, per_task), expose)
    pools.no_thread = False
    headers = {"Content-Type": fmt.value, "Vary": "Accept, Accept-Encoding"}
    if accepts_gzip(request.headers.get("accept-encoding", "")):
        return ChunkedResponse(
            text.parts, sum(map(len, text.parts)), {**headers, "Content-Encoding": "gzip"}, pools.turns
        )
    return ChunkedResponse(decompress(text.parts), text.length, headers, pools.turns)


def busy() -> Response:
    """503 when too many requests of one kind wait."""
    return PlainTextResponse("Too many requests of this kind at once; try again.\n", status_code=503, headers=RETRY)


async def callback(request: Request) -> Response:
    """`POST /callback`: 200 once the vendor's event is committed to the state."""
    api = api_of(request)
    if Source.CALLBACK not in api.secrets:
        return PlainTextResponse(CALLBACKS_OFF, status_code=404)
    if api.config.callbacks.listen_address is not None and not request.app.state.is_callback_listener:
        return PlainTextResponse(CALLBACKS_ELSEWHERE, status_code=404)
    try:
        body = await read_body(request, MAX_CALLBACK_BYTES)
    except BodyError as error:
        return PlainTextResponse(f"{error}\n", status_code=error.status, headers=CLOSE)
    try:
        outcome = await pools_of(request).callbacks.run(api.callbacks.receive, body)
    except (Busy, StartError, StateError):
        return PlainTextResponse(STATE_UNAVAILABLE, status_code=503, headers=RETRY)
    unsigned: TokenBucket = request.app.state.unsigned
    if outcome in STATUS_OF_OUTCOME and not unsigned.try_acquire():
        return PlainTextResponse(TOO_MANY_UNSIGNED, status_code=429, headers=CLOSE)
    return PlainTextResponse(f"{outcome}\n", status_code=STATUS_OF_OUTCOME.get(outcome, 200))


async def healthy(request: Request) -> Response:
    """`GET /-/healthy`: 200 while the scheduler, or on a standby the election, moves, and threads can be started."""
    pools = pools_of(request)
    if pools.no_thread:
        await pools.probes.finish(int)
        pools.no_thread = False
    if api_of(request).alive:
        return PlainTextResponse("webcast-exporter is healthy.\n")
    return PlainTextResponse("The scheduler has not moved lately: no task is read.\n", status_code=503)


async def ready(request: Request) -> Response:
    """`GET /-/ready`: 200 once it can serve; never turns back for the vendor's faults."""
    reason = api_of(request).not_ready
    if not reason:
        return PlainTextResponse("webcast-exporter is ready.\n")
    return PlainTextResponse(f"{reason}\n", status_code=503)


async def reload(request: Request) -> Response:
    """`POST /-/reload`: 500 with all problems when the configuration is bad. Those that wait share one reload."""
    if request.method not in ("POST", "PUT"):
        sentence = "Only POST or PUT requests reload: curl -X POST .../-/reload\n"
        return PlainTextResponse(sentence, status_code=405, headers={"Allow": "POST, PUT"})
    try:
        await pools_of(request).reloads.share("reload", api_of(request).reload)
    except ConfigError as error:
        return PlainTextResponse(f"The configuration was not reloaded:\n{error}\n", status_code=500)
    return PlainTextResponse("The configuration was reloaded.\n")
