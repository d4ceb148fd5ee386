import logging
import threading
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

import pytest

from exporter.config.loader import parse_config
from exporter.config.schema import Config
from exporter.discovery.sd_format import Listing, Refreshed, SDSource, TargetEntry
from exporter.discovery.sources import Sources
from exporter.enums import Source
from exporter.model.target import TargetId

CONFIG = """
static_configs: [{targets: [app/room/static]}]
file_sd_configs: [{files: [a.yml], refresh_interval: 5s}, {files: [b.yml]}]
http_sd_configs: [{url: http://h/a}, {url: http://h/b, refresh_interval: 1m}]
"""
PLACES = ["file_sd_configs[0]", "file_sd_configs[1]", "http_sd_configs[0]", "http_sd_configs[1]"]
GOOD, BAD = Refreshed(changed=True), Refreshed(changed=False, failures=1, problem="answered with HTTP status 503")


class Scripted(SDSource):
    """A source whose refreshes are `results`, then all good; it lists one target that is named as its place."""

    source = Source.FILE
    closed = False

    def __init__(self, config: Any, place: str) -> None:
        super().__init__(config, place)
        self.results: list[Refreshed] = []
        self.inherited: list[str] = []
        self.during: Callable[[], object] = lambda: None

    def refresh(self) -> Refreshed:
        """The next result."""
        self.during()
        self.tried = self.answered = True
        self.listing = Listing(Source.FILE, {TargetId("app", "room", str(len(self.place))): TargetEntry({})})
        return self.results.pop(0) if self.results else GOOD

    def inherit(self, previous: Iterable[SDSource]) -> None:
        """Note who was there."""
        self.inherited = [source.place for source in previous]

    def close(self) -> None:
        """Note it."""
        self.closed = True


def read(text: str = CONFIG) -> Config:
    return parse_config(text, Path("/nowhere"))


def scripted(text: str = CONFIG) -> tuple[Sources, dict[str, Scripted]]:
    """Sources of scripted ones, and those by their place."""
    sources = Sources(read(text))
    return sources, scripted_by_place(sources)


def scripted_by_place(sources: Sources) -> dict[str, Scripted]:
    """The scripted ones by their place."""
    return {source.place: source for source in sources if isinstance(source, Scripted)}


def logged(caplog: pytest.LogCaptureFixture) -> list[tuple[str, str]]:
    """Level and text of what was logged since the last look."""
    lines = [(record.levelname, record.getMessage()) for record in caplog.records]
    caplog.clear()
    return lines


@pytest.fixture(autouse=True)
def _scripted_and_logged(caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch) -> None:
    """All sources are scripted, and everything is logged."""
    monkeypatch.setattr("exporter.discovery.sources.FileSource", Scripted)
    monkeypatch.setattr("exporter.discovery.sources.HttpSource", Scripted)
    caplog.set_level(logging.DEBUG)


def test_what_is_to_be_refreshed() -> None:
    """Each element of both sections is a source with its place and its interval; static targets need none."""
    sources, _ = scripted()
    assert [(source.place, source.refresh_interval) for source in sources] == list(
        zip(PLACES, (5.0, 30.0, 30.0, 60.0), strict=True)
    )
    assert [list(listing.targets) for listing in sources.listings()] == [
        [TargetId("app", "room", "static")],
        [],
        [],
        [],
        [],
    ]


def test_no_other_sources() -> None:
    """A configuration of static targets alone has tried all there is."""
    sources = Sources(read("static_configs: [{targets: [app/room/t]}]"))
    assert sources.tried_all
    assert [list(listing.targets) for listing in sources.listings()] == [[TargetId("app", "room", "t")]]


def test_tried_once() -> None:
    """All is tried when each source was, well or badly."""
    sources, by_place = scripted()
    by_place[PLACES[0]].results = [BAD]
    for place in PLACES:
        assert not sources.tried_all
        sources.refresh(place)
    assert sources.tried_all
    assert sum(len(listing.targets) for listing in sources.listings()) == 5


def test_a_failure_is_said_once(caplog: pytest.LogCaptureFixture) -> None:
    """A place's failure is a warning when it begins and when it becomes another, and an info when it is over."""
    sources, by_place = scripted()
    other = Refreshed(changed=False, failures=1, problem="cannot be had: connection refused")
    by_place["http_sd_configs[1]"].results = [GOOD, BAD, BAD, other, other, GOOD, GOOD, BAD]
    expected = [
        [],
        [("WARNING", "source failed source=http_sd_configs[1] error=answered with HTTP status 503")],
        [],
        [("WARNING", "source failed source=http_sd_configs[1] error=cannot be had: connection refused")],
        [],
        [("INFO", "source recovered source=http_sd_configs[1]")],
        [],
        [("WARNING", "source failed source=http_sd_configs[1] error=answered with HTTP status 503")],
    ]
    logs = []
    for result in list(by_place["http_sd_configs[1]"].results):
        assert result == sources.refresh("http_sd_configs[1]")
        logs.append(logged(caplog))
    assert expected == logs


def test_what_changed_while_one_fails(caplog: pytest.LogCaptureFixture) -> None:
    sources, by_place = scripted()
    for place in PLACES[:2]:
        by_place[place].results = [BAD]
        sources.refresh(place)
    assert len(logged(caplog)) == 2


def test_after_a_reload(caplog: pytest.LogCaptureFixture) -> None:
    """Every new source sees all the old ones, and a failure that was logged for an unchanged one is not told again."""
    before, by_place = scripted()
    for place in PLACES[2:]:
        by_place[place].results = [BAD]
        before.refresh(place)
    logged(caplog)
    changed = "http_sd_configs: [{url: http://h/b, refresh_interval: 1m}, {url: http://h/a, refresh_interval: 1s}]"
    after = Sources(read(changed), before)
    new = scripted_by_place(after)
    assert dict.fromkeys(PLACES[2:], PLACES) == {place: source.inherited for place, source in new.items()}
    for place in PLACES[2:]:
        new[place].results = [BAD, GOOD]
        after.refresh(place)
    assert [text.partition("source=")[2].partition(" ")[0] for _, text in logged(caplog)] == ["http_sd_configs[1]"]
    after.refresh(PLACES[2])
    assert logged(caplog) == [("INFO", "source recovered source=http_sd_configs[0]")]
    assert not any(source.closed for source in by_place.values())


def test_closed(caplog: pytest.LogCaptureFixture) -> None:
    """Closed sources close each of them and refresh nothing more."""
    sources, by_place = scripted()
    sources.close()
    assert all(source.closed for source in by_place.values())
    assert sources.refresh(PLACES[0]) == Refreshed(changed=False)
    assert (by_place[PLACES[0]].tried, logged(caplog)) == (False, [])


def test_closed_meanwhile(caplog: pytest.LogCaptureFixture) -> None:
    """A refresh that is broken off by the close is no failure."""
    sources, by_place = scripted()
    by_place[PLACES[2]].results = [BAD]
    by_place[PLACES[2]].during = sources.close
    assert sources.refresh(PLACES[2]) == Refreshed(changed=False)
    assert logged(caplog) == []


def test_one_at_a_time() -> None:
    """Two threads never refresh one place at once, and one that hangs does not hold up another place or the lists."""
    sources, by_place = scripted()
    entered, go = threading.Event(), threading.Event()
    inside: list[int] = []

    def hang() -> None:
        inside.append(1)
        entered.set()
        go.wait(5)

    by_place[PLACES[2]].during = hang
    threads = [threading.Thread(target=sources.refresh, args=(PLACES[2],)) for _ in range(2)]
    for thread in threads:
        thread.start()
    assert entered.wait(5)
    sources.refresh(PLACES[3])
    assert len(sources.listings()) == 5
    assert inside == [1]
    go.set()
    for thread in threads:
        thread.join(5)
    assert inside == [1, 1]


def test_files_and_urls_together(
    backend: Any, tmp_path: Path, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Files and URLs list together; a reload while both are bad loses nothing, and the old ones can be closed."""
    monkeypatch.undo()  # these sources are real
    caplog.set_level(logging.DEBUG)
    (tmp_path / "a.yml").write_text("- targets: [app/room/file]")
    backend.lists("http")
    config = parse_config(
        f"file_sd_configs: [{{files: ['*.yml']}}]\nhttp_sd_configs: [{{url: '{backend.url}/?key=s3cret'}}]", tmp_path
    )
    sources = Sources(config)
    for source in sources:
        assert sources.refresh(source.place) == GOOD
    expected = {Source.STATIC: [], Source.FILE: ["file"], Source.HTTP: ["http"]}
    assert expected == listed(sources)
    (tmp_path / "a.yml").write_text("[")
    backend.stop()
    after = Sources(config, sources)
    sources.close()
    for _ in range(2):
        assert after.tried_all
        assert expected == listed(after)
        assert [after.refresh(source.place).failures for source in after] == [1, 1]
    after.close()
    logs = logged(caplog)
    assert [text.partition("source=")[2].partition(" ")[0] for _, text in logs] == [
        "file_sd_configs[0]",
        "http_sd_configs[0]",
    ]
    assert "s3cret" not in str(logs)


def listed(sources: Sources) -> dict[Source, list[str]]:
    return {listing.source: [target.task_id for target in listing.targets] for listing in sources.listings()}
