"""What the documents have other programs do, done by these programs; where there is none it is a skip."""

import shutil
import subprocess
from pathlib import Path

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
from tests.support.receiver import receiver

pytestmark = pytest.mark.real

TOKEN = "a-token-of-the-tests"
PUSHED_TO = "http://127.0.0.1:10960"


def program(name: str) -> str:
    return shutil.which(name) or pytest.skip(f"there is no {name} here")


def test_the_java_pushes(tmp_path: Path) -> None:
    """It compiles and runs, and its push has the token and one target."""
    java = program("java")
    (block,) = (block for block in blocks("java") if "class Push " in block.text)
    (tmp_path / "keys").mkdir()
    (tmp_path / "keys/push-tokens").write_text(f"{TOKEN}\n")
    with receiver(answer=b"accepted") as (url, pushes):
        (tmp_path / "Push.java").write_text(block.text.replace(PUSHED_TO, url))
        command = [java, "Push.java"]
        done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, timeout=60, check=False)
    assert (done.returncode, done.stdout) == (0, "accepted\n"), done.stderr
    (push,) = pushes
    assert (push.path, push.headers["Authorization"]) == ("/api/v1/targets", f"Bearer {TOKEN}")
    assert len(groups_of_json(push.body.decode())) == 1


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
