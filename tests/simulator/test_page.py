"""What the vendor does about a page in trouble (seed page, MonitorConfig and EventNotifyConfig)."""

import pytest

from exporter.enums import VENDOR_PAGE_REASONS, PageReason
from exporter.simulator.page import PageEvent, Trouble, remedies
from exporter.simulator.settings import Settings

WATCHED = Settings(freeze_check=5, blank_check=3, crash_check=7, event_notify=True, start_timeout=20)


@pytest.mark.parametrize(
    ("reason", "lasting", "expected"),
    [
        (PageReason.FREEZE, False, [(10_000, 4)]),
        (PageReason.FREEZE, True, [(10_000, 4), (20_000, 5)]),
        (PageReason.BLANK, True, [(6_000, 4), (12_000, 5)]),
        (PageReason.CRASH, False, [(7_000, 5)]),
        (PageReason.CRASH, True, [(7_000, 5)]),
        (PageReason.START_TIMEOUT, False, [(20_000, 4)]),
        (PageReason.START_TIMEOUT, True, [(20_000, 4), (40_000, 5)]),
    ],
)
def test_two_hits_refresh_two_more_reschedule(
    *,
    reason: PageReason,
    lasting: bool,
    expected: list[tuple[int, int]],
) -> None:
    """Two hits in a row refresh (4), two more reschedule (5); a crash reschedules at once; a timeout at each."""
    events = remedies(Trouble(reason, 0, lasting=lasting), 1000, WATCHED)
    assert [PageEvent(1000 + after, status, reason) for after, status in expected] == list(events)


@pytest.mark.parametrize("reason", VENDOR_PAGE_REASONS.values())
def test_a_check_that_is_off_sees_nothing(reason: PageReason) -> None:
    """An interval of 0 switches the check off: no refresh, no callback."""
    assert remedies(Trouble(reason, 0, lasting=True), 1000, Settings()) == ()
