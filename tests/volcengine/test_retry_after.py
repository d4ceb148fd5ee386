import pytest

from exporter.errors import Throttled
from exporter.volcengine.replies import Answer, parse_answer

NOW = 1768465805.0
DATE = "Thu, 15 Jan 2026 08:30:05 GMT"


def retry_after(date: str, header: str, now: float) -> float | None:
    """What an answer of 429 with these headers says at `now`."""
    with pytest.raises(Throttled) as caught:
        parse_answer(Answer(429, date=date, retry_after=header, document=None, flaw=None), now)
    return caught.value.retry_after


@pytest.mark.parametrize("ours", [NOW, NOW - 3600, NOW + 3600])
def test_a_date_to_come_back_at_is_by_the_server_s_clock(ours: float) -> None:
    """Whatever our own clock says; the answer's Date tells the server's."""
    assert retry_after(DATE, "Thu, 15 Jan 2026 08:30:12 GMT", ours) == 7


def test_without_a_date_header_our_clock_counts() -> None:
    """There is no other."""
    assert retry_after("", "Thu, 15 Jan 2026 08:30:12 GMT", NOW + 2) == 5


def test_seconds_need_no_clock() -> None:
    """They are what they are."""
    assert retry_after(DATE, "7", NOW - 3600) == 7
