"""Turns, quotas, priorities and runs that give way, in a service under way."""

import asyncio
from typing import Any

import pytest
from fakes import asked_for
from lives import World
from trainyard.contract import Caller, Phase, Reason, Role, Run, RunStatus
from trainyard.settings import Settings
from trainyard.supervisor.decision import GAVE_WAY

ANA, BEN, CLEO = (
    Caller(name=name, team=team, role=Role.TRAIN)
    for name, team in (("ana", "growth"), ("ben", "growth"), ("cleo", "risk"))
)
RUNNING, SCHEDULED = RunStatus.RUNNING, RunStatus.SCHEDULED


def submit(world: World, by: Caller, **request: Any) -> str:
    run, _ = world.do(world.service.submit(asked_for(**request), None, by))
    world.later(0.1)
    return run.run_id


def finish(world: World, run_id: str) -> None:
    world.process(run_id).finish()
    world.later(5)


def waiting(world: World, *run_ids: str) -> list[Run]:
    """Those of these runs that wait, by their place."""
    runs = [run for run in map(world.run, run_ids) if run.status is SCHEDULED]
    return sorted(runs, key=lambda run: run.queue_position or 0)


def low_with_a_checkpoint(world: World, **request: Any) -> str:
    run_id = submit(world, ANA, priority="low", **request)
    world.process(run_id).enter(Phase.TRAINING)
    (world.folder(run_id).checkpoints / "round").write_text("7")
    return run_id


def test_teams_take_turns_then_people_and_each_run_says_what_is_before_it(world: World):
    world.start()
    first = submit(world, ANA)
    second, third = submit(world, ANA), submit(world, ANA)
    bens, cleos = submit(world, BEN), submit(world, CLEO)
    order = waiting(world, second, third, bens, cleos)
    assert [run.run_id for run in order] == [cleos, bens, second, third]
    assert order[0].waits_for == f"a slot, while {first[:8]} of ana runs"
    assert order[1].waits_for == f"1 run before it in the queue, the next {cleos[:8]} of cleo"
    assert order[3].waits_for == f"3 runs before it in the queue, the next {cleos[:8]} of cleo"
    finish(world, first)
    assert world.run(cleos).status is RUNNING
    assert [run.run_id for run in waiting(world, second, third, bens)] == [bens, second, third]


def test_a_team_has_no_more_slots_than_its_quota_and_its_runs_say_so(world: World):
    world.start(slots=3, threads=3, quotas="growth=1, risk=2")
    first, second, third = submit(world, ANA), submit(world, BEN), submit(world, CLEO)
    assert [world.run(each).status for each in (first, second, third)] == [
        RUNNING,
        SCHEDULED,
        RUNNING,
    ]
    assert world.run(second).waits_for == (
        "a slot of the team growth, which has as many as TRAINYARD_QUOTAS gives it"
    )
    finish(world, first)
    assert world.run(second).status is RUNNING


def test_a_run_of_more_workers_than_a_lowered_quota_ends_and_holds_up_nobody_of_its_team(
    world: World,
):
    world.start(slots=3, threads=3)
    first = submit(world, CLEO)
    large, small = submit(world, ANA, resources={"workers": 3}), submit(world, BEN)
    assert len(waiting(world, large, small)) == 2
    world.stop()
    world.start(slots=3, threads=3, quotas="growth=2")
    world.later(5)
    ended = world.run(large)
    assert (ended.status, ended.reason) == (RunStatus.FAILED, Reason.SERVICE_RESTARTED)
    assert "the team growth may have 2 slots" in str(ended.message)
    assert world.run(first).status is world.run(small).status is RUNNING


@pytest.mark.parametrize("said", ["growth", "growth=0", "=1", "growth=two"])
def test_a_quota_that_is_no_number_of_slots_is_refused(said: str):
    with pytest.raises(ValueError, match="TRAINYARD_QUOTAS"):
        Settings(quotas=said)


def test_high_priority_starts_first(world: World):
    world.start()
    first = submit(world, ANA)
    low, normal = submit(world, ANA, priority="low"), submit(world, ANA)
    high = submit(world, ANA, priority="high")
    assert [run.run_id for run in waiting(world, low, normal, high)] == [high, low, normal]
    finish(world, first)
    assert world.run(high).status is RUNNING
    finish(world, high)
    assert world.run(low).status is RUNNING, "it had waited longest when it was passed"


def test_a_low_run_gives_way_at_its_checkpoint_and_goes_on_later_uncounted(world: World):
    world.start()
    low = low_with_a_checkpoint(world)
    high = submit(world, CLEO, priority="high")
    world.later(1)
    assert world.machine.of(low)[0].asked_to_stop == 1
    assert world.run(high).status is RUNNING
    gone = world.run(low)
    assert (gone.status, gone.queue_position) == (SCHEDULED, 1)
    assert gone.transitions[-1].message == GAVE_WAY
    finish(world, high)
    assert world.run(low).status is RUNNING
    assert world.run(low).attempt == 1
    again = submit(world, CLEO, priority="high")
    world.later(60)
    assert world.run(again).status is SCHEDULED, "nobody gives way twice"
    finish(world, low)
    assert world.run(low).status is RunStatus.FINISHED
    assert world.run(again).status is RUNNING


def test_a_low_run_without_a_checkpoint_is_left_alone_until_it_has_one(world: World):
    world.start()
    low = submit(world, ANA, priority="low")
    high = submit(world, CLEO, priority="high")
    world.later(30)
    assert world.run(low).status is RUNNING
    (world.folder(low).checkpoints / "round").write_text("1")
    world.later(5)
    assert world.run(high).status is RUNNING


@pytest.mark.parametrize("priority", ["low", "normal"])
def test_nobody_gives_way_to_less_than_high_priority(world: World, priority: str):
    world.start()
    low = low_with_a_checkpoint(world)
    submit(world, CLEO, priority=priority)
    world.later(30)
    assert world.run(low).status is RUNNING


def test_nobody_gives_way_where_that_would_not_be_enough(world: World):
    world.start(slots=2, threads=2)
    low, other = low_with_a_checkpoint(world), submit(world, ANA)
    high = submit(world, CLEO, priority="high", resources={"cpus": 2})
    world.later(30)
    assert world.run(low).status is world.run(other).status is RUNNING
    assert world.run(high).status is SCHEDULED


def test_a_run_that_gives_way_may_be_cancelled_meanwhile_and_after(world: World):
    world.start()
    low = low_with_a_checkpoint(world)
    world.process(low).stubborn = True
    submit(world, CLEO, priority="high")
    world.do(world.service.cancel(low, ANA))
    world.later(30)
    assert world.run(low).status is RunStatus.KILLED
    assert world.run(low).message == "cancelled by ana"


@pytest.mark.parametrize("turns", range(16))
def test_a_cancel_at_any_step_of_giving_way_ends_the_run(world: World, turns: int):
    world.start()
    low = low_with_a_checkpoint(world)
    world.do(world.service.submit(asked_for(priority="high"), None, CLEO))
    world.loop.turns(turns)
    _, under_way = world.do(world.service.cancel(low, ANA))
    assert under_way
    world.later(10)
    run = world.run(low)
    assert (run.status, world.in_mlflow(low)) == (RunStatus.KILLED, RunStatus.KILLED)
    assert (run.message or "").startswith("cancelled by ana")
    assert len(world.machine.of(low)) == 1
    assert world.service.capacity().waiting == []


@pytest.mark.parametrize("turns", range(18))  # until it has no slot any more
def test_a_cancel_at_any_step_of_a_stop_is_kept_over_it(world: World, turns: int):
    world.start()
    run_id = submit(world, ANA)

    async def stop_and_cancel() -> None:
        stopping = asyncio.create_task(world.service.stop())
        for _ in range(turns):
            await asyncio.sleep(0)
        await world.service.cancel(run_id, ANA)
        await stopping

    world.do(stop_and_cancel())
    world.start()
    world.later(10)
    assert world.run(run_id).status is RunStatus.KILLED
    assert len(world.machine.of(run_id)) == 1


def test_a_run_that_gave_way_is_taken_up_by_the_next_service(world: World):
    world.start()
    low = low_with_a_checkpoint(world)
    high = submit(world, CLEO, priority="high")
    world.later(1)
    world.stop()
    world.start()
    world.later(5)
    assert {world.run(each).status for each in (low, high)} == {RUNNING, SCHEDULED}
    finish(world, high if world.run(high).status is RUNNING else low)
    finish(world, low if world.run(low).status is RUNNING else high)
    assert {world.run(each).status for each in (low, high)} == {RunStatus.FINISHED}
