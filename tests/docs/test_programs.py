"""What the documents have other programs do, done by these programs; where there is none it is a skip."""

import shutil
import subprocess
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from typing import ClassVar

import pytest
import sqlalchemy as sa

from exporter.config.loader import parse_config
from exporter.discovery.http_sd import HttpSource
from exporter.discovery.sd_format import groups_of_json
from exporter.store.database import open_sqlite
from exporter.store.schema import META
from tests.docs.console import commands
from tests.docs.reading import ROOT, blocks, blocks_of
from tests.real.conftest import free_port, start, wait_until

pytestmark = pytest.mark.real

TOKEN = "a-token-of-the-tests"
PUSHED_TO = "http://127.0.0.1:10960"


def program(name: str) -> str:
    """The program, or a skip."""
    return shutil.which(name) or pytest.skip(f"there is no {name} here")


class Backend(BaseHTTPRequestHandler):
    """Takes a push as /api/v1/targets does."""

    taken: ClassVar[list[tuple[str, str | None, int]]]

    def do_POST(self) -> None:
        """Only with the token, and only a list of targets."""
        body = self.rfile.read(int(self.headers["Content-Length"])).decode()
        self.taken.append((self.path, self.headers["Authorization"], len(groups_of_json(body))))
        self.send_response(200)
        self.end_headers()
        self.wfile.write(b"taken")

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - http.server's name
        """Say nothing."""


@pytest.fixture
def backend() -> Iterator[tuple[str, list[tuple[str, str | None, int]]]]:
    """Its address, and what it has taken."""

    class Taking(Backend):
        """This test's own."""

        taken: ClassVar[list[tuple[str, str | None, int]]] = []

    with HTTPServer(("127.0.0.1", 0), Taking) as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        yield f"http://127.0.0.1:{server.server_port}", Taking.taken
        server.shutdown()
        thread.join()


def test_the_java_pushes(tmp_path: Path, backend: tuple[str, list[tuple[str, str | None, int]]]) -> None:
    """It compiles, runs, and its push is one that would be taken."""
    java = program("java")
    url, taken = backend
    (block,) = (block for block in blocks("java") if "class Push " in block.text)
    (tmp_path / "keys").mkdir()
    (tmp_path / "keys/push-tokens").write_text(f"{TOKEN}\n")
    (tmp_path / "Push.java").write_text(block.text.replace(PUSHED_TO, url))
    done = subprocess.run([java, "Push.java"], cwd=tmp_path, capture_output=True, text=True, timeout=60, check=False)
    assert (done.returncode, done.stdout) == (0, "taken\n"), done.stderr
    assert taken == [("/api/v1/targets", f"Bearer {TOKEN}", 1)]


def test_the_java_backend_is_read_as_a_feed(tmp_path: Path) -> None:
    """What it answers is a list that `http_sd_configs` takes."""
    java = program("java")
    (block,) = (block for block in blocks("java") if "class Targets " in block.text)
    port = free_port()
    (tmp_path / "Targets.java").write_text(block.text.replace("8080", str(port)))
    url = f"http://127.0.0.1:{port}/webcast-targets"
    (feed,) = parse_config(f"http_sd_configs: [{{url: '{url}'}}]", tmp_path).http_sd_configs
    source = HttpSource(feed, "http_sd_configs[0]")
    running = start([java, "Targets.java"], tmp_path, url)
    try:
        wait_until(lambda: not source.refresh().problem, "the backend answers with a list")
    finally:
        running.kill()
        source.close()
    assert [str(target) for target in source.listing.targets] == ["661e0000000000000000543c/Room1/Task1"]


def test_a_backup_of_a_state_in_use_is_a_state(tmp_path: Path) -> None:
    """The copy has what is only in the write-ahead log yet, and opens."""
    sqlite = program("sqlite3")
    operations = [words for block in blocks_of(ROOT / "docs/operations.md") for words in commands(block)]
    (words,) = [words for words in operations if words[0] == "sqlite3"]
    state = open_sqlite(tmp_path / words[1])
    with state.writing() as connection:
        connection.execute(sa.text("CREATE TABLE written_lately (a INTEGER)"))
    subprocess.run([sqlite, *words[1:]], cwd=tmp_path, check=True)
    state.close()
    copy = open_sqlite(tmp_path / "webcast-exporter.backup.db")
    with copy.reading(10) as connection:
        assert connection.execute(sa.select(META.c.schema_version)).scalar() is not None
        assert connection.execute(sa.text("SELECT count(*) FROM written_lately")).scalar() == 0
    copy.close()
