"""Who is given what on which host, as hosts come and go."""

import pytest
from trainyard.contract import Placement, Resources
from trainyard.supervisor.room import Need, There
from trainyard.supervisor.rooms import BACK_SECONDS, Rooms

SMALL = There(slots=1, cpus=2, cores=(0, 1), memory_mb=500, usual=Need(cpus=2))
LARGE = There(slots=3, cpus=6, cores=tuple(range(6)), memory_mb=900, usual=Need(cpus=2))
ANY = Need(cpus=1)


def place(node: str) -> Placement:
    return Placement(host=f"host-{node}", address=f"10.0.0.{len(node)}", node=node)


def rooms(**there: There) -> Rooms:
    """Hosts that have been there for long."""
    seconds = 0.0
    made = Rooms(now=lambda: seconds)
    made.offered({node: (place(node), each) for node, each in there.items()})
    seconds = BACK_SECONDS
    return made


def taken(rooms: Rooms, *run_ids: str, need: Need = ANY) -> list[str]:
    """The node that each run is given something of."""
    return [rooms.take(run_id, need).placement[0].node for run_id in run_ids]


def test_a_run_goes_where_the_most_slots_are_free() -> None:
    both = rooms(small=SMALL, large=LARGE)
    assert sorted(taken(both, "1", "2", "3", "4")) == ["large", "large", "large", "small"]
    assert both.lacks(ANY) == ["a slot"]
    assert (both.slots, both.slots_used) == (4, 4)


def test_all_that_a_run_has_it_has_on_one_host() -> None:
    both = rooms(small=SMALL, large=LARGE)
    given = both.take("1", both.need(Resources(cpus=5, memory_mb=800)))
    assert (given.cores, given.memory_mb, given.placement) == (
        (0, 1, 2, 3, 4),
        800,
        (place("large"),),
    )
    assert both.lacks(both.need(Resources(cpus=3)))[-1:] == ["3 CPUs (2 free)"]


def test_what_a_run_leaves_open_is_as_its_host_has_it() -> None:
    usual = Need(cpus=3, own_cores=True, memory_mb=100)
    there = There(slots=1, cpus=3, cores=(4, 5, 6), memory_mb=100, usual=usual)
    given = rooms(one=there).take("1", ANY)
    assert (given.cpus, given.cores, given.memory_mb) == (3, (4, 5, 6), 100)


def test_workers_are_spread_and_share_hosts_only_where_they_must() -> None:
    both = rooms(small=SMALL, large=LARGE)
    given = both.take("1", both.need(Resources(workers=3)))
    placed = [(place.rank, place.node) for place in given.placement]
    assert placed == [(0, "large"), (1, "large"), (2, "small")]
    assert (given.workers, given.cpus, both.slots_used) == (3, 6, 3)
    assert [share.cpus for share in given.shares] == [2, 2, 2]
    assert both.lacks(both.need(Resources(workers=2))) == ["room for 2 workers (1 now)"]
    assert taken(both, "2") == ["large"]
    both.give_back("1")
    assert both.slots_used == 1
    two = both.take("3", both.need(Resources(workers=2, cpus=2)))
    assert {
        place.node: share.cores for place, share in zip(two.placement, two.shares, strict=True)
    } == {"large": (0, 1), "small": (0, 1)}


def test_hosts_that_an_attempt_was_lost_with_are_the_last_that_are_taken() -> None:
    three = rooms(a=LARGE, bb=SMALL, ccc=SMALL)
    lost = {place("a").address}
    assert three.take("1", ANY, lost).placement[0].node == "bb"
    given = three.take("2", three.need(Resources(workers=3)), lost)
    assert [each.node for each in given.placement] == ["ccc", "a", "a"]


def test_each_worker_has_what_its_own_host_gives_where_it_asks_for_nothing() -> None:
    other = There(slots=1, cpus=5, memory_mb=70, usual=Need(cpus=5, memory_mb=70))
    given = rooms(small=SMALL, other=other).take("1", Need(cpus=2, workers=2))
    shares = {place.node: share for place, share in zip(given.placement, given.shares, strict=True)}
    assert (shares["other"].cpus, shares["other"].memory_mb) == (5, 70)
    assert (shares["small"].cpus, shares["small"].memory_mb) == (2, None)


def test_more_workers_than_all_hosts_have_room_for_are_refused() -> None:
    both = rooms(small=SMALL, large=LARGE)
    assert not both.never_fits(Resources(workers=4))
    both.take("1", ANY)
    assert not both.never_fits(Resources(workers=4)), "what is used is free again some day"
    (wrong,) = both.never_fits(Resources(workers=4, cpus=3))
    assert wrong.pointer == "/resources/workers"
    assert "ask for 2 at most" in wrong.detail
    (wrong,) = both.never_fits(Resources(workers=2, cpus=7))
    assert wrong.pointer == "/resources/cpus"


def test_a_run_on_several_hosts_moves_where_one_of_them_leaves() -> None:
    both = rooms(small=SMALL, large=LARGE)
    given = both.take("1", both.need(Resources(workers=2)))
    after = Rooms()
    after.claim("1", given)
    after.offered({"large": (place("large"), LARGE)})
    assert after.is_gone("1")
    assert after.amounts(())["slots"].used == 2
    after.give_back("1")
    assert taken(after, "2", "3", "4") == ["large"] * 3


def test_runs_wait_for_a_host_and_what_no_host_has_is_refused() -> None:
    none = Rooms()
    assert none.lacks(ANY) == ["a host to join the service"]
    assert not none.never_fits(Resources(cpus=1000))
    (wrong,) = rooms(small=SMALL, large=LARGE).never_fits(Resources(cpus=7))
    assert wrong.pointer == "/resources/cpus"
    assert "there are 6" in wrong.detail


@pytest.mark.parametrize("lease_seconds", [15.0, 600.0])
def test_what_fits_with_a_host_that_has_left_waits_for_it_and_is_refused_once_it_stays_away(
    lease_seconds: float,
) -> None:
    seconds, back = 0.0, max(lease_seconds, BACK_SECONDS)
    both = Rooms(lease_seconds, lambda: seconds)
    small, large = {"small": (place("small"), SMALL)}, {"large": (place("large"), LARGE)}
    four = Resources(workers=4)
    both.offered(small | large)
    seconds = left_at = 1000
    assert not both.never_fits(four)
    assert both.never_fits(Resources(workers=5))
    both.offered(small)
    seconds = left_at + back - 1
    assert not both.never_fits(four)
    assert not both.never_fits(Resources(cpus=5))
    assert both.lacks(both.need(four)) == ["room for 4 workers (1 now)"]
    seconds = left_at + back + 1
    assert "room for 1" in both.never_fits(four)[0].detail
    assert both.never_fits(Resources(cpus=5))


def test_what_fits_on_a_host_that_is_there_and_is_given_no_runs_waits_for_it_however_long() -> None:
    """Its disk is full, since the service began or since later."""
    seconds = 0.0
    both = Rooms(now=lambda: seconds)
    small = {"small": (place("small"), SMALL)}
    both.offered(small, {"large": LARGE})
    for seconds in (BACK_SECONDS * 2, BACK_SECONDS * 4):  # noqa: B007 - the clock
        assert not both.never_fits(Resources(workers=4))
        assert not both.never_fits(Resources(cpus=5))
        assert both.never_fits(Resources(workers=5))
        assert both.lacks(both.need(Resources(cpus=5))) == ["5 CPUs (2 free)"]
        both.offered(small | {"large": (place("large"), LARGE)})
        both.offered(small, {"large": LARGE})
    both.offered(small)
    seconds += BACK_SECONDS + 1
    assert both.never_fits(Resources(cpus=5))


@pytest.mark.parametrize("asked", [Resources(workers=4), Resources(cpus=5), Resources(gpus=1)])
def test_a_service_that_knew_of_no_host_refuses_nothing_until_those_had_time_to_join_that_follow_the_first(
    asked: Resources,
) -> None:
    seconds = 0.0
    both = Rooms(15, lambda: seconds)
    small, large = {"small": (place("small"), SMALL)}, {"large": (place("large"), LARGE)}
    for first_at in (50.0, 5000.0):  # its bridge took long; then the head was away for an hour
        seconds = first_at
        assert not both.never_fits(asked)
        both.offered(small)
        seconds = first_at + BACK_SECONDS - 1
        both.offered(small)
        assert not both.never_fits(asked)
        seconds = first_at + BACK_SECONDS
        assert both.never_fits(asked)
        both.offered(small | large)
        seconds = first_at + 1000
        both.offered({})


def test_a_host_that_leaves_takes_no_more_runs_and_is_forgotten_once_the_last_is_over() -> None:
    both = rooms(small=SMALL, large=LARGE)
    assert taken(both, "1") == ["large"]
    both.offered({"small": (place("small"), SMALL)})
    assert both.is_gone("1")
    assert both.of("1").placement == (place("large"),)
    assert both.slots == 1
    assert taken(both, "2") == ["small"]
    assert not both.is_gone("2")
    both.give_back("1")
    assert both.amounts(())["slots"].used == 1


def test_a_run_that_went_on_keeps_what_it_has_of_a_host_that_is_not_there_yet() -> None:
    before = rooms(large=LARGE)
    given = before.take("1", before.need(Resources(cpus=4)))
    after = Rooms()
    after.claim("1", given)
    assert after.slots == 0
    after.offered({"large": (place("large"), LARGE)})
    assert after.take("2", after.need(Resources(cpus=2))).cores == (4, 5)
    assert not after.is_gone("1")


@pytest.mark.parametrize("waiting", [0, 3])
def test_capacity_is_that_of_all_hosts(waiting: int) -> None:
    both = rooms(small=SMALL, large=LARGE)
    both.take("1", ANY)
    amounts = both.amounts([Need(cpus=2)] * waiting)
    assert (amounts["slots"].total, amounts["slots"].used) == (4, 1)
    assert (amounts["cpus"].total, amounts["cpus"].used) == (8, 2)
    assert (amounts["slots"].waited_for, amounts["cpus"].waited_for) == (waiting, 2 * waiting)
    assert amounts["memory_mb"].total == 1400
