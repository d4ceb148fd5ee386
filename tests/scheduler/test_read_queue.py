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
    """A target."""
    return TargetId(app, "room", name)


A, B, C, D = (named(name) for name in "abcd")


def drain(round_: ReadQueue, now: float, stretch: IntervalFactors = NONE, budget: float = BUDGET) -> Iterator[TargetId]:
    """All that can be taken at this moment."""
    while (target := round_.take(now, budget, stretch)) is not None:
        yield target


def read(round_: ReadQueue, target: TargetId, now: float, wait: Wait, stretch: IntervalFactors = NONE) -> None:
    """A target is taken at its time, and waits again."""
    assert target == round_.take(now, BUDGET, stretch)
    round_.again(target, now, wait, stretch)


def test_targets_never_read_come_newest_first() -> None:
    """The latest addition is read before those that wait longer."""
    round_ = ReadQueue()
    for due, target in enumerate((A, B, C)):
        round_.add(target, float(due))
    assert list(drain(round_, 1.0)) == [B, A]
    assert list(drain(round_, 2.0)) == [C]


def test_targets_never_read_come_before_all_that_were() -> None:
    """However long those have been due."""
    round_ = ReadQueue()
    round_.add(A, 0.0)
    read(round_, A, 0.0, NORMAL)
    round_.add(B, 1000.0)
    assert list(drain(round_, 1000.0)) == [B, A]


def test_who_has_been_due_longest_comes_first() -> None:
    """Whatever its read_class."""
    round_ = ReadQueue()
    for target, wait in (
        (A, Wait(ReadClass.BACKOFF, 7.0)),
        (B, Wait(ReadClass.BACKOFF, 3.0)),
        (C, Wait(ReadClass.FAST, 5.0, 0.5)),
    ):
        round_.add(target, 0.0)
        read(round_, target, 0.0, wait)
    assert list(drain(round_, 10.0)) == [C, B, A]


def test_a_target_that_is_read_cannot_be_taken_again() -> None:
    """Until it was brought back."""
    round_ = ReadQueue()
    round_.add(A, 0.0)
    assert list(drain(round_, 0.0)) == [A]
    assert list(drain(round_, 9999.0)) == []
    round_.again(A, 9999.0, NORMAL, NONE)
    assert list(drain(round_, 10_029.0)) == [A]


def test_a_target_keeps_its_turn_in_the_interval() -> None:
    """A late read does not push all later ones back."""
    round_ = ReadQueue()
    round_.add(A, 0.0)
    read(round_, A, 0.0, NORMAL)
    turn = next(now / 100 for now in range(3001) if round_.take(now / 100, BUDGET, NONE))
    round_.again(A, turn + 2.0, NORMAL, NONE)
    assert round_.take(turn + 29.9, BUDGET, NONE) is None
    assert round_.take(turn + 30.1, BUDGET, NONE) == A


@given(st.lists(st.floats(0.0, 500.0), min_size=1, max_size=20))
def test_no_wait_is_longer_than_the_interval(delays: list[float]) -> None:
    """However late the reads are and however long they take."""
    round_, now = ReadQueue(), 1000.0
    round_.add(A, now)
    for delay in delays:
        assert round_.take(now, BUDGET, NONE) == A
        now += delay
        round_.again(A, now, NORMAL, NONE)
        now += 30.000001


def test_turns_are_spread_evenly_over_the_interval() -> None:
    """A hundred targets in thirty seconds: some three a second, though all were read in the same moment first."""
    round_ = ReadQueue()
    for index in range(100):
        round_.add(named(str(index)), 0.0)
    for target in list(drain(round_, 0.0)):
        round_.again(target, 0.0, NORMAL, NONE)
    per_second = [len(list(drain(round_, float(second)))) for second in range(1, 31)]
    assert sum(per_second) == 100
    assert (min(per_second), max(per_second)) == (2, 4)


def test_a_bounded_wait_ends_when_it_says() -> None:
    """The read at the edge of the fast phase comes at that edge."""
    round_ = ReadQueue()
    round_.add(A, 0.0)
    for _ in range(2):
        read(round_, A, 0.0, Wait(ReadClass.NORMAL, 30.0, at_most=0.0))
    read(round_, A, 0.0, Wait(ReadClass.NORMAL, 30.0, at_most=0.01))
    assert round_.take(0.009, BUDGET, NONE) is None
    assert round_.take(0.01, BUDGET, NONE) == A


def test_a_bounded_wait_is_not_stretched_and_its_turns_stay() -> None:
    """It is read out of turn, and its own turn comes as it would have."""
    round_ = ReadQueue()
    round_.add(A, 0.0)
    read(round_, A, 0.0, NORMAL)
    turn = round_.oldest_due(30.0, NONE)
    assert turn is not None
    read(round_, A, turn, Wait(ReadClass.NORMAL, 30.0, at_most=7.0))
    assert round_.lateness(turn + 8.0, {ReadClass.NORMAL: 9.0}) == 1.0
    read(round_, A, turn + 8.0, NORMAL)
    assert round_.oldest_due(turn + 30.0, NONE) == turn + 30.0


def test_stretched_lanes_come_later_than_others() -> None:
    """Of those whose configured wait is over, the one whose stretched wait is over first."""
    round_ = ReadQueue()
    for target, wait in ((A, FAST), (B, Wait(ReadClass.BACKOFF, 6.0))):
        round_.add(target, 0.0)
        read(round_, target, 0.0, wait)
    assert list(drain(round_, 10.0, {ReadClass.FAST: 3.0})) == [B, A]


def test_stretching_leaves_no_call_unused() -> None:
    """Whose configured wait is over is read, if nobody else needs the call."""
    round_ = ReadQueue()
    round_.add(A, 0.0)
    read(round_, A, 0.0, FAST)
    assert list(drain(round_, 5.0, {ReadClass.FAST: 100.0})) == [A]


def test_rereads_have_a_tenth_of_the_calls() -> None:
    """A thousand due ones take one call a second of ten, before everybody else."""
    round_ = ReadQueue()
    stopped = {named(str(index)) for index in range(1000)}
    for target in stopped:
        round_.add(target, 0.0, ReadClass.REREAD)
    round_.add(A, 0.0)
    assert list(drain(round_, 0.0))[1:] == [A]
    taken = [target for tenth in range(1, 101) for target in drain(round_, tenth / 10)]
    assert len(taken) == 10
    assert stopped.issuperset(taken)


def test_a_reread_that_found_no_slot_keeps_its_right_to_one() -> None:
    """Rereads do not starve when most calls that are asked for find no slot."""
    round_ = ReadQueue()
    round_.add(A, 0.0, ReadClass.REREAD)
    for _ in range(50):
        assert round_.take(0.0, BUDGET, NONE) == A
        round_.put_back(A)


def test_a_reread_put_off_leaves_the_right_to_the_next() -> None:
    """One that may not be read yet does not cost the others their tenth."""
    round_ = ReadQueue()
    for target in (A, B):
        round_.add(target, 0.0, ReadClass.REREAD)
    first = round_.take(0.0, BUDGET, NONE)
    assert first is not None
    round_.put_off(first, 50.0)
    assert {A, B} == {first, round_.take(0.0, BUDGET, NONE)}


def test_put_back_it_has_the_place_it_had() -> None:
    """Before those that fell due later, and before those that fell due with it."""
    round_ = ReadQueue()
    for target, seconds in ((A, 3.0), (B, 4.0)):
        round_.add(target, 0.0)
        read(round_, target, 0.0, Wait(ReadClass.BACKOFF, seconds))
    assert round_.take(9.0, BUDGET, NONE) == A
    round_.put_back(A)
    assert list(drain(round_, 9.0)) == [A, B]
    for target in (A, B):
        round_.again(target, 9.0, BACKOFF, NONE)
    assert round_.take(69.0, BUDGET, NONE) == A
    round_.put_back(A)
    assert list(drain(round_, 69.0)) == [A, B]


def test_put_off_it_waits_until_then() -> None:
    """Unread ones too, and they stay unread."""
    round_ = ReadQueue()
    round_.add(A, 0.0)
    assert round_.take(0.0, BUDGET, NONE) == A
    round_.put_off(A, 7.0)
    assert list(drain(round_, 6.9)) == []
    assert round_.class_counts[None] == 1
    assert list(drain(round_, 7.0)) == [A]


def test_put_off_is_not_stretched() -> None:
    """The probe of an app comes at its time, and its turn in the interval stays."""
    round_ = ReadQueue()
    round_.add(A, 0.0)
    read(round_, A, 0.0, NORMAL)
    assert round_.take(30.0, BUDGET, NONE) == A
    round_.put_off(A, 35.0)
    round_.add(B, 0.0)
    read(round_, B, 30.0, Wait(ReadClass.BACKOFF, 6.0))
    assert list(drain(round_, 40.0, {ReadClass.NORMAL: 9.0})) == [A, B]


def test_rescaled_each_lane_goes_by_its_own_ratio() -> None:
    """Half the interval: half of what is left to wait, and half of the next waits."""
    round_ = ReadQueue()
    for target, wait in ((A, Wait(ReadClass.BACKOFF, 60.0)), (B, Wait(ReadClass.REREAD, 60.0))):
        round_.add(target, 0.0)
        read(round_, target, 0.0, wait)
    round_.rescale(20.0, {ReadClass.BACKOFF: 0.5})
    assert list(drain(round_, 39.9)) == []
    assert list(drain(round_, 40.0)) == [A]
    assert list(drain(round_, 60.0)) == [B]


def test_rescaled_an_even_spread_stays_even() -> None:
    """From thirty seconds to three hundred."""
    round_ = ReadQueue()
    for index in range(100):
        round_.add(named(str(index)), 0.0)
    for target in list(drain(round_, 0.0)):
        round_.again(target, 0.0, NORMAL, NONE)
    round_.rescale(0.0, {ReadClass.NORMAL: 10.0})
    per_ten = [len(list(drain(round_, float(second)))) for second in range(10, 301, 10)]
    assert sum(per_ten) == 100
    assert (min(per_ten), max(per_ten)) == (2, 4)


def test_what_is_overdue_stays_so_when_rescaled() -> None:
    """A longer interval does not send those home who waited."""
    round_ = ReadQueue()
    round_.add(A, 0.0)
    read(round_, A, 0.0, NORMAL)
    round_.rescale(100.0, {ReadClass.NORMAL: 10.0})
    assert list(drain(round_, 100.0)) == [A]


def test_a_removed_target_is_nowhere() -> None:
    """Not in a queue, not in the counts, and a read that ends does not bring it back."""
    round_ = ReadQueue()
    for target in (A, B):
        round_.add(target, 0.0)
    assert round_.take(0.0, BUDGET, NONE) == B
    for target in (A, B, C):
        round_.remove(target)
    round_.again(B, 0.0, NORMAL, NONE)
    round_.put_back(B)
    round_.put_off(B, 0.0)
    assert list(drain(round_, 9999.0)) == []
    assert sum(round_.class_counts.values()) == 0
    assert list(round_) == []
    assert B not in round_


def test_removed_and_added_in_between_it_is_there_once() -> None:
    """Its old place in the queue is dead, even where the new one is due at the same time."""
    round_ = ReadQueue()
    for _ in range(3):
        round_.add(A, 0.0)
        assert round_.oldest_due(0.0, NONE) == 0.0
        round_.remove(A)
    round_.add(A, 5.0)
    assert list(drain(round_, 4.9)) == []
    assert list(drain(round_, 5.0)) == [A]


def test_counts_by_lane_follow_every_move() -> None:
    """They are what the stretching goes by."""
    round_ = ReadQueue()
    round_.add(A, 0.0)
    round_.add(B, 0.0, ReadClass.REREAD)
    assert {read_class: number for read_class, number in round_.class_counts.items() if number} == {
        None: 1,
        ReadClass.REREAD: 1,
    }
    assert list(drain(round_, 0.0)) == [B, A]
    round_.again(A, 0.0, NORMAL, NONE)
    round_.again(B, 0.0, NORMAL, NONE)
    assert {read_class: number for read_class, number in round_.class_counts.items() if number} == {ReadClass.NORMAL: 2}


def test_the_oldest_due_is_told_for_read_and_unread() -> None:
    """None when nothing is due; a reread waits for its share, not for the budget."""
    round_ = ReadQueue()
    round_.add(D, 0.0, ReadClass.REREAD)
    assert round_.oldest_due(100.0, NONE) is None
    round_.add(A, 7.0)
    round_.add(B, 6.0)
    assert round_.oldest_due(5.0, NONE) is None
    assert round_.oldest_due(8.0, NONE) == 6.0
    round_.remove(B)
    assert round_.oldest_due(8.0, NONE) == 7.0


def test_the_stretched_wait_is_not_lateness() -> None:
    """Whoever waits as long as the budget makes everybody wait is not late."""
    round_ = ReadQueue()
    round_.add(A, 0.0)
    read(round_, A, 0.0, NORMAL)
    due = round_.oldest_due(35.0, NONE)
    assert due is not None
    assert round_.lateness(35.0, NONE) == 35.0 - due
    assert round_.lateness(35.0, {ReadClass.NORMAL: 3.0}) == 0.0
    assert round_.oldest_due(35.0, {ReadClass.NORMAL: 3.0}) is None
    assert round_.oldest_due(due + 61.0, {ReadClass.NORMAL: 3.0}) == due + 60.0


def test_dead_places_do_not_pile_up() -> None:
    """A target that is listed and let go ten thousand times leaves nothing behind."""
    round_ = ReadQueue()
    for _ in range(10_000):
        round_.add(A, 1e9)
        round_.remove(A)
    assert sum(map(len, round_._queues.values())) <= 1001


def test_under_overload_all_are_read_in_turn() -> None:
    """Six hundred targets at ten calls a second: each every minute, nobody skipped."""
    round_, stretch = ReadQueue(), {ReadClass.NORMAL: 2.0}
    for index in range(600):
        round_.add(named(str(index)), 0.0)
    times: dict[TargetId, list[float]] = {}
    for tenth in range(6000):
        target = round_.take(tenth / 10, BUDGET, stretch)
        assert target is not None
        times.setdefault(target, []).append(tenth / 10)
        round_.again(target, tenth / 10, NORMAL, stretch)
    gaps = sorted(later - earlier for read_at in times.values() for earlier, later in pairwise(read_at[2:]))
    assert gaps[int(0.99 * len(gaps))] <= 66.0
    assert len(times) == 600


def test_made_due_a_target_waits_no_longer() -> None:
    """It keeps its read_class, so that stopped targets have a tenth of the calls however many are made due."""
    round_ = ReadQueue()
    for target in (A, B, C):
        round_.add(target, 600.0, ReadClass.REREAD)
        round_.make_due(target, 10.0)
    assert list(drain(round_, 10.0)) == [A]
    assert list(drain(round_, 11.0)) == [B]
    round_.again(A, 11.0, REREAD, NONE)
    assert list(drain(round_, 12.0)) == [C]
    assert list(drain(round_, 610.0)) == []


def test_made_due_while_it_is_read_it_is_read_again() -> None:
    """Once: the read in flight may have been sent before there was anything new to see."""
    round_ = ReadQueue()
    round_.add(A, 0.0)
    assert list(drain(round_, 0.0)) == [A]
    round_.make_due(A, 1.0)
    round_.again(A, 2.0, BACKOFF, NONE)
    assert list(drain(round_, 2.0)) == [A]
    round_.again(A, 3.0, BACKOFF, NONE)
    assert list(drain(round_, 62.0)) == []


def test_made_due_what_is_due_keeps_its_place_and_what_is_unknown_does_not_matter() -> None:
    """Nobody is put behind others by it."""
    round_ = ReadQueue()
    for target in (A, B):
        round_.add(target, 0.0)
        read(round_, target, 0.0, BACKOFF)
    round_.make_due(A, 70.0)
    round_.make_due(D, 70.0)
    assert list(drain(round_, 70.0)) == [A, B]
    assert D not in round_


GAP = 5.0


def test_asked_for_a_target_is_read_before_all_others() -> None:
    """Be the others overdue, unread, or not due at all; it need not be due itself."""
    round_ = ReadQueue()
    for target in (A, B):
        round_.add(target, 0.0)
        read(round_, target, 0.0, BACKOFF)
    round_.add(C, 0.0)
    round_.add(D, 1.0)
    round_.ask(B, 70.0, GAP)
    assert [round_.take(70.0 + place / 100, BUDGET, NONE) for place in range(4)] == [B, D, C, A]


def test_the_asked_have_half_of_the_calls_while_others_are_due() -> None:
    """Ten calls a second, a hundred asked for and a hundred overdue: five a second of each."""
    round_ = ReadQueue()
    asked = [named(f"asked{place}") for place in range(100)]
    for target in (*asked, *(named(f"due{place}") for place in range(100))):
        round_.add(target, 0.0)
        read(round_, target, 0.0, BACKOFF)
    for target in asked:
        round_.ask(target, 100.0, GAP)
    taken = [round_.take(100.0 + tenth / BUDGET, BUDGET, NONE) for tenth in range(100)]
    assert sum(target in asked for target in taken) == 50


def test_the_asked_have_all_calls_that_nobody_else_wants() -> None:
    """With nobody else due they are read as fast as the budget has it."""
    round_ = ReadQueue()
    for target in (A, B, C):
        round_.add(target, 600.0, ReadClass.REREAD)
        round_.ask(target, 10.0, GAP)
    assert list(drain(round_, 10.0)) == [A, B, C]


def test_asked_for_often_a_target_is_read_once_in_a_gap() -> None:
    """Five seconds after the end of its last read at the soonest, however often it is asked for."""
    round_ = ReadQueue()
    round_.add(A, 0.0)
    read(round_, A, 0.0, BACKOFF)
    times = []
    for tenth in range(200):
        now = 100.0 + tenth / 10
        round_.ask(A, now, GAP)
        if round_.take(now, BUDGET, NONE):
            times.append(now)
            round_.again(A, now, BACKOFF, NONE)
    assert times == [100.0, 105.0, 110.0, 115.0]


def test_asked_for_while_it_is_read_it_is_read_once_more() -> None:
    """At once, or a gap after a read that was asked for: it may have been answered before there was anything to see."""
    round_ = ReadQueue()
    round_.add(A, 0.0)
    assert list(drain(round_, 0.0)) == [A]
    round_.ask(A, 1.0, GAP)
    round_.again(A, 2.0, BACKOFF, NONE)
    assert list(drain(round_, 2.0)) == [A]
    round_.ask(A, 3.0, GAP)
    round_.again(A, 4.0, BACKOFF, NONE)
    assert list(drain(round_, 8.9)) == []
    assert list(drain(round_, 9.0)) == [A]
    round_.again(A, 9.0, BACKOFF, NONE)
    assert list(drain(round_, 66.0)) == []


def test_a_read_that_nobody_asked_for_does_not_hold_an_asked_one_up() -> None:
    """A task that was read in its turn a moment ago may have changed since."""
    round_ = ReadQueue()
    round_.add(A, 0.0)
    read(round_, A, 100.0, BACKOFF)
    round_.ask(A, 100.1, GAP)
    assert list(drain(round_, 100.1)) == [A]


def test_an_asked_target_that_goes_is_asked_no_more() -> None:
    """And one that nobody knows never was."""
    round_ = ReadQueue()
    round_.add(A, 1000.0)
    round_.ask(A, 0.0, GAP)
    round_.ask(B, 0.0, GAP)
    round_.remove(A)
    assert list(drain(round_, 2000.0)) == []


NORMAL_PERIODS = {ReadClass.FAST: 5.0, ReadClass.NORMAL: 30.0, ReadClass.BACKOFF: 300.0, ReadClass.REREAD: 600.0}


def fleet(number: int, wait: Wait = NORMAL) -> ReadQueue:
    """So many targets that were read at 0."""
    round_ = ReadQueue()
    for index in range(number):
        round_.add(named(str(index)), 0.0)
    for target in list(drain(round_, 0.0)):
        round_.again(target, 0.0, wait, NONE)
    return round_


def test_after_an_outage_reads_come_at_their_turns() -> None:
    """All 100 within one interval, those that may be made up for at once; nothing is read twice."""
    round_ = fleet(100)
    round_.spread(1000.0, NORMAL_PERIODS, at_once=10)
    assert len(list(drain(round_, 1000.0))) == 10
    per_second = [len(list(drain(round_, 1000.0 + second))) for second in range(1, 31)]
    assert sum(per_second) == 90
    assert max(per_second) <= 4


def test_those_overdue_longest_over_several_outages_are_read_at_once() -> None:
    """Breakers that open and close all the time starve no target, and make no call beyond `at_once`."""
    round_ = fleet(100)
    read: list[TargetId] = []
    for outage in range(10):
        round_.spread(1000.0 + 31 * outage, NORMAL_PERIODS, at_once=10)
        read += drain(round_, 1000.0 + 31 * outage)
    assert len(read) == len(set(read)) == 100


def test_after_an_outage_those_never_read_are_due_and_backed_off_ones_wait_on() -> None:
    round_ = fleet(2, BACKOFF)
    round_.add(A, 1050.0)
    round_.add(named("other", "x"), 1050.0)
    round_.spread(10.0, NORMAL_PERIODS, at_once=0, app_id="app")
    assert list(drain(round_, 10.0)) == [A]


def test_spreading_leaves_no_dead_items() -> None:
    round_ = fleet(1)
    for now in range(1, 1000):
        round_.spread(30.0 * now, NORMAL_PERIODS, at_once=0)
    assert sum(map(len, round_._queues.values())) == 1


def test_the_next_due_time_is_that_of_any_target_that_waits() -> None:
    """A reread waits for its share of the calls too."""
    round_ = ReadQueue()
    assert round_.next_due() == float("inf")
    round_.add(A, 7.0, ReadClass.REREAD)
    round_.add(B, 9.0)
    assert round_.next_due() == 7.0
    assert round_.take(7.0, BUDGET, NONE) == A
    assert round_.next_due() == 9.0
    round_.ask(B, 8.0, 5.0)
    assert round_.next_due() == 8.0
