"""A real PostgreSQL that listens on a socket in a folder of its own; a database for each test that asks for one."""

import os
import shutil
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass, field
from itertools import count
from pathlib import Path
from tempfile import TemporaryDirectory

import psycopg
import pytest

from exporter.config.fields import StateUrl

ROOT = Path(__file__).parents[2]
ROOT_USER = 0
PROGRAMS = "usr/lib/postgresql/*/bin"


@dataclass
class Postgres:
    """One server; `folder` holds its data and its socket, no network knows of it."""

    folder: Path
    programs: Path
    _numbers: Iterator[int] = field(default_factory=count)

    def start(self) -> None:
        """Come back once it answers."""
        options = f"-F -c jit=off -c listen_addresses= -c unix_socket_directories={self.folder} -c timezone=UTC"
        self._run("pg_ctl", "-D", self.data, "-o", options, "-w", "-t", "60", "-l", f"{self.folder}/log", "start")

    def stop(self, mode: str = "immediate") -> None:
        """End it, and all sessions with it."""
        self._run("pg_ctl", "-D", self.data, "-m", mode, "-w", "stop")

    def make(self) -> None:
        """A new server's files."""
        self._run("initdb", "-D", self.data, "-U", "exporter", "--auth=trust", "--no-sync", "--encoding=UTF8")

    def database(self) -> StateUrl:
        """A new, empty one."""
        name = f"state{next(self._numbers)}"
        with psycopg.connect(host=str(self.folder), user="exporter", dbname="postgres", autocommit=True) as connection:
            connection.execute(f'CREATE DATABASE "{name}"'.encode())
        return StateUrl(f"postgresql+psycopg://exporter@localhost/{name}?host={self.folder}")

    @property
    def data(self) -> str:
        """Where its tables lie."""
        return f"{self.folder}/data"

    def _run(self, program: str, *arguments: str) -> None:
        """PostgreSQL refuses to be root's; for root it is another user's."""
        user = "nobody" if os.geteuid() == ROOT_USER else None
        libraries = ":".join(str(folder) for folder in (ROOT / ".real-parts/usr/lib").glob("*-linux-gnu"))
        command = [str(self.programs / program), *arguments]
        done = subprocess.run(
            command,
            user=user,
            cwd=self.folder,
            env={"LD_LIBRARY_PATH": libraries},
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            check=False,
        )
        assert done.returncode == 0, f"{program}: {(self.folder / 'log').read_text()}"


def programs() -> Path | None:
    """The folder of PostgreSQL's own programs, the newest."""
    found = [folder for root in (ROOT / ".real-parts", Path("/")) for folder in sorted(root.glob(PROGRAMS))]
    return next((folder for folder in reversed(found) if (folder / "initdb").exists()), None)


@pytest.fixture(scope="session")
def postgres() -> Iterator[Postgres]:
    """Missing, it is a failure in CI and elsewhere a skip."""
    found = programs()
    if found is None:
        sentence = "PostgreSQL is not installed: run make parts"
        (pytest.fail if os.environ.get("CI") == "true" else pytest.skip)(sentence)
    with TemporaryDirectory() as name:
        folder = Path(name)
        if os.geteuid() == ROOT_USER:
            shutil.chown(folder, "nobody")
        folder.chmod(0o755)
        server = Postgres(folder, found)
        server.make()
        server.start()
        yield server
        server.stop()
