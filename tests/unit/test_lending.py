"""Slots that searches borrow, and give back, and the trials that run in them."""

from pathlib import Path
from unittest.mock import MagicMock

import pytest
from hypothesis import given
from hypothesis import strategies as st
from trainyard.contract import Direction
from trainyard.supervisor.lending import Lending
from trainyard.worker.search.trials import Place, TrialsUnderWay


def test_what_is_free_is_lent_evenly_and_never_more_than_is_wanted() -> None:
    lending = Lending()
    lending.told("a", wanted=5, used=0)
    lending.told("b", wanted=1, used=0)
    assert lending.settle(free=4, waiting=0) == {"a", "b"}
    assert (lending.lent_to("a"), lending.lent_to("b"), lending.out) == (3, 1, 4)


def test_a_slot_that_is_asked_back_is_free_once_its_trial_has_ended() -> None:
    lending = Lending()
    lending.told("a", wanted=3, used=0)
    lending.settle(free=3, waiting=0)
    lending.told("a", wanted=3, used=3)
    assert lending.settle(free=0, waiting=1) == {"a"}
    assert (lending.lent_to("a"), lending.out) == (2, 3)
    assert not lending.settle(free=0, waiting=1), "one is on its way back for the one that waits"
    lending.told("a", wanted=3, used=2)
    assert lending.out == 2


def test_a_search_that_comes_later_gets_its_share() -> None:
    lending = Lending()
    lending.told("early", wanted=9, used=0)
    lending.settle(free=4, waiting=0)
    lending.told("early", wanted=9, used=4)
    lending.told("late", wanted=9, used=0)
    assert lending.settle(free=0, waiting=0) == {"early"}
    assert lending.out == 4, "it is asked for one, and has not left it"
    lending.told("early", wanted=9, used=3)
    assert lending.settle(free=1, waiting=0) == {"early", "late"}
    lending.told("early", wanted=9, used=2)
    assert lending.settle(free=1, waiting=0) == {"late"}
    assert not lending.settle(free=0, waiting=0)
    assert (lending.lent_to("early"), lending.lent_to("late")) == (2, 2)


def test_a_process_that_is_gone_has_nothing() -> None:
    lending = Lending()
    lending.told("a", wanted=2, used=0)
    lending.settle(free=2, waiting=0)
    lending.told("a", wanted=2, used=2)
    lending.over("a")
    assert (lending.out, lending.lent_to("a")) == (0, 0)


class Clock:
    """Seconds that pass when told to."""

    seconds = 100.0

    def __call__(self) -> float:
        return self.seconds


def test_a_search_gives_its_own_slot_up_between_trials_and_has_it_again_for_as_long() -> None:
    clock = Clock()
    lending = Lending(clock)
    lending.told("a", wanted=0, used=-1)
    assert not lending.settle(free=0, waiting=1), "it has begun no trial yet"
    lending.told("a", wanted=0, used=0)
    assert lending.settle(free=0, waiting=2) == {"a"}
    assert (lending.lent_to("a"), lending.out) == (-1, 0), "its trial is trained to the end"
    lending.told("a", wanted=0, used=-1)
    assert lending.out == -1, "and then its slot is free"
    assert lending.is_away("a")

    clock.seconds += 30  # another run has had it, and one waits still
    assert lending.come_back() == "a"
    assert not lending.is_away("a"), "a process that dies now has a slot to begin again in"
    assert (lending.lent_to("a"), lending.out) == (0, 0)
    lending.told("a", wanted=0, used=0)
    clock.seconds += 29
    assert not lending.settle(free=0, waiting=1)
    clock.seconds += 1
    assert lending.settle(free=0, waiting=1) == {"a"}


def test_a_search_without_a_slot_has_it_back_once_nobody_waits() -> None:
    lending = Lending()
    lending.told("a", wanted=2, used=0)
    lending.told("b", wanted=1, used=0)
    lending.settle(free=0, waiting=1)
    lending.told("a", wanted=2, used=-1)
    assert (lending.lent_to("a"), lending.lent_to("b")) == (-1, 0)
    assert lending.settle(free=1, waiting=0) == {"a"}, "its own slot comes before a second one"
    assert lending.lent_to("a") == 0
    assert lending.come_back() is None


def test_two_searches_take_turns_in_one_slot() -> None:
    clock = Clock()
    lending = Lending(clock)
    lending.told("a", wanted=0, used=0)
    lending.settle(free=0, waiting=1)
    lending.told("a", wanted=0, used=-1)  # and the run that waited is a search, too
    lending.told("b", wanted=0, used=-1)
    clock.seconds += 10
    lending.told("b", wanted=0, used=0)
    assert lending.settle(free=0, waiting=0) == {"b"}
    lending.told("b", wanted=0, used=-1)
    assert lending.settle(free=1, waiting=0) == {"a"}
    lending.told("a", wanted=0, used=0)
    clock.seconds += 9
    assert not lending.settle(free=0, waiting=0), "it was away for 10 seconds"
    clock.seconds += 1
    assert lending.settle(free=0, waiting=0) == {"a"}


def test_borrowed_slots_are_asked_back_before_a_searchs_own() -> None:
    lending = Lending()
    lending.told("a", wanted=1, used=0)
    lending.settle(free=1, waiting=0)
    lending.told("a", wanted=1, used=1)
    lending.told("b", wanted=0, used=0)
    assert lending.settle(free=0, waiting=1) == {"a"}
    assert (lending.lent_to("a"), lending.lent_to("b")) == (0, 0)


@given(
    st.lists(
        st.tuples(st.sampled_from("abc"), st.integers(0, 4), st.integers(0, 4), st.integers(0, 3))
    )
)
def test_no_slot_is_lent_twice_and_who_waits_gets_what_there_is(
    steps: list[tuple[str, int, int, int]],
) -> None:
    slots, lending = 6, Lending()
    for run_id, wanted, leaves, waiting in steps:
        lent = lending.lent_to(run_id)
        lending.told(run_id, wanted=wanted, used=max(-1, lent - leaves))
        free = slots - lending.out
        lending.settle(free=0 if waiting else free, waiting=waiting)
        assert lending.out <= slots
        lent = sum(lending.lent_to(each) for each in "abc")
        come_back = slots - lending.out - free
        on_their_way = lending.out - lent
        none_to_spare = all(lending.lent_to(each) <= 0 for each in "abc")
        assert not waiting or none_to_spare or come_back + on_their_way >= waiting


@pytest.mark.parametrize(
    ("slots", "threads", "parallel", "running", "next_has"),
    [
        (1, 4, 4, [], 1),
        (1, 4, 4, [1, 1, 1], 1),
        (1, 4, 4, [1, 1, 1, 1], 0),
        (1, 4, 1, [], 4),
        (1, 1, 4, [1], 0),
        (2, 1, 4, [1], 1),
        (2, 2, 2, [1], 2),
        (1, 2, 2, [2], 0),  # a trial that was begun when there were two slots has both threads
    ],
)
def test_a_trial_is_begun_where_its_share_of_the_threads_is_free(
    slots: int, threads: int, parallel: int, running: list[int], next_has: int
) -> None:
    place = Place(MagicMock(), parallel, threads, lambda: slots)
    under_way = under_way_at(place)
    under_way._running = dict(enumerate(MagicMock(threads=has, place=place) for has in running))
    assert under_way._room() == ((place, next_has) if next_has else None)
    assert under_way.slots_used == -(-sum(running) // threads)


def test_trials_are_begun_at_the_ranks_in_turns_until_none_has_room() -> None:
    own, other = Place(MagicMock(), 2, 2), Place(MagicMock(), 1, 4, rank=1)
    under_way, begun = under_way_at(own, other), []
    while room := under_way._room():
        place, threads = room
        under_way._running[len(begun)] = MagicMock(threads=threads, place=place)
        begun.append((place.rank, threads))
    assert begun == [(0, 1), (1, 4), (0, 1)]
    assert under_way.slots_used == 1


def under_way_at(*places: Place) -> TrialsUnderWay:
    return TrialsUnderWay(
        MagicMock(),
        places,
        metric="validation_log_loss",
        direction=Direction.MINIMIZE,
        folder=Path(),
        wanted=50,
        changed=lambda: None,
        ended=lambda _: None,
    )
