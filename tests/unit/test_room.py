"""Who is given which slot, cores, GPUs and memory, and what is refused because it never fits."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from trainyard.contract import Resources
from trainyard.supervisor.room import Need, Room, There

SHARE = Need(cpus=2)
THERE = There(
    slots=4, cpus=8, cores=tuple(range(8)), gpus=("0", "GPU-b"), memory_mb=1000, usual=SHARE
)


@pytest.mark.parametrize(
    ("asked", "pointer", "said"),
    [
        ({"cpus": 9}, "cpus", "9 CPUs asked for, and there are 8; ask for 8 at most"),
        ({"gpus": 3}, "gpus", "3 GPUs asked for, and there are 2; ask for 2 at most"),
        ({"memory_mb": 1001}, "memory_mb", "1,001 MB of memory asked for, and there are 1,000"),
        (
            {"workers": 5},
            "workers",
            "5 slots asked for by 5 workers, and there are 4; ask for 4 at",
        ),
        (
            {"workers": 3, "cpus": 3},
            "cpus",
            "9 CPUs asked for by 3 workers, and there are 8; ask for",
        ),
        (
            {"workers": 3, "gpus": 1},
            "gpus",
            "3 GPUs asked for by 3 workers, and there are 2; ask for 0",
        ),
        (
            {"workers": 3, "memory_mb": 400},
            "memory_mb",
            "1,200 MB of memory asked for by 3 workers, and there are 1,000; ask for 333 at most",
        ),
    ],
)
def test_what_never_fits_is_named_with_what_there_is(
    asked: dict[str, int], pointer: str, said: str
) -> None:
    (wrong,) = THERE.never_fits(Resources(**asked))
    assert wrong.pointer == f"/resources/{pointer}"
    assert said in wrong.detail


def test_all_that_never_fits_is_named_at_once_and_what_fits_is_not() -> None:
    asked = Resources(workers=5, cpus=1, gpus=5, memory_mb=2000)
    found = [each.pointer for each in THERE.never_fits(asked)]
    assert found == ["/resources/workers", "/resources/gpus", "/resources/memory_mb"]
    assert not THERE.never_fits(None)
    assert not THERE.never_fits(Resources())
    assert "there are none; ask for 0" in There(1, 1).never_fits(Resources(gpus=1))[0].detail


def test_without_resources_a_run_has_its_share_of_the_threads_any_core_and_no_limit() -> None:
    room = Room(THERE)
    has = [room.take(run_id, THERE.need(None)) for run_id in "abcd"]
    assert {(each.cpus, each.cores, each.gpus, each.memory_mb) for each in has} == {
        (2, (), None, None)
    }
    assert room.lacks(THERE.need(None)) == ["a slot"]


def test_there_may_be_more_slots_than_cpus() -> None:
    there = There(slots=3, cpus=1, cores=(0,), usual=Need(cpus=1))
    room = Room(there)
    for run_id in "abc":
        assert not room.lacks(there.need(None))
        room.take(run_id, there.need(None))
    assert room.lacks(there.need(None))


def test_a_run_has_cores_and_gpus_of_its_own_until_it_gives_them_back() -> None:
    room = Room(THERE)
    asked = THERE.need(Resources(cpus=3, gpus=1, memory_mb=600))
    first = room.take("a", asked)
    assert (first.cores, first.gpus, first.memory_mb) == ((0, 1, 2), ("0",), 600)
    assert room.lacks(asked) == ["600 MB of memory (400 free)"]
    second = room.take("b", THERE.need(Resources(cpus=5, gpus=1)))
    assert (second.cores, second.gpus) == ((3, 4, 5, 6, 7), ("GPU-b",))
    assert room.lacks(THERE.need(Resources(gpus=1))) == [
        "2 CPUs (0 free)",
        "1 GPU (0 free)",
    ]
    room.give_back("a")
    assert room.take("c", asked).cores == (0, 1, 2)
    none = THERE.need(Resources(gpus=0, cpus=1))
    assert room.take("d", none).gpus == ()


def test_slots_that_are_lent_have_their_share_of_the_cpus() -> None:
    room = Room(THERE)
    room.take("search", THERE.need(None))
    whole = THERE.need(Resources(cpus=6))
    assert not room.lacks(whole)
    assert (room.slots_free(), room.slots_free(lent=2)) == (3, 1)
    assert room.lacks(whole, lent=2) == ["6 CPUs (2 free)"]
    assert room.lacks_slots(whole, lent=2) == 2
    assert room.lacks_slots(THERE.need(None), lent=2) == 0
    big = THERE.need(Resources(cpus=1, memory_mb=900))
    room.take("b", big)
    assert room.lacks_slots(big) == 0, "no search could give memory back"
    assert room.lacks(big)


resources = st.fixed_dictionaries(
    {},
    optional={
        "cpus": st.integers(1, 8),
        "gpus": st.integers(0, 2),
        "memory_mb": st.integers(64, 1000),
    },
)


@given(st.lists(st.tuples(resources, st.integers(0, 5)), max_size=40))
def test_nobody_has_what_another_has_and_never_is_more_given_than_there_is(
    asked: list[tuple[dict[str, Any], int]],
) -> None:
    room, has = Room(THERE), {}
    for number, (wanted, freed) in enumerate(asked):
        need = THERE.need(Resources(**wanted))
        if not room.lacks(need):
            has[f"run-{number}"] = room.take(f"run-{number}", need)
        if f"run-{freed}" in has and freed < number:
            room.give_back(f"run-{freed}")
            del has[f"run-{freed}"]
        for kind in ("cores", "gpus"):
            given_out = [each for one in has.values() for each in getattr(one, kind) or ()]
            assert len(given_out) == len(set(given_out))
        assert len(has) <= THERE.slots
        assert sum(one.cpus for one in has.values()) <= THERE.cpus
        assert sum(one.memory_mb or 0 for one in has.values()) <= THERE.memory_mb
        amounts = room.amounts([])
        assert amounts["slots"].used == len(has)
        assert all(0 <= each.used <= each.total for each in amounts.values())


def test_workers_have_a_slot_each_and_a_share_of_their_own_of_what_the_run_has() -> None:
    room = Room(THERE)
    need = THERE.need(Resources(workers=2, cpus=3, gpus=1, memory_mb=100))
    has = room.take("a", need)
    assert room.slots_used == 2
    assert (has.cpus, has.cores, has.gpus, has.memory_mb) == (
        6,
        (0, 1, 2, 3, 4, 5),
        ("0", "GPU-b"),
        200,
    )
    first, second = has.shares
    assert (first.cpus, first.cores, first.gpus, first.memory_mb) == (3, (0, 1, 2), ("0",), 100)
    assert (second.cpus, second.cores, second.gpus, second.memory_mb) == (
        3,
        (3, 4, 5),
        ("GPU-b",),
        100,
    )
    amounts = room.amounts([THERE.need(Resources(workers=3))])
    assert (amounts["slots"].used, amounts["slots"].waited_for) == (2, 3)
    assert amounts["cpus"].waited_for == 6
    assert room.lacks(THERE.need(Resources(workers=3))) == ["3 slots (2 free)"]
    room.give_back("a")
    assert room.slots_used == 0


def test_one_worker_has_all_that_the_run_has() -> None:
    has = Room(THERE).take("a", THERE.need(Resources(cpus=3)))
    assert has.shares == (has,)
