"""`make audit`: what pip-audit says becomes an exit code and a sentence; a service that is away is no failure."""

import json
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

AUDIT = Path(__file__).parents[1] / ".ci" / "audit"
GOOD = {"name": "good", "version": "1.0", "vulns": []}
BAD = {"name": "bad", "version": "2.0", "vulns": [{"id": "CVE-0000-1"}]}
AWAY = "requests.exceptions.ConnectionError: HTTPSConnectionPool(host='advisories.example', port=443)"


def audited(folder: Path, *, found: list[object] | None, said: str, code: int) -> tuple[int, str]:
    """The exit code of the script and all it writes, over a pip-audit that does and says this."""
    for place in (".ci", "build/tools/bin", "build/shipped/bin"):
        (folder / place).mkdir(parents=True)
    shutil.copy(AUDIT, folder / ".ci")
    for place in ("tools", "shipped"):
        (folder / "build" / place / "bin" / "python").symlink_to(sys.executable)
    (folder / "answer").write_text("" if found is None else json.dumps({"dependencies": found}))
    copy = "" if found is None else 'cp answer "${@: -1}"\n'
    stub = folder / "build" / "tools" / "bin" / "pip-audit"
    stub.write_text(f'#!/usr/bin/env bash\n{copy}echo "{said}" >&2\nexit {code}\n')
    stub.chmod(0o755)
    done = subprocess.run([folder / ".ci" / "audit"], capture_output=True, text=True, check=False)
    return done.returncode, done.stdout + done.stderr


ONE_OF_TWO = "bad 2.0: CVE-0000-1\n2 parts were asked about, 1 known vulnerabilities\n"
UNREACHABLE = "The advisory service could not be reached: nothing was audited (build/audit.log says why).\n"


@pytest.mark.parametrize(
    ("found", "said", "code", "expected"),
    [
        ([GOOD], "", 0, (0, "1 parts were asked about, 0 known vulnerabilities\n")),
        ([GOOD, BAD], "", 1, (1, ONE_OF_TWO)),
        (None, AWAY, 1, (0, UNREACHABLE)),
        (None, "usage: pip-audit", 2, (1, "usage: pip-audit\n")),
    ],
)
def test_what_is_made_of_it(
    tmp_path: Path, found: list[object] | None, said: str, code: int, expected: tuple[int, str]
) -> None:
    """No vulnerability, one, a service that cannot be reached, and wrong usage."""
    assert audited(tmp_path, found=found, said=said, code=code) == expected
