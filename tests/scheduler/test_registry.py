from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from typing import Any, cast

import pytest

from exporter.enums import PageAction, PageReason, Status, StopReason
from exporter.errors import NotFound, ReadError, TimedOut
from exporter.metrics.task_history import HistoryLog
from exporter.model.clock import Clock
from exporter.model.target import Target, TargetId
from exporter.model.task import Callback, PageEvent, ReadResult, Task
from exporter.model.task_state import DisplayStatus, Lifetimes, ListingTimes, TaskState
from exporter.scheduler import registry as tracker_module
from exporter.scheduler.read_queue import CurrentIntervals, PollIntervals
from exporter.scheduler.registry import DISMISSED, FRESH_FOR_INTERVALS, TaskRegistry
from exporter.store.counters import Series, Total
from exporter.store.store import Store, StoredTargets
from tests.support.registry import replace_targets
from tests.support.state import open_store

NOW = 1_768_465_805.0
LIFETIMES = Lifetimes(stale_after=120.0, linger=900.0, drain=1800.0)
RUNNING = Task(status=Status.RUNNING, start=NOW - 60)
ENDED = Task(status=Status.ENDED, start=NOW - 60, end=NOW, stop_reason=StopReason.STOP_BY_API)
ID = TargetId("app", "room", "t0")


@dataclass
class Shown:
    """A series cache that keeps what is shown, and asks the registry as the real one may."""

    registry: TaskRegistry
    up: dict[TargetId, TaskState] = field(default_factory=dict)
    apps: set[str] = field(default_factory=set)

    def show(self, known: TaskState) -> None:
        """Put up."""
        assert known == self.registry.get(known.target.id)
        self.up[known.target.id] = known

    def hide(self, target: TargetId) -> None:
        """Take down."""
        self.up.pop(target, None)

    def close_apps(self, keep: set[str]) -> None:
        """Keep which apps are left."""
        self.apps = keep


class Office:
    """A registry over a store in memory, on a clock that only the test moves."""

    def __init__(self, store: Store | None = None, now: float = NOW) -> None:
        self.now = now
        self.store = store or open_store()
        self.registry = TaskRegistry(self.store, LIFETIMES, Clock(lambda: self.now, lambda: self.now))
        self.cache = Shown(self.registry)
        self.registry.attach(cast("Any", self.cache))

    def stay_fresh(self, seconds: float) -> None:
        """Let a read stay fresh for so long."""
        interval = seconds / FRESH_FOR_INTERVALS
        intervals = PollIntervals(interval, interval, interval, interval, interval)
        self.registry.set_intervals("default", CurrentIntervals(intervals, {}, 0.0))

    def lists(self, number: int = 1, **of_target: Any) -> None:
        """List so many targets."""
        ids = [TargetId("app", "room", f"t{index}") for index in range(number)]
        replace_targets(self.registry, {id_: Target(id_, "default", **of_target) for id_ in ids}, {})

    def read(self, outcome: Task | ReadError = RUNNING, target: TargetId = ID) -> TaskState | None:
        """A read ends now."""
        return self.registry.apply_read(ReadResult(target, self.now, self.now, 0.1, outcome))

    def after(self, seconds: float) -> list[TargetId]:
        """Let time pass, and apply what falls due."""
        self.now += seconds
        return self.registry.expire()

    def display_status(self, target: TargetId = ID) -> DisplayStatus | None:
        """How a target that is shown counts."""
        known = self.cache.up.get(target)
        return known.display_status if known else None

    def total(self, total: Total, label: str = "") -> float:
        """A committed total."""
        assert self.store.flush()
        return self.store.counters()[Series(total, "app", label)]


@pytest.fixture
def office() -> Iterator[Office]:
    made = Office()
    yield made
    made.store.close()


def test_a_listed_target_is_shown_unread_and_its_app_s_counters_exist(office: Office) -> None:
    office.lists(2)
    assert len(office.registry) == 2
    assert [known.display_status for known in office.registry.all()] == [DisplayStatus.UNREAD] * 2
    assert office.display_status() is DisplayStatus.UNREAD
    assert office.total(Total.RUN_ENDS_UNSEEN) == 0.0


def test_a_read_changes_what_is_shown_and_counted(office: Office) -> None:
    """And gives back what is known now."""
    office.lists()
    assert office.read() == office.registry.get(ID)
    assert office.display_status() is DisplayStatus.RUNNING
    assert office.total(Total.RUN_TRANSITIONS, "running") == 1.0


def test_a_reading_of_a_target_that_is_gone_is_nothing(office: Office) -> None:
    assert office.read() is None
    assert office.cache.up == {}
    assert len(office.registry) == 0


def test_nothing_fresh_for_stale_after_is_stale(office: Office) -> None:
    """Not a moment earlier, and failed reads do not make it fresh."""
    office.lists()
    office.read()
    office.after(60)
    office.read(TimedOut("late"))
    office.after(59.9)
    assert office.display_status() is DisplayStatus.RUNNING
    office.after(0.1)
    assert office.display_status() is DisplayStatus.STALE


def test_what_is_read_in_time_is_never_stale(office: Office) -> None:
    office.lists()
    for _ in range(50):
        office.read()
        office.after(119)
        assert office.display_status() is DisplayStatus.RUNNING


def test_stretching_that_comes_after_the_read_makes_nothing_stale(office: Office) -> None:
    """How long it stays fresh is asked when it would be stale, not only when it was read."""
    office.lists()
    office.read()
    office.stay_fresh(500.0)
    office.after(400)
    assert office.display_status() is DisplayStatus.RUNNING
    office.after(100)
    assert office.display_status() is DisplayStatus.STALE


def test_a_stopped_task_is_hidden_when_its_linger_is_over(office: Office) -> None:
    """It stays tracked, as it is still listed."""
    office.lists()
    office.read(ENDED)
    office.after(899.9)
    assert office.display_status() is DisplayStatus.ENDED
    assert office.after(0.1) == []
    assert office.display_status() is None
    assert len(office.registry) == 1
    assert office.total(Total.RUN_STOPS, "StopByAPI") == 1.0


def test_a_new_run_of_a_hidden_target_is_shown_again(office: Office) -> None:
    """The same triple with another StartTime."""
    office.lists()
    office.read(ENDED)
    office.after(1000)
    office.read(Task(status=Status.RUNNING, start=office.now))
    assert office.display_status() is DisplayStatus.RUNNING


def test_a_run_that_the_api_has_not_known_for_stale_after_is_lost(office: Office) -> None:
    """Counted once, and not found from then on."""
    office.lists()
    office.read()
    office.after(10)
    office.read(NotFound("no such task"))
    assert office.total(Total.RUN_STOPS, "Lost") == 0.0
    office.after(120)
    office.after(9999)
    assert office.total(Total.RUN_STOPS, "Lost") == 1.0
    assert office.display_status() is DisplayStatus.NOT_FOUND


def test_let_go_a_target_without_a_live_run_is_gone_at_once(office: Office) -> None:
    """And is told as forgotten, so that it is read no more."""
    office.lists(2)
    office.read(ENDED)
    office.lists(0)
    assert office.cache.up == {}
    assert len(office.registry) == 0
    assert set(office.after(0)) == {ID, TargetId("app", "room", "t1")}
    assert office.after(0) == []


def test_let_go_a_live_run_is_drained_until_its_linger_is_over(office: Office) -> None:
    """It is read on and shown; then it is forgotten."""
    office.lists()
    office.read()
    office.lists(0)
    office.after(60)
    office.read()
    assert office.display_status() is DisplayStatus.RUNNING
    office.after(60)
    office.read(ENDED)
    assert office.display_status() is DisplayStatus.ENDED
    assert office.after(899) == []
    assert office.after(1) == [ID]
    assert office.cache.up == {}
    assert office.total(Total.RUN_ENDS_UNSEEN) == 0.0


def test_a_drain_that_sees_no_end_lets_go_and_says_so(office: Office) -> None:
    """After `drain` at the latest."""
    office.lists()
    office.read()
    office.lists(0)
    for _ in range(179):
        assert office.after(10) == []
        office.read()
    assert office.after(10) == [ID]
    assert office.total(Total.RUN_ENDS_UNSEEN) == 1.0


def test_listed_again_during_its_drain_it_stays(office: Office) -> None:
    office.lists()
    office.read()
    office.lists(0)
    office.after(1000)
    office.read()
    office.lists()
    office.after(900)
    assert len(office.registry) == 1
    assert office.total(Total.RUN_ENDS_UNSEEN) == 0.0


def test_a_target_forgotten_by_its_own_read_is_told_as_forgotten(office: Office) -> None:
    """The drain ended in the moment of that read."""
    office.lists()
    office.read()
    office.lists(0)
    office.now += 1800
    assert office.read() is None
    assert office.after(0) == [ID]


def test_forgotten_and_listed_again_in_between_it_is_not_told(office: Office) -> None:
    """A reader of the states is not interrupted."""
    office.lists()
    office.lists(0)
    office.lists()
    assert office.after(0) == []
    assert office.display_status() is DisplayStatus.UNREAD


def test_labels_and_account_of_a_listed_target_may_change(office: Office) -> None:
    office.lists()
    office.read()
    office.lists(labels={"team": "edu"})
    known = office.cache.up[ID]
    assert known.target.labels == {"team": "edu"}
    assert known.display_status is DisplayStatus.RUNNING


def test_a_list_that_says_the_same_again_draws_nothing_anew(office: Office) -> None:
    """Twenty thousand targets are listed every thirty seconds."""
    office.lists()
    office.cache.up.clear()
    office.lists()
    assert office.cache.up == {}


def test_what_the_store_holds_is_shown_from_the_start(office: Office) -> None:
    """A run that stopped before the restart keeps its last state until its linger is over."""
    office.lists()
    office.read(ENDED)
    again = TaskRegistry(office.store, LIFETIMES, Clock(lambda: office.now, lambda: office.now))
    cache = Shown(again)
    again.attach(cast("Any", cache))
    replace_targets(again, {ID: Target(ID, "default")}, office.store.latest_runs([ID]))
    assert cache.up[ID].display_status is DisplayStatus.ENDED
    office.now += 900
    again.expire()
    assert cache.up == {}


def test_the_heap_of_looks_does_not_grow_with_the_reads(office: Office) -> None:
    """About one entry a target, however long the run."""
    office.lists(10)
    for _ in range(200):
        for known in office.registry.all():
            office.read(target=known.target.id)
        office.after(30)
    assert len(office.registry._checks) <= 20
    assert len(office.registry._check_at) == 10


def test_a_fleet_that_falls_due_at_once_is_applied_in_parts(office: Office, monkeypatch: pytest.MonkeyPatch) -> None:
    """One tick is not delayed; the next ones do the rest."""
    monkeypatch.setattr(tracker_module, "EXPIRY_BATCH", 4)
    office.lists(10)
    for known in office.registry.all():
        office.read(target=known.target.id)
    stale = []
    for seconds in (120, 0, 0):
        office.after(seconds)
        stale.append(sum(known.display_status is DisplayStatus.STALE for known in office.registry.all()))
    assert stale == [4, 8, 10]


def test_without_a_series_cache_everything_else_goes_on() -> None:
    """What is known may be told before it can be shown."""
    store = open_store()
    registry = TaskRegistry(store, LIFETIMES, Clock(lambda: NOW, lambda: NOW))
    replace_targets(registry, {ID: Target(ID, "default")}, {})
    registry.apply_read(ReadResult(ID, NOW, NOW, 0.1, RUNNING))
    assert [known.display_status for known in registry.all()] == [DisplayStatus.RUNNING]
    store.close()


def test_the_series_cache_may_ask_the_registry_while_it_is_updated(office: Office) -> None:
    """Looking up what is known takes no lock, so that the two can never wait for each other."""
    looked: list[Callable[[], object]] = []
    office.lists(2)
    show = office.cache.show

    def curious(known: TaskState) -> None:
        looked.append(lambda: office.registry.get(TargetId("app", "room", "t1")))
        assert looked[-1]() is not None
        show(known)

    office.cache.show = curious  # type: ignore[method-assign]  # a cache that looks at others
    office.read()
    assert len(looked) == 1


@pytest.fixture
def pushed(monkeypatch: pytest.MonkeyPatch, office: Office) -> dict[TargetId, float]:
    """When a push last named a target, for the tracker to ask."""
    renewed: dict[TargetId, float] = {}
    monkeypatch.setattr(office.registry, "_listing_times", lambda target: ListingTimes(by_push=renewed.get(target)))
    office.registry.reconfigure(replace(LIFETIMES, ttl=3600.0, forget_unknown_after=600.0))
    return renewed


def test_a_pushed_listing_expires(office: Office, pushed: dict[TargetId, float]) -> None:
    """Once its time is over a target is told of until a list without it comes; a target of other sources never is."""
    pushed[ID] = NOW
    office.lists(2)
    office.after(3599)
    assert office.registry.expired_listings() == []
    office.after(1)
    assert [office.registry.expired_listings(), office.registry.expired_listings()] == [[ID], [ID]]
    assert len(office.registry) == 2
    replace_targets(office.registry, {}, {})
    assert office.registry.expired_listings() == []


def test_lifetimes_that_a_reload_shortens_reach_targets_that_wait(
    office: Office, pushed: dict[TargetId, float]
) -> None:
    """A stopped task's linger, a listing's ttl and a success's freshness end at once, without a read."""
    stopped, unread, running = (TargetId("app", "room", f"t{number}") for number in range(3))
    office.lists(3)
    office.read(ENDED, stopped)
    office.read(RUNNING, running)
    pushed[unread] = NOW
    office.after(100)
    assert stopped in office.cache.up
    assert office.display_status(running) is DisplayStatus.RUNNING
    assert office.registry.expired_listings() == []
    office.registry.reconfigure(replace(LIFETIMES, linger=50.0, stale_after=90.0, ttl=80.0))
    assert stopped not in office.cache.up
    assert office.display_status(running) is DisplayStatus.STALE
    assert office.registry.expired_listings() == [unread]


def test_a_renewed_listing_has_not_lapsed(office: Office, pushed: dict[TargetId, float]) -> None:
    """Whether the push came before its time was over, or after that was noted."""
    pushed[ID] = NOW
    office.lists()
    pushed[ID] = NOW + 1000
    office.after(3600)
    assert office.registry.expired_listings() == []
    office.after(1000)
    pushed[ID] = office.now
    assert office.registry.expired_listings() == []
    office.after(3600)
    assert office.registry.expired_listings() == [ID]


def test_a_read_brings_the_expiry_nearer(office: Office, pushed: dict[TargetId, float]) -> None:
    """What the API does not know goes sooner; a live run does not, and a stopped one when its linger is over."""
    pushed[ID] = NOW
    office.lists()
    office.read(NotFound("no such task"))
    office.after(600)
    assert office.registry.expired_listings() == [ID]
    office.read(RUNNING)
    office.after(7200)
    assert office.registry.expired_listings() == []
    office.read(ENDED)
    office.after(899)
    assert office.registry.expired_listings() == []
    office.after(1)
    assert office.registry.expired_listings() == [ID]


def test_a_drain_can_be_end_drain(office: Office) -> None:
    """The run's end is then unseen, and counted so; what is listed, or not tracked, stays as it is."""
    office.lists(2)
    office.read()
    office.registry.end_drain(ID)
    assert office.display_status() is DisplayStatus.RUNNING
    office.lists(0)
    office.registry.end_drain(ID)
    assert (office.display_status(), len(office.registry), office.total(Total.RUN_ENDS_UNSEEN)) == (None, 0, 1.0)
    office.registry.end_drain(ID)
    assert office.total(Total.RUN_ENDS_UNSEEN) == 1.0


def test_a_target_that_stays_as_it_is_is_not_shown_again(office: Office, monkeypatch: pytest.MonkeyPatch) -> None:
    """Taking over a list costs nothing for what it does not change."""
    office.lists(3)
    shown: list[TaskState] = []
    monkeypatch.setattr(office.cache, "show", shown.append)
    office.lists(3)
    assert shown == []
    office.lists(3, labels={"team": "edu"})
    assert len(shown) == 3


CRASH = PageEvent(PageAction.RESCHEDULE, PageReason.CRASH, NOW)


def callback(number: int, target: TargetId = ID) -> Callback:
    return Callback(target, f"evt-{number}", f"sig-{number}", NOW, CRASH)


def test_a_callback_is_shown_and_stored(office: Office) -> None:
    """Its page event is the run's from then on, and it is known by its keys."""
    office.lists(1)
    office.read()
    known = office.registry.apply_callback(callback(1))
    assert known is not None
    assert office.cache.up[ID].pages.reschedules == 1
    assert office.store.has_receipt(callback(1))
    assert office.total(Total.PAGE_RESCHEDULES, PageReason.CRASH) == 1


def test_a_callback_about_what_is_not_tracked_counts_for_the_fleet(office: Office) -> None:
    """Nothing is tracked for its sake alone: the lists say what is a target."""
    assert office.registry.apply_callback(callback(1)) is None
    assert (len(office.registry), office.cache.up, office.total(Total.PAGE_RESCHEDULES, PageReason.CRASH)) == (0, {}, 1)


def test_a_few_targets_change_and_the_others_stay(office: Office) -> None:
    """Listed targets are added or changed, released ones go, and no other is looked at."""
    office.lists(3)
    gone, stays, comes = TargetId("app", "room", "t0"), TargetId("app", "room", "t1"), TargetId("app", "room", "new")
    untouched = office.registry.get(stays)
    office.registry.change_targets({comes: Target(comes, "default")}, [gone, TargetId("app", "room", "nobody")], {})
    assert (office.registry.get(gone), office.registry.get(stays)) == (None, untouched)
    assert office.registry.get(comes) is not None


def test_a_change_of_what_a_task_counts_as_is_told() -> None:
    """Once for each, by a read or by time alone; being listed is no change."""
    now = [NOW]
    history = HistoryLog()
    store = open_store()
    registry = TaskRegistry(
        store,
        LIFETIMES,
        Clock(lambda: now[0], lambda: now[0]),
        history=history,
    )
    replace_targets(registry, {ID: Target(ID, "default")}, {})
    for _ in range(2):
        registry.apply_read(ReadResult(ID, NOW, NOW, 0.1, RUNNING))
    now[0] += LIFETIMES.stale_after
    registry.expire()
    changes = [(change.before, change.after, change.at) for change in history.of(ID).changes]
    assert changes == [("running", "stale", now[0])]
    assert len(history.of(ID).reads) == 2


FAILED = Task(status=Status.FAILED, start=NOW - 60, end=NOW, stop_reason=StopReason.OTHER)
CLASS: dict[str, Any] = {"expected_start": NOW - 600, "expected_end": NOW + 3000}
DARK: dict[str, tuple[Task | ReadError, ...]] = {
    "failed": (RUNNING, FAILED),
    "ended early": (RUNNING, ENDED),
    "not started": (Task(status=Status.NOT_STARTED),),
    "not found": (NotFound("no such task"),),
    "gone": (RUNNING, NotFound("no such task")),
}
DARK_CLASSES = pytest.mark.parametrize("outcomes", DARK.values(), ids=DARK)


def problems(office: Office) -> list[str]:
    known = office.cache.up.get(ID)
    return [active.problem for active in known.problems] if known else []


def dark(office: Office, outcomes: tuple[Task | ReadError, ...]) -> None:
    """A class that has gone dark, and that was read a while ago."""
    office.lists(**CLASS)
    for outcome in outcomes:
        office.read(outcome)
    office.after(60)
    assert "class_dark" in problems(office)


@DARK_CLASSES
@pytest.mark.parametrize("listed", [True, False], ids=["listed", "let go"])
def test_a_dark_class_is_shown_until_its_end(office: Office, outcomes: tuple[Any, ...], *, listed: bool) -> None:
    """A backend that lists only what is live does not make it vanish; `linger` and `drain` are the least."""
    dark(office, outcomes)
    if not listed:
        replace_targets(office.registry, {}, {})
    for _ in range(29):
        office.after(100)
        assert "class_dark" in problems(office)
    office.after(39.9)
    assert "class_dark" in problems(office)
    office.after(0.2)
    assert "class_dark" not in problems(office)
    assert listed or office.cache.up == {}


@DARK_CLASSES
@pytest.mark.parametrize("listed", [True, False], ids=["listed", "let go"])
def test_a_dark_class_can_be_removed_by_hand(office: Office, outcomes: tuple[Any, ...], *, listed: bool) -> None:
    """It is no problem any longer; while it is listed, a run that starts is shown again."""
    dark(office, outcomes)
    if not listed:
        replace_targets(office.registry, {}, {})
    before = office.cache.up[ID]
    assert office.registry.dismiss(ID)
    assert problems(office) == []
    assert (ID in office.cache.up) == before.live
    if listed:
        office.read(replace(RUNNING, start=NOW + 60))
        assert office.display_status() is DisplayStatus.RUNNING


def test_what_is_not_tracked_cannot_be_removed(office: Office) -> None:
    """The caller can say so."""
    assert not office.registry.dismiss(ID)


def test_a_new_run_ends_a_dark_class_that_was_let_go(office: Office) -> None:
    """It is read on, so that its new run is seen."""
    dark(office, (RUNNING, FAILED))
    replace_targets(office.registry, {}, {})
    office.read(replace(RUNNING, start=NOW + 60))
    assert problems(office) == []
    assert office.display_status() is DisplayStatus.RUNNING


def test_a_problem_comes_with_time_alone(office: Office) -> None:
    """No read is needed for a wait to be over, and nothing is computed at a scrape."""
    office.lists()
    office.read(Task(status=Status.NOT_STARTED))
    office.stay_fresh(1000.0)
    office.after(299)
    assert problems(office) == []
    office.after(1)
    assert problems(office) == ["not_started"]


def of_apps(*app_ids: str) -> dict[TargetId, Target]:
    targets = [TargetId(app_id, "room", "t0") for app_id in app_ids]
    return {target: Target(target, "default") for target in targets}


def open_apps(office: Office) -> set[str]:
    return {series.app_id for series in office.store.counters()}


def test_the_counters_of_an_app_without_target_and_without_a_run_go(office: Office) -> None:
    """An id that was listed by mistake costs nothing once it is gone; what has counted, or is configured, stays."""
    office.registry.open_apps(["configured"])
    replace_targets(office.registry, of_apps("wrong", "other", "app"), {})
    office.read()
    assert open_apps(office) == {"configured", "wrong", "other", "app"}
    replace_targets(office.registry, of_apps("other"), {})
    office.after(LIFETIMES.drain)
    office.store.flush()
    assert open_apps(office) == {"configured", "other", "app"} == office.cache.apps


def test_the_apps_with_counters_at_zero_are_bounded(office: Office, monkeypatch: pytest.MonkeyPatch) -> None:
    """A thousand wrong ids must not make a hundred thousand series; what is counted has its counter all the same."""
    monkeypatch.setattr(tracker_module, "MAX_APPS", 3)
    replace_targets(office.registry, of_apps("a", "b", "c", "d", "e"), {})
    assert len(open_apps(office)) == 3
    for target in of_apps("a", "b", "c", "d", "e"):
        office.read(target=target)
    office.store.flush()
    assert len(open_apps(office)) == 5


@pytest.mark.parametrize("last", [Task(status=Status.NOT_STARTED), NotFound("no such task")])
def test_a_dark_class_stays_dark_over_a_restart_without_a_read(office: Office, last: Task | ReadError) -> None:
    """What only reads told is in the state; it ends as it would have ended, and only once."""
    dark(office, (last,))
    before = office.cache.up[ID].problems
    office.store.flush()
    again = restarted(office)
    replace_targets(again.registry, {ID: Target(ID, "default", **CLASS)}, office.store.latest_runs([ID]))
    assert again.cache.up[ID].problems == before
    again.read(TimedOut("too slow"))
    assert "class_dark" in problems(again)
    again.read(NotFound("no such task"))
    assert again.cache.up[ID].problems[0].since == before[0].since
    again.read(RUNNING)
    assert problems(again) == []
    office.store.flush()
    latest = restarted(office)
    replace_targets(latest.registry, {ID: Target(ID, "default", **CLASS)}, office.store.latest_runs([ID]))
    assert problems(latest) == []


REMOVED: dict[str, tuple[Task | ReadError, ...]] = {**DARK, "stopped without a class": (RUNNING, ENDED)}


@pytest.mark.parametrize("name", REMOVED)
def test_what_was_removed_by_hand_stays_removed_over_restarts(office: Office, name: str) -> None:
    """Until it runs again, or is another class; a task that nothing lists any more is not remembered."""
    lists: Mapping[str, Any] = {} if name not in DARK else CLASS
    office.lists(**lists)
    for outcome in REMOVED[name]:
        office.read(outcome)
    office.after(60)
    live = office.cache.up[ID].live
    office.registry.dismiss(ID)
    again = office
    for _ in range(2):
        office.store.flush()
        again = restarted(again)
        replace_targets(again.registry, {ID: Target(ID, "default", **lists)}, office.store.latest_runs([ID]))
        assert (ID in again.cache.up) == live
        again.read(NotFound("no such task"))
        assert problems(again) == []
    other = restarted(again)
    next_class = Target(ID, "default", expected_start=NOW - 1, expected_end=NOW + 5000)
    replace_targets(other.registry, {ID: next_class}, office.store.latest_runs([ID]))
    assert ID in other.cache.up
    again.read(replace(RUNNING, start=NOW + 60))
    assert again.display_status() is DisplayStatus.RUNNING
    office.store.flush()
    latest = restarted(again)
    replace_targets(latest.registry, {ID: Target(ID, "default", **lists)}, office.store.latest_runs([ID]))
    latest.read(replace(RUNNING, start=NOW + 60))
    assert latest.display_status() is DisplayStatus.RUNNING
    latest.registry.dismiss(ID)
    replace_targets(latest.registry, {}, {})
    latest.after(1e6)
    office.store.flush()
    assert StoredTargets(office.store, DISMISSED).load() == {}


def restarted(office: Office) -> Office:
    again = Office(office.store, office.now)
    again.registry.resume()
    return again
