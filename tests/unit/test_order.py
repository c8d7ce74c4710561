"""In which order runs start: the table, and a thousand runs of which nobody starves."""

import heapq
import random
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import NamedTuple

import pytest
from trainyard.contract import Priority
from trainyard.supervisor.order import Claim, Standing, in_order, next_up

LOW, NORMAL, HIGH = Priority


def claims(*rows: str) -> list[Claim]:
    """`team/person/priority`, in the order in which they came."""
    found = []
    for arrived, row in enumerate(rows, start=1):
        team, person, priority = row.split("/")
        of = {"low": LOW, "high": HIGH}.get(priority, NORMAL)
        found.append(Claim(f"{arrived}", of, team or None, person or None, arrived))
    return found


def order(waiting: Sequence[Claim], standing: Standing | None = None, **quotas: int) -> str:
    found = in_order(waiting, standing or Standing(), quotas, most=100)
    return " ".join(each.run_id for each in found)


@pytest.mark.parametrize(
    ("waiting", "expected"),
    [
        pytest.param(["a/x/", "a/x/", "a/x/"], "1 2 3", id="one person: first come"),
        pytest.param(["//", "//", "//"], "1 2 3", id="nobody's: first come"),
        pytest.param(["a/x/", "a/x/high", "a/x/low"], "2 1 3", id="the highest priority"),
        pytest.param(["a/x/", "a/x/", "a/x/", "b/y/"], "1 4 2 3", id="teams take turns"),
        pytest.param(["a/x/", "a/x/", "a/y/"], "1 3 2", id="then people"),
        pytest.param(
            ["a/x/", "a/x/", "a/y/", "b/z/", "b/z/"], "1 4 3 5 2", id="teams before people"
        ),
        pytest.param(
            ["a/x/low", "a/x/high", "a/x/high", "a/x/high", "a/x/low"],
            "2 1 3 4 5",
            id="after a start that passed a lower one, whoever waits longest",
        ),
        pytest.param(
            ["a/x/high", "a/x/high", "a/x/low"], "1 2 3", id="who came later was not passed"
        ),
        pytest.param(
            ["a/x/low", "b/y/", "c/z/high", "c/z/high"], "3 1 4 2", id="low before normal if older"
        ),
        pytest.param(["a/x/", "/y/", "/z/", "a/x/"], "1 2 4 3", id="nobody's team is one team"),
    ],
)
def test_the_order(waiting: list[str], expected: str) -> None:
    assert order(claims(*waiting)) == expected


def test_a_team_that_has_slots_comes_after_one_that_has_fewer_and_people_likewise() -> None:
    standing, waiting = Standing(), claims("a/x/", "a/x/", "a/y/", "b/z/")
    standing.started(waiting[0], [])
    assert order(waiting[1:], standing) == "4 3 2"
    standing.ended(waiting[0])
    assert order(waiting[1:], standing) == "4 3 2", "the turn of a, and of x, was the last"


def test_a_team_at_its_quota_lets_the_others_pass_until_one_of_its_runs_ends() -> None:
    standing, waiting = Standing(), claims("a/x/", "a/x/high", "b/y/low")
    standing.started(waiting[0], [])
    assert next_up(waiting[1:], standing, {"a": 1}) == waiting[2]
    assert order(waiting[1:], standing, a=1) == "3 2"
    assert next_up(waiting[1:2], standing, {"a": 1}) is None
    standing.ended(waiting[0])
    assert next_up(waiting[1:], standing, {"a": 1}) == waiting[1]


def test_a_run_of_several_workers_waits_for_its_teams_slots_and_nobody_of_its_team_passes_it() -> (
    None
):
    first, large, small, other = claims("a/x/", "a/x/", "a/x/", "b/z/")
    large = replace(large, slots=2)
    standing = Standing()
    standing.started(first, [])
    assert next_up([large, small], standing, {"a": 2}) is None
    assert next_up([large, small, other], standing, {"a": 2}) is other
    standing.ended(first)
    assert next_up([large, small], standing, {"a": 2}) is large
    standing.started(large, [small])
    assert standing.left("a", {"a": 3}) == 1
    standing.ended(large)
    assert standing.left("a", {"a": 3}) == 3


def test_the_order_is_that_of_one_start_after_the_other_and_leaves_the_standing_as_it_is() -> None:
    rng = random.Random(7)
    rows = [
        f"{rng.choice('abc')}/{rng.choice('xy')}/{rng.choice(['low', '', 'high'])}"
        for _ in range(60)
    ]
    waiting, standing = claims(*rows), Standing()
    told = order(waiting, standing)
    assert standing == Standing()
    started = []
    while claim := next_up(waiting, standing):
        waiting.remove(claim)
        standing.started(claim, waiting)
        started.append(claim.run_id)
    assert " ".join(started) == told


# A thousand runs, on a clock that jumps


class Wish(NamedTuple):
    at: float
    seconds: float
    claim: Claim


Chooser = Callable[[list[Claim], Standing], Claim | None]


def waits(wishes: list[Wish], choose: Chooser, *, slots: int = 4) -> dict[str, float]:
    """How long each run waits for its slot."""
    standing, waiting, ending, found = Standing(), dict[str, Wish](), [], dict[str, float]()
    coming = sorted(wishes, key=lambda wish: wish.at, reverse=True)
    while coming or waiting or ending:
        now = min([*(w.at for w in coming[-1:]), *(e[0] for e in ending[:1])])
        while ending and ending[0][0] <= now:
            standing.ended(heapq.heappop(ending)[2])
        while coming and coming[-1].at <= now:
            wish = coming.pop()
            waiting[wish.claim.run_id] = wish
        while waiting and len(ending) < slots:
            claim = choose([wish.claim for wish in waiting.values()], standing)
            assert claim is not None
            wish = waiting.pop(claim.run_id)
            standing.started(claim, (other.claim for other in waiting.values()))
            found[claim.run_id] = now - wish.at
            heapq.heappush(ending, (now + wish.seconds, claim.arrived, claim))
    return found


def first_come(waiting: list[Claim], standing: Standing) -> Claim:
    del standing
    return min(waiting, key=lambda claim: claim.arrived)


def wishes_of(seed: int, *, high: float) -> list[Wish]:
    """One greedy team, three small ones; a share of all is of high priority, and as much of low."""
    rng, at, found = random.Random(seed), 0.0, []
    for number in range(1, 1001):
        at += rng.expovariate(1 / 14.0)  # four slots do one in 15 seconds
        team = rng.choices("abcd", weights=(12, 2, 1, 1))[0]
        drawn = rng.random()
        priority = HIGH if drawn < high else LOW if drawn > 1 - high else NORMAL
        claim = Claim(f"{number}", priority, team, f"{team}{rng.randrange(3)}", number)
        found.append(Wish(at, rng.expovariate(1 / 60.0), claim))
    return found


@pytest.mark.parametrize("high", [0.0, 0.1, 0.45])
@pytest.mark.parametrize("seed", range(2))
def test_of_a_thousand_runs_nobody_waits_twice_as_long_as_is_fair(seed: int, high: float) -> None:
    """Fair is first come, first served: of the same runs the longest wait."""
    wishes = wishes_of(seed, high=high)
    fair = waits(wishes, first_come)
    found = waits(wishes, next_up)
    assert len(found) == len(fair) == 1000
    assert max(found.values()) / max(fair.values()) <= 2.0
    small = [wish.claim.run_id for wish in wishes if wish.claim.team != "a"]
    urgent = [wish.claim.run_id for wish in wishes if wish.claim.priority is HIGH]
    share = 0.5 if high < 0.2 else 1.0  # where half of all is urgent, little is
    for preferred in (small, urgent):  # small teams do not stand behind a greedy one
        ours, theirs = (sum(each[i] for i in preferred) for each in (found, fair))
        assert ours <= share * theirs


def test_a_flood_of_high_priority_does_not_starve_a_low_run() -> None:
    flood = [Claim(f"{number}", HIGH, "a", "x", number) for number in range(1, 1000)]
    wishes = [Wish(each.arrived * 10.0, 45.0, each) for each in flood]  # more than four slots do
    wishes.append(Wish(2000.5, 45.0, Claim("low", LOW, "a", "x", 201)))
    found, fair = waits(wishes, next_up), waits(wishes, first_come)
    assert found["low"] <= 2 * fair["low"]
