"""The simulation on a port: an HTTP/1.1 server and the callback sender on an event loop of their own thread."""

import asyncio
import json
import socket
import ssl
import struct
import subprocess
import threading
import time
from collections.abc import AsyncIterator, Callable
from contextlib import suppress
from dataclasses import asdict, dataclass, field
from email.utils import formatdate
from http import HTTPStatus
from pathlib import Path
from random import Random
from types import TracebackType
from typing import Self

import h11
import structlog

from exporter.errors import StartError
from exporter.model.credentials import Credentials
from exporter.simulator.callback_sender import EXACT, CallbackSender, DeliveryPolicy, check_url
from exporter.simulator.faults import FaultMode
from exporter.simulator.fleet import demo_fleet
from exporter.simulator.gateway import ApiRequest, Gateway, SimulatedAccount, refused
from exporter.simulator.replies import NotFoundForm, Sending, VendorReply

log = structlog.stdlib.get_logger(__name__)

CREDENTIALS = Credentials(
    access_key="AKLTexampleexampleexample0000001",
    secret_key="WkdWdGJ5MXpaV055WlhRdFptOXlMWFJsYzNRPQ==",  # noqa: S106 - a made-up key
)
ACCOUNT = SimulatedAccount("default", (CREDENTIALS,))
CALLBACK_SECRET = "simulated-callback-secret"  # noqa: S105 - a made-up secret

IDLE_TIMEOUT = 75.0
STOP_TIMEOUT = 1.0
POLL_INTERVAL = 0.05
DRIP_INTERVAL = 0.2
BACKLOG = 128
MAX_HEAD = 16 * 1024
MAX_BODY = 64 * 1024
RESET_ON_CLOSE = struct.pack("ii", 1, 0)
OPENSSL = (
    *("openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes", "-days", "2"),
    *("-addext", "subjectAltName=DNS:localhost,IP:127.0.0.1,IP:::1"),
    *("-addext", "keyUsage=critical,digitalSignature,keyCertSign"),
)


@dataclass(frozen=True, slots=True)
class Certificates:
    """Two self-signed certificates, each with its key in one PEM file. A client is to trust `authority` alone."""

    authority: Path
    trusted: Path
    stranger: Path

    def context(self, *, stranger: bool) -> ssl.SSLContext:
        """A server's TLS context that shows one of them."""
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(self.stranger if stranger else self.trusted)
        return context


def make_certificates(folder: Path) -> Certificates:
    """Make both, valid for this host and two days; StartError without a working `openssl`."""

    def make(name: str, certificate: Path) -> Path:
        key, both = folder / f"{name}.key", folder / f"{name}.pem"
        command = [*OPENSSL, "-subj", f"/CN={name} simulator", "-keyout", str(key), "-out", str(certificate)]
        try:
            subprocess.run(command, check=True, capture_output=True, timeout=30)  # noqa: S603 - no word of it is input
        except (OSError, subprocess.SubprocessError) as error:
            raise StartError(f"The command openssl makes no certificate: {type(error).__name__}.") from error
        both.touch(mode=0o600)
        both.write_bytes(key.read_bytes() + certificate.read_bytes())
        return both

    authority = folder / "authority.pem"
    return Certificates(authority, make("trusted", authority), make("stranger", folder / "stranger-authority.pem"))


@dataclass(frozen=True, slots=True, kw_only=True)
class SimulationOptions:
    """What is simulated: `tasks` of a demo fleet at `speed` times class time, where, and for which accounts.

    Callbacks go to `callback_url`, empty = nowhere; ValueError for a bad URL. `certificates` make it an https endpoint.
    """

    tasks: int = 40
    speed: float = 60.0
    seed: int = 1
    host: str = "127.0.0.1"
    port: int = 0
    accounts: tuple[SimulatedAccount, ...] = (ACCOUNT,)
    region: str = "cn-north-1"
    qps: int = 60
    not_found: NotFoundForm = NotFoundForm.ERROR
    callback_url: str = ""
    callback_secret: str = field(default=CALLBACK_SECRET, repr=False)
    delivery: DeliveryPolicy = EXACT
    certificates: Certificates | None = None

    def __post_init__(self) -> None:
        if self.callback_url:
            check_url(self.callback_url)


class Simulation:
    """A fleet and a gateway that answers while it is entered; StartError when its address cannot be had."""

    def __init__(self, options: SimulationOptions | None = None, clock: Callable[[], float] = time.time) -> None:
        self.options = options = options or SimulationOptions()
        self.clock = clock
        self.fleet = demo_fleet(options.tasks, options.speed, options.seed, clock)
        self.gateway = Gateway(
            self.fleet, options.accounts, region=options.region, qps=options.qps, not_found=options.not_found
        )
        self.gateway.tls = options.certificates is not None
        self.calls = self.gateway.calls
        self.faults = self.gateway.faults
        self.credentials = options.accounts[0].keys[0]
        """The first key pair it accepts."""
        self.callback_sender: CallbackSender | None = None
        self.errors = 0
        """Connections that ended by a fault of the simulator itself."""
        self._socket = _bound(options.host, options.port)
        host, port = self._socket.getsockname()[:2]
        self.url = f"{'https' if self.gateway.tls else 'http'}://{f'[{host}]' if ':' in host else host}:{port}"
        """The endpoint to configure, without a slash at its end."""
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._run, name="simulator", daemon=True)
        self._listening = threading.Event()
        self._sending: asyncio.Task[None] | None = None
        self._open: set[asyncio.StreamWriter] = set()

    def send_callbacks(
        self, url: str, *, secret: str | None = None, policy: DeliveryPolicy | None = None
    ) -> CallbackSender:
        """Send callbacks to this URL from now on, and to no other; ValueError for a bad one."""
        options = self.options
        sender = CallbackSender(
            self.fleet, url, secret or options.callback_secret, policy or options.delivery, Random(options.seed)
        )
        asyncio.run_coroutine_threadsafe(self._send(sender), self._loop).result()
        return sender

    def __enter__(self) -> Self:
        self._thread.start()
        self._listening.wait()
        if self.options.callback_url:
            self.send_callbacks(self.options.callback_url)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """Stop answering and close every connection, within about a second."""
        if self._thread.is_alive():
            self._loop.call_soon_threadsafe(self._loop.stop)
            self._thread.join()
        self._loop.close()
        self._socket.close()

    async def _send(self, sender: CallbackSender) -> None:
        if self._sending is not None:
            self._sending.cancel()
            await asyncio.wait([self._sending])
        self.callback_sender = sender
        self.gateway.callback_counts = lambda: asdict(sender.counts)
        self._sending = asyncio.create_task(sender.run())
        await asyncio.sleep(0)  # from here on it follows the fleet

    def _run(self) -> None:
        asyncio.set_event_loop(self._loop)
        serving = self._loop.create_task(self._serve())
        self._loop.run_forever()
        serving.cancel()
        self._loop.run_until_complete(_turns())  # in which connections just accepted get their tasks
        for task in (tasks := asyncio.all_tasks(self._loop)):
            task.cancel()
        self._loop.run_until_complete(asyncio.wait([serving, *tasks], timeout=STOP_TIMEOUT))
        self._loop.run_until_complete(_turns())  # in which sockets are closed
        self._loop.run_until_complete(self._loop.shutdown_default_executor())

    async def _serve(self) -> None:
        """Serve, anew whenever the fault of the connection changes; old connections then end."""
        while True:
            fault = self.faults.of_connection
            server = None if fault is FaultMode.CONNECTION_REFUSED else await self._listen(fault)
            self._listening.set()
            try:
                while self.faults.of_connection is fault:
                    await asyncio.sleep(POLL_INTERVAL)
                    self.faults.expire(self.clock())
            finally:
                if server is not None:
                    server.close()
                    with suppress(OSError):
                        self._socket.shutdown(socket.SHUT_RDWR)  # it keeps the port, but no longer listens (Linux)
                for writer in self._open:
                    writer.transport.abort()

    async def _listen(self, fault: FaultMode) -> asyncio.Server:
        self._socket.listen(BACKLOG)
        certificates, context = self.options.certificates, None
        if certificates is not None and fault is not FaultMode.NO_TLS:
            context = certificates.context(stranger=fault is FaultMode.UNKNOWN_CA)
        answer = self._refuse_tls if fault is FaultMode.NO_TLS else self._converse
        duplicate = self._socket.dup()
        try:
            return await asyncio.start_server(answer, sock=duplicate, ssl=context, backlog=BACKLOG)
        except BaseException:
            duplicate.close()
            raise

    async def _refuse_tls(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with suppress(OSError):
            await reader.read(MAX_HEAD)
            writer.write(self._rendered(h11.Connection(h11.SERVER), refused(400, "This port speaks plain HTTP.")))
            await writer.drain()
        writer.close()

    async def _converse(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Answer the requests of one connection, one after the other."""
        self._open.add(writer)
        connection = h11.Connection(h11.SERVER, max_incomplete_event_size=MAX_HEAD)
        try:
            async for request in _requests(connection, reader):
                if "Action=" in request.query:
                    reply = self.gateway.answer(request, self.clock())
                else:  # a page, which may take long, and calls of the API must not wait for it
                    reply = await asyncio.to_thread(self.gateway.answer, request, self.clock())
                await asyncio.sleep(reply.delay)
                raw = self._rendered(connection, reply, head_only=request.method == "HEAD")
                if not await _sent(reader, writer, raw, reply.sending):
                    return
        except h11.RemoteProtocolError as error:
            if connection.our_state in (h11.IDLE, h11.SEND_RESPONSE):
                writer.write(self._rendered(connection, refused(error.error_status_hint, f"Bad request: {error}.")))
        except (OSError, asyncio.CancelledError):
            pass  # the caller has gone, or the simulation ends
        except Exception:  # the edge of a connection: it is counted, the others go on
            self.errors += 1
            log.exception("unexpected error", job="simulator connection")
        finally:
            self._open.discard(writer)
            writer.close()

    def _rendered(self, connection: h11.Connection, reply: VendorReply, *, head_only: bool = False) -> bytes:
        """A reply as bytes; its Date is that of the simulator's clock."""
        body = json.dumps(reply.document, separators=(",", ":")).encode() if reply.body is None else reply.body
        headers = [
            ("Date", formatdate(int(self.clock() + self.faults.clock_ahead), usegmt=True)),
            ("Content-Type", reply.content_type),
            ("Content-Length", str(len(body))),
            *reply.headers,
        ]
        reason = HTTPStatus(reply.status).phrase.encode()
        head = h11.Response(status_code=reply.status, headers=headers, reason=reason)
        parts = [head, h11.EndOfMessage()] if head_only else [head, h11.Data(data=body), h11.EndOfMessage()]
        return b"".join(connection.send(part) or b"" for part in parts)


def _bound(host: str, port: int) -> socket.socket:
    """A bound socket that does not listen yet, by the port's number: one chosen by Linux is lost with its listening."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    bound = socket.socket(family)
    try:
        with socket.socket(family) as first:
            if port == 0:
                first.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
                first.bind((host, 0))  # held until the other one has it
                port = first.getsockname()[1]
            bound.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            bound.bind((host, port))
            bound.listen(BACKLOG)
    except (OSError, OverflowError) as error:
        bound.close()
        raise StartError(f"The simulator cannot listen on {host}:{port}: {error}.") from error
    return bound


async def _turns() -> None:
    """Let the event loop run a few times."""
    for _ in range(5):
        await asyncio.sleep(0)


async def _requests(connection: h11.Connection, reader: asyncio.StreamReader) -> AsyncIterator[ApiRequest]:
    """The requests of a connection; h11.RemoteProtocolError for what is none."""
    while True:
        async with asyncio.timeout(IDLE_TIMEOUT):
            head = await _event(connection, reader)
            if not isinstance(head, h11.Request):
                return
            body = b""
            while isinstance(data := await _event(connection, reader), h11.Data):
                body += data.data
                if len(body) > MAX_BODY:
                    raise h11.RemoteProtocolError("the body is larger than 64 KiB", error_status_hint=413)
        headers = {name.decode(): value.decode("latin-1") for name, value in head.headers}
        path, _, query = head.target.decode().partition("?")
        yield ApiRequest(head.method.decode(), path, query, headers, body)
        if connection.our_state is not h11.DONE:
            return
        connection.start_next_cycle()


async def _event(connection: h11.Connection, reader: asyncio.StreamReader) -> object:
    while (event := connection.next_event()) is h11.NEED_DATA:
        connection.receive_data(await reader.read(MAX_HEAD))
    return event


async def _sent(reader: asyncio.StreamReader, writer: asyncio.StreamWriter, data: bytes, sending: Sending) -> bool:
    """Send an answer as a broken network does; whether another one can follow it."""
    if sending is Sending.WHOLE:
        writer.write(data)
        await writer.drain()
        return True
    if sending is Sending.NEVER:
        await reader.read(1)
    elif sending is Sending.DRIPPING:
        for number in range(len(data)):
            writer.write(data[number : number + 1])
            await writer.drain()
            await asyncio.sleep(DRIP_INTERVAL)
    elif sending is not Sending.CLOSED:
        if sending is Sending.RESET_HALFWAY:
            writer.write(data[: len(data) // 2])
        writer.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, RESET_ON_CLOSE)
        writer.transport.abort()
    return False
