import gzip
import json
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from exporter.config.loader import parse_config
from exporter.config.schema import HttpSdConfig

JSON = "application/json"


@dataclass(frozen=True)
class Answer:
    """What the backend says; a `cut` answer promises more bytes than come."""

    status: int = 200
    body: bytes = b"[]"
    content_type: str | None = JSON
    location: str = ""
    encoding: str = ""
    cut: bool = False


def names(*tasks: str) -> Answer:
    return Answer(body=json.dumps([{"targets": [f"app/room/{task}" for task in tasks]}]).encode())


@dataclass
class Backend:
    """A loopback server; `answers` by path, for all others `answer`. It keeps each request's path and headers."""

    answer: Answer = field(default_factory=names)
    answers: dict[str, Answer] = field(default_factory=dict)
    asked: list[tuple[str, dict[str, str]]] = field(default_factory=list)

    def __post_init__(self) -> None:
        """Listen at a free port."""
        self.server = ThreadingHTTPServer(("127.0.0.1", 0), handler(self))
        self.server.daemon_threads = True
        threading.Thread(target=self.server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True).start()

    @property
    def url(self) -> str:
        """Its address, without a path."""
        return f"http://127.0.0.1:{self.server.server_port}"

    def lists(self, *tasks: str) -> None:
        """Answer with these tasks from now on."""
        self.answer = names(*tasks)

    def gzipped(self, body: bytes) -> None:
        """Answer with this body, compressed, from now on."""
        self.answer = Answer(body=gzip.compress(body, 1), encoding="gzip")

    def stop(self) -> None:
        """Close the port."""
        self.server.shutdown()
        self.server.server_close()


def handler(backend: Backend) -> type[BaseHTTPRequestHandler]:
    """The server's side of one request."""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            """Note the request, and answer it."""
            backend.asked.append((self.path, {name.lower(): value for name, value in self.headers.items()}))
            answer = backend.answers.get(self.path, backend.answer)
            self.send_response(answer.status)
            for name, value in (
                ("Content-Type", answer.content_type),
                ("Location", answer.location),
                ("Content-Encoding", answer.encoding),
                ("Content-Length", str(len(answer.body) + answer.cut)),
            ):
                if value:
                    self.send_header(name, value)
            self.end_headers()
            self.wfile.write(answer.body)

        def log_message(self, *_: object) -> None:
            """Say nothing."""

    return Handler


@pytest.fixture
def backend() -> Iterator[Backend]:
    """A server of one's own that names no targets."""
    server = Backend()
    yield server
    server.stop()


@pytest.fixture
def section(tmp_path: Path) -> Callable[..., HttpSdConfig]:
    """The http_sd_config of a URL, with these keys beside it; its files are in the test's folder."""

    def read(url: str, keys: str = "refresh_interval: 30s") -> HttpSdConfig:
        return parse_config(f"http_sd_configs: [{{url: '{url}', {keys}}}]", tmp_path).http_sd_configs[0]

    return read
