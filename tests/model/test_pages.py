"""What one run's page has met."""

from hypothesis import given
from hypothesis import strategies as st

from exporter.enums import PageAction, PageReason
from exporter.model.task import MAX_RECENT, NO_PAGES, PageEvent, Pages, with_event

REFRESH, RESCHEDULE = PageAction
FREEZE, BLANK, *_ = PageReason
EVENTS = st.builds(PageEvent, st.sampled_from(list(PageAction)), st.sampled_from(list(PageReason)), st.floats(0, 100))


def after(*events: PageEvent) -> Pages:
    """All of these, in the order of their arrival."""
    pages = NO_PAGES
    for event in events:
        pages = with_event(pages, event)
    return pages


def test_each_action_is_counted_and_the_latest_of_each_kind_is_kept() -> None:
    """Two refreshes for two reasons, and a rescheduling after the second."""
    events = PageEvent(REFRESH, FREEZE, 1.0), PageEvent(REFRESH, BLANK, 2.0), PageEvent(RESCHEDULE, BLANK, 3.0)
    assert after(*events) == Pages(2, 1, latest=tuple(sorted(events)), recent=events)


def test_a_late_delivery_does_not_set_the_time_back() -> None:
    """The same kind twice, the older one arriving last: two of them, the newer one's time."""
    newer, older = PageEvent(REFRESH, FREEZE, 9.0), PageEvent(REFRESH, FREEZE, 4.0)
    assert after(newer, older) == Pages(2, latest=(newer,), recent=(older, newer))


@given(st.lists(EVENTS, max_size=8), st.data())
def test_the_order_of_arrival_does_not_matter(events: list[PageEvent], data: st.DataObject) -> None:
    """Callbacks come in any order; what is known in the end is the same, and bounded."""
    assert after(*events) == after(*data.draw(st.permutations(events)))
    assert len(after(*events).latest) <= len(PageAction) * len(PageReason)


def test_only_the_last_events_of_each_action_are_kept() -> None:
    """A page that is refreshed again and again does not push out its reschedules, nor grow without bound."""
    refreshes = [PageEvent(REFRESH, FREEZE, float(second)) for second in range(2 * MAX_RECENT)]
    pages = after(PageEvent(RESCHEDULE, BLANK, 0.0), *refreshes)
    assert pages.refreshes == 2 * MAX_RECENT
    assert pages.recent == (PageEvent(RESCHEDULE, BLANK, 0.0), *refreshes[MAX_RECENT:])
