from collections.abc import Iterator
from itertools import pairwise

from hypothesis import given
from hypothesis import strategies as st

from exporter.model.target import TargetId
from exporter.scheduler.read_queue import IntervalFactors, ReadClass, ReadQueue, Wait

BUDGET = 10.0
NONE: IntervalFactors = {}
NORMAL = Wait(ReadClass.NORMAL, 30.0)
FAST = Wait(ReadClass.FAST, 5.0)
BACKOFF = Wait(ReadClass.BACKOFF, 60.0)
REREAD = Wait(ReadClass.REREAD, 600.0)


def named(name: str, app: str = "app") -> TargetId:
    return TargetId(app, "room", name)


A, B, C, D = (named(name) for name in "abcd")


def drain(queue: ReadQueue, now: float, stretch: IntervalFactors = NONE, budget: float = BUDGET) -> Iterator[TargetId]:
    while (target := queue.pop(now, budget, stretch)) is not None:
        yield target


def read(queue: ReadQueue, target: TargetId, now: float, wait: Wait, stretch: IntervalFactors = NONE) -> None:
    assert target == queue.pop(now, BUDGET, stretch)
    queue.reschedule(target, now, wait, stretch)


def test_targets_never_read_come_newest_first() -> None:
    """The latest addition is read before those that wait longer."""
    queue = ReadQueue()
    for due, target in enumerate((A, B, C)):
        queue.add(target, float(due))
    assert list(drain(queue, 1.0)) == [B, A]
    assert list(drain(queue, 2.0)) == [C]


def test_targets_never_read_come_before_all_that_were() -> None:
    """However long those have been due."""
    queue = ReadQueue()
    queue.add(A, 0.0)
    read(queue, A, 0.0, NORMAL)
    queue.add(B, 1000.0)
    assert list(drain(queue, 1000.0)) == [B, A]


def test_who_has_been_due_longest_comes_first() -> None:
    """Whatever its read_class."""
    queue = ReadQueue()
    for target, wait in (
        (A, Wait(ReadClass.BACKOFF, 7.0)),
        (B, Wait(ReadClass.BACKOFF, 3.0)),
        (C, Wait(ReadClass.FAST, 5.0, 0.5)),
    ):
        queue.add(target, 0.0)
        read(queue, target, 0.0, wait)
    assert list(drain(queue, 10.0)) == [C, B, A]


def test_a_target_that_is_read_cannot_be_taken_again() -> None:
    """Until it was brought back."""
    queue = ReadQueue()
    queue.add(A, 0.0)
    assert list(drain(queue, 0.0)) == [A]
    assert list(drain(queue, 9999.0)) == []
    queue.reschedule(A, 9999.0, NORMAL, NONE)
    assert list(drain(queue, 10_029.0)) == [A]


def test_a_target_keeps_its_turn_in_the_interval() -> None:
    """A late read does not push all later ones back."""
    queue = ReadQueue()
    queue.add(A, 0.0)
    read(queue, A, 0.0, NORMAL)
    turn = next(now / 100 for now in range(3001) if queue.pop(now / 100, BUDGET, NONE))
    queue.reschedule(A, turn + 2.0, NORMAL, NONE)
    assert queue.pop(turn + 29.9, BUDGET, NONE) is None
    assert queue.pop(turn + 30.1, BUDGET, NONE) == A


@given(st.lists(st.floats(0.0, 500.0), min_size=1, max_size=20))
def test_no_wait_is_longer_than_the_interval(delays: list[float]) -> None:
    """However late the reads are and however long they take."""
    queue, now = ReadQueue(), 1000.0
    queue.add(A, now)
    for delay in delays:
        assert queue.pop(now, BUDGET, NONE) == A
        now += delay
        queue.reschedule(A, now, NORMAL, NONE)
        now += 30.000001


def test_turns_are_spread_evenly_over_the_interval() -> None:
    """A hundred targets in thirty seconds: some three a second, though all were read in the same moment first."""
    queue = ReadQueue()
    for index in range(100):
        queue.add(named(str(index)), 0.0)
    for target in list(drain(queue, 0.0)):
        queue.reschedule(target, 0.0, NORMAL, NONE)
    per_second = [len(list(drain(queue, float(second)))) for second in range(1, 31)]
    assert sum(per_second) == 100
    assert (min(per_second), max(per_second)) == (2, 4)


def test_a_bounded_wait_ends_when_it_says() -> None:
    """The read at the edge of the fast phase comes at that edge."""
    queue = ReadQueue()
    queue.add(A, 0.0)
    for _ in range(2):
        read(queue, A, 0.0, Wait(ReadClass.NORMAL, 30.0, at_most=0.0))
    read(queue, A, 0.0, Wait(ReadClass.NORMAL, 30.0, at_most=0.01))
    assert queue.pop(0.009, BUDGET, NONE) is None
    assert queue.pop(0.01, BUDGET, NONE) == A


def test_a_bounded_wait_is_not_stretched_and_its_turns_stay() -> None:
    """It is read out of turn, and its own turn comes as it would have."""
    queue = ReadQueue()
    queue.add(A, 0.0)
    read(queue, A, 0.0, NORMAL)
    turn = queue.oldest_due(30.0, NONE)
    assert turn is not None
    read(queue, A, turn, Wait(ReadClass.NORMAL, 30.0, at_most=7.0))
    assert queue.lateness(turn + 8.0, {ReadClass.NORMAL: 9.0}) == 1.0
    read(queue, A, turn + 8.0, NORMAL)
    assert queue.oldest_due(turn + 30.0, NONE) == turn + 30.0


def test_stretched_lanes_come_later_than_others() -> None:
    """Of those whose configured wait is over, the one whose stretched wait is over first."""
    queue = ReadQueue()
    for target, wait in ((A, FAST), (B, Wait(ReadClass.BACKOFF, 6.0))):
        queue.add(target, 0.0)
        read(queue, target, 0.0, wait)
    assert list(drain(queue, 10.0, {ReadClass.FAST: 3.0})) == [B, A]


def test_stretching_leaves_no_call_unused() -> None:
    """A target whose configured wait is over is read, if no other needs the call."""
    queue = ReadQueue()
    queue.add(A, 0.0)
    read(queue, A, 0.0, FAST)
    assert list(drain(queue, 5.0, {ReadClass.FAST: 100.0})) == [A]


def test_rereads_have_a_tenth_of_the_calls() -> None:
    """A thousand due ones take one call a second of ten, before everybody else."""
    queue = ReadQueue()
    stopped = {named(str(index)) for index in range(1000)}
    for target in stopped:
        queue.add(target, 0.0, ReadClass.REREAD)
    queue.add(A, 0.0)
    assert list(drain(queue, 0.0))[1:] == [A]
    taken = [target for tenth in range(1, 101) for target in drain(queue, tenth / 10)]
    assert len(taken) == 10
    assert stopped.issuperset(taken)


def test_a_reread_that_found_no_slot_keeps_its_right_to_one() -> None:
    """Rereads do not starve when most calls that are asked for find no slot."""
    queue = ReadQueue()
    queue.add(A, 0.0, ReadClass.REREAD)
    for _ in range(50):
        assert queue.pop(0.0, BUDGET, NONE) == A
        queue.put_back(A)


def test_a_reread_put_off_leaves_the_right_to_the_next() -> None:
    """One that may not be read yet does not cost the others their tenth."""
    queue = ReadQueue()
    for target in (A, B):
        queue.add(target, 0.0, ReadClass.REREAD)
    first = queue.pop(0.0, BUDGET, NONE)
    assert first is not None
    queue.put_off(first, 50.0)
    assert {A, B} == {first, queue.pop(0.0, BUDGET, NONE)}


def test_put_back_it_has_the_place_it_had() -> None:
    """Before those that fell due later, and before those that fell due with it."""
    queue = ReadQueue()
    for target, seconds in ((A, 3.0), (B, 4.0)):
        queue.add(target, 0.0)
        read(queue, target, 0.0, Wait(ReadClass.BACKOFF, seconds))
    assert queue.pop(9.0, BUDGET, NONE) == A
    queue.put_back(A)
    assert list(drain(queue, 9.0)) == [A, B]
    for target in (A, B):
        queue.reschedule(target, 9.0, BACKOFF, NONE)
    assert queue.pop(69.0, BUDGET, NONE) == A
    queue.put_back(A)
    assert list(drain(queue, 69.0)) == [A, B]


def test_put_off_it_waits_until_then() -> None:
    """Unread ones too, and they stay unread."""
    queue = ReadQueue()
    queue.add(A, 0.0)
    assert queue.pop(0.0, BUDGET, NONE) == A
    queue.put_off(A, 7.0)
    assert list(drain(queue, 6.9)) == []
    assert queue.class_counts[None] == 1
    assert list(drain(queue, 7.0)) == [A]


def test_put_off_is_not_stretched() -> None:
    """The probe of an app comes at its time, and its turn in the interval stays."""
    queue = ReadQueue()
    queue.add(A, 0.0)
    read(queue, A, 0.0, NORMAL)
    assert queue.pop(30.0, BUDGET, NONE) == A
    queue.put_off(A, 35.0)
    queue.add(B, 0.0)
    read(queue, B, 30.0, Wait(ReadClass.BACKOFF, 6.0))
    assert list(drain(queue, 40.0, {ReadClass.NORMAL: 9.0})) == [A, B]


def test_rescaled_each_lane_goes_by_its_own_ratio() -> None:
    """Half the interval: half of what is left to wait, and half of the next waits."""
    queue = ReadQueue()
    for target, wait in ((A, Wait(ReadClass.BACKOFF, 60.0)), (B, Wait(ReadClass.REREAD, 60.0))):
        queue.add(target, 0.0)
        read(queue, target, 0.0, wait)
    queue.rescale(20.0, {ReadClass.BACKOFF: 0.5})
    assert list(drain(queue, 39.9)) == []
    assert list(drain(queue, 40.0)) == [A]
    assert list(drain(queue, 60.0)) == [B]


def test_rescaled_an_even_spread_stays_even() -> None:
    """From thirty seconds to three hundred."""
    queue = ReadQueue()
    for index in range(100):
        queue.add(named(str(index)), 0.0)
    for target in list(drain(queue, 0.0)):
        queue.reschedule(target, 0.0, NORMAL, NONE)
    queue.rescale(0.0, {ReadClass.NORMAL: 10.0})
    per_ten = [len(list(drain(queue, float(second)))) for second in range(10, 301, 10)]
    assert sum(per_ten) == 100
    assert (min(per_ten), max(per_ten)) == (2, 4)


def test_what_is_overdue_stays_so_when_rescaled() -> None:
    """A longer interval does not send those home who waited."""
    queue = ReadQueue()
    queue.add(A, 0.0)
    read(queue, A, 0.0, NORMAL)
    queue.rescale(100.0, {ReadClass.NORMAL: 10.0})
    assert list(drain(queue, 100.0)) == [A]


def test_a_removed_target_is_nowhere() -> None:
    """Not in a queue, not in the counts, and a read that ends does not bring it back."""
    queue = ReadQueue()
    for target in (A, B):
        queue.add(target, 0.0)
    assert queue.pop(0.0, BUDGET, NONE) == B
    for target in (A, B, C):
        queue.remove(target)
    queue.reschedule(B, 0.0, NORMAL, NONE)
    queue.put_back(B)
    queue.put_off(B, 0.0)
    assert list(drain(queue, 9999.0)) == []
    assert sum(queue.class_counts.values()) == 0
    assert list(queue) == []
    assert B not in queue


def test_removed_and_added_in_between_it_is_there_once() -> None:
    """Its old place in the queue is dead, even where the new one is due at the same time."""
    queue = ReadQueue()
    for _ in range(3):
        queue.add(A, 0.0)
        assert queue.oldest_due(0.0, NONE) == 0.0
        queue.remove(A)
    queue.add(A, 5.0)
    assert list(drain(queue, 4.9)) == []
    assert list(drain(queue, 5.0)) == [A]


def test_counts_by_lane_follow_every_move() -> None:
    """They are what the stretching goes by."""
    queue = ReadQueue()
    queue.add(A, 0.0)
    queue.add(B, 0.0, ReadClass.REREAD)
    assert {read_class: number for read_class, number in queue.class_counts.items() if number} == {
        None: 1,
        ReadClass.REREAD: 1,
    }
    assert list(drain(queue, 0.0)) == [B, A]
    queue.reschedule(A, 0.0, NORMAL, NONE)
    queue.reschedule(B, 0.0, NORMAL, NONE)
    assert {read_class: number for read_class, number in queue.class_counts.items() if number} == {ReadClass.NORMAL: 2}


def test_the_oldest_due_is_told_for_read_and_unread() -> None:
    """None when nothing is due; a reread waits for its share, not for the budget."""
    queue = ReadQueue()
    queue.add(D, 0.0, ReadClass.REREAD)
    assert queue.oldest_due(100.0, NONE) is None
    queue.add(A, 7.0)
    queue.add(B, 6.0)
    assert queue.oldest_due(5.0, NONE) is None
    assert queue.oldest_due(8.0, NONE) == 6.0
    queue.remove(B)
    assert queue.oldest_due(8.0, NONE) == 7.0


def test_the_stretched_wait_is_not_lateness() -> None:
    """A target that waits as long as the budget makes all wait is not late."""
    queue = ReadQueue()
    queue.add(A, 0.0)
    read(queue, A, 0.0, NORMAL)
    due = queue.oldest_due(35.0, NONE)
    assert due is not None
    assert queue.lateness(35.0, NONE) == 35.0 - due
    assert queue.lateness(35.0, {ReadClass.NORMAL: 3.0}) == 0.0
    assert queue.oldest_due(35.0, {ReadClass.NORMAL: 3.0}) is None
    assert queue.oldest_due(due + 61.0, {ReadClass.NORMAL: 3.0}) == due + 60.0


def test_dead_places_do_not_pile_up() -> None:
    """A target that is listed and let go ten thousand times leaves nothing behind."""
    queue = ReadQueue()
    for _ in range(10_000):
        queue.add(A, 1e9)
        queue.remove(A)
    assert sum(map(len, queue._queues.values())) <= 1001


def test_under_overload_all_are_read_in_turn() -> None:
    """Six hundred targets at ten calls a second: each every minute, none skipped."""
    queue, stretch = ReadQueue(), {ReadClass.NORMAL: 2.0}
    for index in range(600):
        queue.add(named(str(index)), 0.0)
    times: dict[TargetId, list[float]] = {}
    for tenth in range(6000):
        target = queue.pop(tenth / 10, BUDGET, stretch)
        assert target is not None
        times.setdefault(target, []).append(tenth / 10)
        queue.reschedule(target, tenth / 10, NORMAL, stretch)
    gaps = sorted(later - earlier for read_at in times.values() for earlier, later in pairwise(read_at[2:]))
    assert gaps[int(0.99 * len(gaps))] <= 66.0
    assert len(times) == 600


def test_made_due_a_target_waits_no_longer() -> None:
    """It keeps its read_class, so that stopped targets have a tenth of the calls however many are made due."""
    queue = ReadQueue()
    for target in (A, B, C):
        queue.add(target, 600.0, ReadClass.REREAD)
        queue.make_due(target, 10.0)
    assert list(drain(queue, 10.0)) == [A]
    assert list(drain(queue, 11.0)) == [B]
    queue.reschedule(A, 11.0, REREAD, NONE)
    assert list(drain(queue, 12.0)) == [C]
    assert list(drain(queue, 610.0)) == []


def test_made_due_while_it_is_read_it_is_read_again() -> None:
    """Once: the read in flight may have been sent before there was anything new to see."""
    queue = ReadQueue()
    queue.add(A, 0.0)
    assert list(drain(queue, 0.0)) == [A]
    queue.make_due(A, 1.0)
    queue.reschedule(A, 2.0, BACKOFF, NONE)
    assert list(drain(queue, 2.0)) == [A]
    queue.reschedule(A, 3.0, BACKOFF, NONE)
    assert list(drain(queue, 62.0)) == []


def test_made_due_what_is_due_keeps_its_place_and_what_is_unknown_does_not_matter() -> None:
    """No target is put behind others by it."""
    queue = ReadQueue()
    for target in (A, B):
        queue.add(target, 0.0)
        read(queue, target, 0.0, BACKOFF)
    queue.make_due(A, 70.0)
    queue.make_due(D, 70.0)
    assert list(drain(queue, 70.0)) == [A, B]
    assert D not in queue


GAP = 5.0


def test_asked_for_a_target_is_read_before_all_others() -> None:
    """Be the others overdue, unread, or not due at all; it need not be due itself."""
    queue = ReadQueue()
    for target in (A, B):
        queue.add(target, 0.0)
        read(queue, target, 0.0, BACKOFF)
    queue.add(C, 0.0)
    queue.add(D, 1.0)
    queue.prioritize(B, 70.0, GAP)
    assert [queue.pop(70.0 + place / 100, BUDGET, NONE) for place in range(4)] == [B, D, C, A]


def test_the_asked_have_half_of_the_calls_while_others_are_due() -> None:
    """Ten calls a second, a hundred asked for and a hundred overdue: five a second of each."""
    queue = ReadQueue()
    asked = [named(f"asked{place}") for place in range(100)]
    for target in (*asked, *(named(f"due{place}") for place in range(100))):
        queue.add(target, 0.0)
        read(queue, target, 0.0, BACKOFF)
    for target in asked:
        queue.prioritize(target, 100.0, GAP)
    taken = [queue.pop(100.0 + tenth / BUDGET, BUDGET, NONE) for tenth in range(100)]
    assert sum(target in asked for target in taken) == 50


def test_requested_reads_use_all_free_calls() -> None:
    """If no other target is due, they are read as fast as the budget allows."""
    queue = ReadQueue()
    for target in (A, B, C):
        queue.add(target, 600.0, ReadClass.REREAD)
        queue.prioritize(target, 10.0, GAP)
    assert list(drain(queue, 10.0)) == [A, B, C]


def test_asked_for_often_a_target_is_read_once_in_a_gap() -> None:
    """Five seconds after the end of its last read at the soonest, however often it is asked for."""
    queue = ReadQueue()
    queue.add(A, 0.0)
    read(queue, A, 0.0, BACKOFF)
    times = []
    for tenth in range(200):
        now = 100.0 + tenth / 10
        queue.prioritize(A, now, GAP)
        if queue.pop(now, BUDGET, NONE):
            times.append(now)
            queue.reschedule(A, now, BACKOFF, NONE)
    assert times == [100.0, 105.0, 110.0, 115.0]


def test_asked_for_while_it_is_read_it_is_read_once_more() -> None:
    """At once, or a gap after a read that was asked for: it may have been answered before there was anything to see."""
    queue = ReadQueue()
    queue.add(A, 0.0)
    assert list(drain(queue, 0.0)) == [A]
    queue.prioritize(A, 1.0, GAP)
    queue.reschedule(A, 2.0, BACKOFF, NONE)
    assert list(drain(queue, 2.0)) == [A]
    queue.prioritize(A, 3.0, GAP)
    queue.reschedule(A, 4.0, BACKOFF, NONE)
    assert list(drain(queue, 8.9)) == []
    assert list(drain(queue, 9.0)) == [A]
    queue.reschedule(A, 9.0, BACKOFF, NONE)
    assert list(drain(queue, 66.0)) == []


def test_an_ordinary_read_does_not_delay_a_requested_one() -> None:
    """A task that was read in its turn a moment ago may have changed since."""
    queue = ReadQueue()
    queue.add(A, 0.0)
    read(queue, A, 100.0, BACKOFF)
    queue.prioritize(A, 100.1, GAP)
    assert list(drain(queue, 100.1)) == [A]


def test_an_asked_target_that_goes_is_asked_no_more() -> None:
    """An unknown target never was."""
    queue = ReadQueue()
    queue.add(A, 1000.0)
    queue.prioritize(A, 0.0, GAP)
    queue.prioritize(B, 0.0, GAP)
    queue.remove(A)
    assert list(drain(queue, 2000.0)) == []


NORMAL_PERIODS = {ReadClass.FAST: 5.0, ReadClass.NORMAL: 30.0, ReadClass.BACKOFF: 300.0, ReadClass.REREAD: 600.0}


def fleet(number: int, wait: Wait = NORMAL) -> ReadQueue:
    queue = ReadQueue()
    for index in range(number):
        queue.add(named(str(index)), 0.0)
    for target in list(drain(queue, 0.0)):
        queue.reschedule(target, 0.0, wait, NONE)
    return queue


def test_after_an_outage_reads_come_at_their_turns() -> None:
    """All 100 within one interval, those that may be made up for at once; nothing is read twice."""
    queue = fleet(100)
    queue.spread(1000.0, NORMAL_PERIODS, at_once=10)
    assert len(list(drain(queue, 1000.0))) == 10
    per_second = [len(list(drain(queue, 1000.0 + second))) for second in range(1, 31)]
    assert sum(per_second) == 90
    assert max(per_second) <= 4


def test_those_overdue_longest_over_several_outages_are_read_at_once() -> None:
    """Breakers that open and close all the time starve no target, and make no call beyond `at_once`."""
    queue = fleet(100)
    read: list[TargetId] = []
    for outage in range(10):
        queue.spread(1000.0 + 31 * outage, NORMAL_PERIODS, at_once=10)
        read += drain(queue, 1000.0 + 31 * outage)
    assert len(read) == len(set(read)) == 100


def test_after_an_outage_those_never_read_are_due_and_backed_off_ones_wait_on() -> None:
    queue = fleet(2, BACKOFF)
    queue.add(A, 1050.0)
    queue.add(named("other", "x"), 1050.0)
    queue.spread(10.0, NORMAL_PERIODS, at_once=0, app_id="app")
    assert list(drain(queue, 10.0)) == [A]


def test_spreading_leaves_no_dead_items() -> None:
    queue = fleet(1)
    for now in range(1, 1000):
        queue.spread(30.0 * now, NORMAL_PERIODS, at_once=0)
    assert sum(map(len, queue._queues.values())) == 1


def test_the_next_due_time_is_that_of_any_target_that_waits() -> None:
    """A reread waits for its share of the calls too."""
    queue = ReadQueue()
    assert queue.next_due() == float("inf")
    queue.add(A, 7.0, ReadClass.REREAD)
    queue.add(B, 9.0)
    assert queue.next_due() == 7.0
    assert queue.pop(7.0, BUDGET, NONE) == A
    assert queue.next_due() == 9.0
    queue.prioritize(B, 8.0, 5.0)
    assert queue.next_due() == 8.0
