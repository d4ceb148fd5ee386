import os
from pathlib import Path

import pytest

from exporter.config.documents import FileFault, read_text
from exporter.config.loader import parse_config
from exporter.discovery.file_sd import FileSource
from exporter.discovery.sd_format import MAX_DOCUMENT_BYTES, Refreshed
from exporter.enums import Rejection, Source
from exporter.model.target import TargetId

NOTHING_NEW = Refreshed(changed=False)
CHANGED = Refreshed(changed=True)


class Folder:
    """A folder with a source of its files; `reads` are the files whose text was asked for."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.reads: list[str] = []
        self.source = self.open("t/*.yml", "t/*.json")
        (path / "t").mkdir()

    def open(self, *patterns: str) -> FileSource:
        """A source of these patterns."""
        section = parse_config(f"file_sd_configs: [{{files: {list(patterns)}}}]", self.path).file_sd_configs[0]
        return FileSource(section, "file_sd_configs[0]", self.read)

    def read(self, path: Path, limit: int) -> str:
        """Read as usual, and note it."""
        self.reads.append(path.name)
        return read_text(path, limit)

    def write(self, name: str, *tasks: str) -> Path:
        """Put a file there as one should: whole, under its name in one step."""
        lines = "".join(f"  - app/room/{task}\n" for task in tasks)
        half = self.path / "t" / f"{name}.half"
        half.write_text(f"- targets:\n{lines}")
        return half.rename(self.path / "t" / name)

    @property
    def tasks(self) -> list[str]:
        """The tasks that are listed now."""
        return [target.task_id for target in self.source.listing.targets]


@pytest.fixture
def folder(tmp_path: Path) -> Folder:
    return Folder(tmp_path)


def test_before_and_after_the_first_look(folder: Folder) -> None:
    """A source lists nothing until it was refreshed; that no file is there is an empty list and no failure."""
    assert (folder.source.tried, folder.source.source, folder.tasks) == (False, Source.FILE, [])
    assert (folder.source.place, folder.source.refresh_interval) == ("file_sd_configs[0]", 30.0)
    assert folder.source.refresh() == NOTHING_NEW
    assert folder.source.tried


def test_yaml_and_json(folder: Folder) -> None:
    """All files of all patterns are one list, and other files are none of it."""
    folder.write("a.yml", "1", "2")
    (folder.path / "t" / "b.json").write_text('[{"targets": ["app/room/3"], "labels": {"team": "edu"}}]')
    (folder.path / "t" / "c.txt").write_text("- targets: [app/room/4]")
    assert folder.source.refresh() == CHANGED
    assert folder.tasks == ["1", "2", "3"]
    assert folder.source.listing.targets[TargetId("app", "room", "3")].labels == {"team": "edu"}


def test_an_unchanged_file_is_not_read_again(folder: Folder) -> None:
    """Only what changed is parsed anew, be it good or bad."""
    folder.write("a.yml", "1")
    folder.write("b.yml", "2")
    (folder.path / "t" / "bad.yml").write_text("- targets: [")
    for _ in range(3):
        folder.source.refresh()
    assert folder.reads == ["a.yml", "b.yml", "bad.yml"]
    folder.write("b.yml", "2", "3")
    assert folder.source.refresh().changed
    assert folder.reads[3:] == ["b.yml"]
    assert folder.tasks == ["1", "2", "3"]


def test_a_rewrite_that_changes_nothing(folder: Folder) -> None:
    """A file replaced by an equal one is read, and the list is the same one."""
    folder.write("a.yml", "1")
    folder.source.refresh()
    before = folder.source.listing
    folder.write("a.yml", "1")
    assert folder.source.refresh() == NOTHING_NEW
    assert before == folder.source.listing
    assert folder.reads == ["a.yml", "a.yml"]


def test_the_same_size_and_time(folder: Folder) -> None:
    """A file is another one though it be as long and as old as the one before."""
    os.utime(folder.write("a.yml", "1"), ns=(5, 5))
    folder.source.refresh()
    keep = folder.path / "t" / "a.yml"
    keep.rename(folder.path / "kept")
    file = folder.write("a.yml", "2")
    os.utime(file, ns=(5, 5))
    assert folder.source.refresh() == CHANGED
    assert folder.tasks == ["2"]
    changed = file.stat().st_ctime_ns
    file.write_text(file.read_text().replace("2", "3"))
    while file.stat().st_ctime_ns == changed:  # some file systems count in milliseconds
        os.utime(file, ns=(5, 5))
    os.utime(file, ns=(5, 5))
    assert folder.source.refresh() == CHANGED
    assert folder.tasks == ["3"]


def test_a_file_that_is_gone(folder: Folder) -> None:
    """A file that is there no more takes its targets with it, at once and without a failure."""
    folder.write("a.yml", "1")
    folder.write("b.yml", "2")
    folder.source.refresh()
    (folder.path / "t" / "a.yml").unlink()
    assert folder.source.refresh() == CHANGED
    assert folder.tasks == ["2"]


def test_half_a_file(folder: Folder) -> None:
    """A file caught while it is written keeps its last good list, and fails at each refresh until it is whole."""
    file = folder.write("a.yml", "1", "2")
    folder.write("b.yml", "3")
    folder.source.refresh()
    file.write_text("- targets: [app/room/1, app/ro")
    for _ in range(2):
        done = folder.source.refresh()
        assert (done.changed, done.failures, folder.tasks) == (False, 1, ["1", "2", "3"])
        assert done.problem.startswith(f"{file} is not YAML at line 2")
    file.write_text("- targets: [app/room/1, app/room/4]")
    assert folder.source.refresh() == CHANGED
    assert folder.tasks == ["1", "4", "3"]


def test_a_bad_file_does_not_hold_up_the_others(folder: Folder) -> None:
    """While one file is bad, changes of the others are seen; all that fail are counted and told."""
    folder.write("a.yml", "1").write_text("[{}, 5]")
    folder.write("b.yml", "2")
    folder.write("c.yml", "3").write_bytes(b"\xff")
    done = folder.source.refresh()
    assert (done.changed, done.failures, folder.tasks) == (True, 2, ["2"])
    assert f"{folder.path}/t/a.yml [1] must be a mapping with targets and labels; " in done.problem
    assert done.problem.endswith(f"{folder.path}/t/c.yml is not UTF-8 text (at byte 0)")


def test_a_bad_file_put_back(folder: Folder) -> None:
    """After a bad version the good one of before is read again, whatever its times say."""
    file = folder.write("a.yml", "1")
    folder.source.refresh()
    file.rename(folder.path / "kept")
    folder.write("a.yml").write_text("[")
    assert folder.source.refresh().failures == 1
    (folder.path / "kept").rename(file)
    assert folder.source.refresh() == NOTHING_NEW
    assert folder.tasks == ["1"]


def test_one_bad_target(folder: Folder) -> None:
    """A document with a bad target loses that target, which is rejected with its file and place."""
    folder.write("a.yml", "1", "2 3", "4")
    assert folder.source.refresh() == CHANGED
    assert folder.tasks == ["1", "4"]
    (rejected,) = folder.source.listing.rejected
    assert rejected.reason == Rejection.INVALID
    assert f"file_sd_configs[0] ({folder.path}/t/a.yml)[0].targets[1]" == rejected.problem.path


def test_a_target_in_two_files(folder: Folder) -> None:
    """A list is all of one config: what two of its files name is once a duplicate, until one of them is gone."""
    folder.write("a.yml", "1")
    folder.write("b.yml", "1", "2")
    folder.source.refresh()
    assert [entry.reason for entry in folder.source.listing.rejected] == [Rejection.DUPLICATE]
    (folder.path / "t" / "a.yml").unlink()
    assert folder.source.refresh() == CHANGED
    assert (folder.source.listing.rejected, folder.tasks) == ((), ["1", "2"])


def test_a_file_of_two_patterns_is_one_file(folder: Folder) -> None:
    """A file that two patterns name is read once, and nothing in it is a duplicate."""
    folder.write("a.yml", "1")
    folder.source = folder.open("t/*.yml", "t/a*.yml")
    assert folder.source.refresh() == CHANGED
    assert (folder.source.listing.rejected, folder.tasks, folder.reads) == ((), ["1"], ["a.yml"])


@pytest.mark.parametrize("content", ["", "# nothing\n", "[]", "null"])
def test_an_emptied_file(folder: Folder, content: str) -> None:
    file = folder.write("a.yml", "1")
    folder.source.refresh()
    file.write_text(content)
    assert folder.source.refresh() == CHANGED
    assert folder.tasks == []


def test_a_folder_deleted_and_made_again(folder: Folder) -> None:
    """Without its folder a pattern names nothing, which is no failure; when it is back, so are the targets."""
    folder.write("a.yml", "1")
    folder.source.refresh()
    (folder.path / "t").rename(folder.path / "away")
    assert folder.source.refresh() == CHANGED
    assert folder.tasks == []
    (folder.path / "t").mkdir()
    assert folder.source.refresh() == NOTHING_NEW
    folder.write("a.yml", "1")
    assert folder.source.refresh() == CHANGED
    assert folder.tasks == ["1"]


def test_a_mounted_config_map(folder: Folder) -> None:
    """Kubernetes swaps a link behind a link in one step: the files seem untouched and are new ones all the same."""
    mount = folder.path / "t"
    for version, task in (("..1", "1"), ("..2", "2")):
        (mount / version).mkdir()
        (mount / version / "targets.yml").write_text(f"- targets: [app/room/{task}]")
        os.utime(mount / version / "targets.yml", ns=(5, 5))
    (mount / "..data").symlink_to("..1")
    (mount / "targets.yml").symlink_to("..data/targets.yml")
    assert folder.source.refresh() == CHANGED
    (mount / "..next").symlink_to("..2")
    (mount / "..next").rename(mount / "..data")
    assert folder.source.refresh() == CHANGED
    assert (folder.tasks, folder.reads) == (["2"], ["targets.yml"] * 2)


def test_a_link_that_leads_nowhere(folder: Folder) -> None:
    """A link is there as long as its name is: led nowhere it fails and keeps its list, led back it is as it was."""
    target = folder.write("real.yml", "1").rename(folder.path / "real.yml")
    (folder.path / "t" / "link.yml").symlink_to(target)
    folder.source.refresh()
    link = folder.path / "t" / "link.yml"
    link.unlink()
    link.symlink_to("nowhere")
    done = folder.source.refresh()
    assert (done.failures, folder.tasks) == (1, ["1"])
    assert f"{link} does not exist" == done.problem
    link.unlink()
    link.symlink_to(target)
    assert folder.source.refresh() == NOTHING_NEW


def test_a_named_link_that_leads_nowhere(folder: Folder) -> None:
    """That holds for a file that is named without wildcards too."""
    (folder.path / "t" / "link.yml").symlink_to("nowhere")
    folder.source = folder.open("t/link.yml")
    assert folder.source.refresh().failures == 1


def test_what_is_no_file(folder: Folder) -> None:
    """A directory is a failure, and so is a pipe, which would never end."""
    (folder.path / "t" / "a.yml").mkdir()
    os.mkfifo(folder.path / "t" / "b.yml")
    assert folder.source.refresh().failures == 2
    (folder.path / "t" / "a.yml").rmdir()
    assert folder.source.refresh().problem == f"{folder.path}/t/b.yml is a named pipe, not a file"


def test_too_large(folder: Folder) -> None:
    """A file over 16 MiB is refused, and keeps its last good list."""
    file = folder.write("a.yml", "1")
    folder.source.refresh()
    with file.open("r+b") as opened:
        opened.truncate(MAX_DOCUMENT_BYTES + 1)
    done = folder.source.refresh()
    assert (done.failures, folder.tasks) == (1, ["1"])
    assert f"{file} has more than 16,777,216 bytes" == done.problem


def test_a_folder_that_may_not_be_read(folder: Folder, monkeypatch: pytest.MonkeyPatch) -> None:
    """When one cannot look into the folder, it is one failure and all its files keep their targets."""
    folder.write("a.yml", "1")
    folder.write("b.yml", "2").write_text("[")
    folder.source = folder.open("t/*.yml")
    folder.source.refresh()

    def refuse(_: object) -> None:
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(Path, "iterdir", refuse)
    done = folder.source.refresh()
    assert (done.changed, done.failures, folder.tasks) == (False, 1, ["1"])
    assert f"{folder.path}/t may not be read by this user" == done.problem


def test_a_file_that_may_not_be_read(folder: Folder) -> None:
    """A file that cannot be read keeps its list and is tried again though nothing about it changed."""
    folder.write("a.yml", "1")
    answers = iter([FileFault("cannot be read"), None])

    def read(path: Path, limit: int) -> str:
        fault = next(answers)
        if fault:
            raise fault
        return read_text(path, limit)

    source = FileSource(folder.source.config, "x", read)
    assert source.refresh().problem == f"{folder.path}/t/a.yml cannot be read"
    assert source.refresh() == CHANGED


def test_a_name_that_a_log_cannot_hold(folder: Folder) -> None:
    """A line break in a file's name is reported as an escape."""
    (folder.path / "t" / "a\nb.yml").write_text("[")
    assert r"a\nb.yml" in folder.source.refresh().problem
    assert "\n" not in folder.source.refresh().problem


@pytest.mark.parametrize(
    ("pattern", "names"),
    [
        ("t/*.yml", ["a1.yml", "a2.yml", ".b.yml"]),
        ("t/a?.yml", ["a1.yml", "a2.yml"]),
        ("t/a[^1]*.yml", ["a2.yml"]),
        ("t/a1.yml", ["a1.yml"]),
        ("t/A1.yml", []),
        ("gone/*.yml", []),
        ("t/a1.yml/x.yml", []),
        ("t/a1.yml/*.yml", []),
    ],
)
def test_patterns(folder: Folder, pattern: str, names: list[str]) -> None:
    """Wildcards are Go's, as Prometheus has them: a leading dot is a character like others, [^...] is the rest."""
    for name in ("a1.yml", "a2.yml", ".b.yml"):
        folder.write(name, name)
    folder.source = folder.open(pattern)
    assert folder.source.refresh().failures == 0
    assert sorted(names) == sorted(folder.tasks)


def test_a_folder_with_brackets_in_its_name(tmp_path: Path) -> None:
    """Only the pattern's own characters are wildcards, never those of the folder it starts from."""
    (tmp_path / "[x]").mkdir()
    folder = Folder(tmp_path / "[x]")
    folder.write("a.yml", "1")
    assert folder.source.refresh() == CHANGED


def test_a_reload_keeps_what_is_bad_now(folder: Folder) -> None:
    """A file's last good list outlives the source that read it, for every pattern that still names the file."""
    folder.write("a.yml", "1")
    folder.write("b.yml", "2")
    folder.source.refresh()
    folder.write("a.yml").write_text("[")
    first = folder.source
    for patterns, tried, tasks in (
        (["t/*.yml", "t/*.json"], True, ["1", "2"]),
        (["t/?.yml"], False, ["1", "2"]),
        (["t/a*.yml"], False, ["1"]),
        (["t/b.yml"], False, ["2"]),
        (["u/a.yml"], False, []),
    ):
        folder.source = folder.open(*patterns)
        folder.source.inherit([first])
        assert tried == folder.source.tried
        for _ in range(2):
            assert tasks == folder.tasks
            folder.source.refresh()
