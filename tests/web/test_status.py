"""The status page, and the last callbacks on it."""

from typing import TYPE_CHECKING

from exporter import __version__
from exporter.enums import CallbackOutcome, ReadFailure, Source
from exporter.errors import CredentialsRefused
from exporter.metrics.self_metrics import AccountNumbers
from exporter.model.clock import Clock
from exporter.model.target import Target, TargetId
from exporter.model.task import ReadResult
from exporter.model.task_state import TaskState
from exporter.service.callbacks import CallbackLog
from exporter.volcengine.callbacks import CallbackShape
from exporter.volcengine.error_mapping import UnknownCode
from exporter.web.interfaces import CallbackRecord, JobRow

if TYPE_CHECKING:
    from tests.web.conftest import Site

ODD = CallbackShape("<b>Webcast</b>", ("RoomId", "<script>"))


def test_what_runs_here(site: "Site") -> None:
    """Versions, the flags in force, how long it has been up, and that it is ready."""
    site.exporter.flags = {"--config.file": "webcast.yml"}
    site.exporter.uptime = 93_784.9
    page = site.get("/status").text
    for expected in (__version__, "--config.file", "webcast.yml", "1d 2h", "Ready.", "starlette"):
        assert expected in page


def test_why_it_is_not_ready(site: "Site") -> None:
    """In the sentence that /-/ready has, and whether tasks are read."""
    site.exporter.not_ready = "Not every list of targets has been asked for yet."
    site.exporter.alive = False
    page = site.get("/status").text
    assert site.exporter.not_ready in page
    assert "no task is read" in page


def test_the_last_callbacks(site: "Site") -> None:
    """Their type, the names of their keys and what became of them, escaped; what to do while there are none."""
    assert "None has come since the start." in site.get("/status").text
    site.exporter.callbacks.seen = [CallbackRecord(ODD, CallbackOutcome.IGNORED, 65.0)]
    page = site.get("/status").text
    for expected in ("1m 5s", "ignored", "&lt;b&gt;Webcast", "RoomId, &lt;script&gt;"):
        assert expected in page
    assert "<script>" not in page
    del site.exporter.secrets[Source.CALLBACK]
    assert "callbacks.secret_file" in site.get("/status").text


def test_undocumented_error_codes(site: "Site") -> None:
    """With their count and the RequestId to give to the vendor's support; none are shown while there are none."""
    assert "RequestId" not in site.get("/status").text
    site.exporter.queries.codes = {"main": [UnknownCode("Odd.Code", "rejected", 7, "2026-abc")], "other": []}
    page = site.get("/status").text
    for expected in ("main", "Odd.Code", "7", "2026-abc"):
        assert expected in page


def test_the_last_twenty_are_kept_and_few_of_them_unsigned() -> None:
    """Unsigned callbacks cannot push the vendor's out of the list."""
    now = [0.0]
    recent = CallbackLog(Clock(monotonic=lambda: now[0]))
    for number in range(30):
        now[0] += 1
        recent.add(CallbackShape(f"signed{number}"), CallbackOutcome.ACCEPTED)
    assert len(recent.latest_first()) == CallbackLog.MAX_RECORDS
    for _ in range(100):
        now[0] += 1
        recent.add(CallbackShape("unsigned"), CallbackOutcome.BAD_SIGNATURE)
    seen = recent.latest_first()
    assert [each.shape.event_type for each in seen].count("unsigned") == CallbackLog.MAX_UNSIGNED
    assert (len(seen), seen[0].age, seen[-1].shape.event_type) == (CallbackLog.MAX_RECORDS, 0.0, "signed15")


def test_why_an_account_fails(site: "Site") -> None:
    """What its calls fail for most, in the words of the latest one, on the start page and here."""
    queries = site.exporter.queries
    queries.numbers = {
        "main": AccountNumbers(48.0, 48.0, 12.0, up=False, clock_skew=None, oldest_due=None),
        "other": AccountNumbers(48.0, 48.0, 12.0, up=True, clock_skew=None, oldest_due=None),
    }
    failures = (ReadFailure.AUTH, ReadFailure.AUTH, ReadFailure.TIMEOUT)
    targets = [Target(TargetId("app", "room", f"t{number}"), "main") for number, _ in enumerate(failures)]
    both = zip(targets, failures, strict=True)
    site.exporter.states = [TaskState(target, failure=failure, last_read=1.0) for target, failure in both]
    error = CredentialsRefused("the signature is refused", code="SignatureDoesNotMatch", request_id="2026-1")
    for target in targets:
        queries.remembered.add_read(ReadResult(target.id, 1.0, 1.0, 0.1, error))
    for path in ("/", "/status"):
        page = site.get(path).text
        assert page.count("credentials refused") == 1
        assert "SignatureDoesNotMatch" in page


def test_the_jobs(site: "Site") -> None:
    """When each ran last and runs next, how long it took, and how often it failed."""
    now = site.exporter.queries.now
    site.exporter.queries.job_rows = [
        JobRow("read:main", 0.1, now - 5, 0.012, now + 65, 0),
        JobRow("refresh:<file>", 30.0, None, None, None, 2),
    ]
    page = site.get("/status").text
    for told in ("read:main", "0.1 s", "5s ago", "12 ms", "in 1m 5s", "refresh:&lt;file&gt;", '<td class="bad">2</td>'):
        assert told in page
