"""What happens when a real part is missing."""

from collections.abc import Callable
from pathlib import Path

import pytest


def test_a_missing_part_fails_in_ci(find_part: Callable[[str], Path], monkeypatch: pytest.MonkeyPatch) -> None:
    """CI never passes by leaving out what it was to prove."""
    monkeypatch.setenv("CI", "true")
    with pytest.raises(pytest.fail.Exception, match="no-such-program is neither"):
        find_part("no-such-program")


def test_a_missing_part_skips_elsewhere(find_part: Callable[[str], Path], monkeypatch: pytest.MonkeyPatch) -> None:
    """On a person's machine the skip says what to run."""
    monkeypatch.delenv("CI", raising=False)
    with pytest.raises(pytest.skip.Exception, match=r"run make parts"):
        find_part("no-such-program")


def test_a_part_on_path_is_taken_from_there(
    find_part: Callable[[str], Path], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """A Prometheus that somebody has installed goes before the unpacked one."""
    program = tmp_path / "promtool"
    program.write_text("#!/bin/sh\n")
    program.chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path))
    assert program == find_part("promtool")
