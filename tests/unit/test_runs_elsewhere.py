"""The life of a run on another host: it goes on while its service is away, and moves when its host is lost."""

import asyncio
import itertools
from datetime import timedelta

import pytest
from fakes import FakeLauncher
from lives import World
from trainyard.contract import Phase, Placement, Reason, RunStatus
from trainyard.errors import HostLost, Unavailable
from trainyard.launcher.host_messages import Offer
from trainyard.supervisor import attempt as attempts

RUNNING, FINISHED, FAILED = RunStatus.RUNNING, RunStatus.FINISHED, RunStatus.FAILED


@pytest.fixture
def elsewhere(world: World) -> World:
    """A service whose runs are on hosts that have joined it, of which there are two."""
    world.machine.keeps_runs = True
    world.start(engine="ray", ray_address="head:6379")
    offer(world, "a", "b")
    return world


def offer(world: World, *nodes: str) -> None:
    """These hosts are there, and no others."""
    there = {
        node: Offer(
            placement=Placement(host=node, address=f"10.0.0.{ord(node)}", node=node),
            slots=1,
            cpus=1,
            gpus=("0", "1"),
        )
        for node in nodes
    }

    async def told() -> None:
        world.service._offered(there, {})
        await asyncio.sleep(0.1)

    world.do(told())


def again(world: World) -> None:
    """Another service over the same work directory, which the hosts have not answered yet."""
    world.start()


def began_earlier(world: World, run_id: str, seconds: float) -> None:
    """As if its process had begun so much earlier: time on disk is not virtual."""
    state = world.folder(run_id).state()
    assert state.process_started_at is not None
    state.process_started_at -= timedelta(seconds=seconds)
    world.folder(run_id).write_state(state)


def test_a_run_that_was_cancelled_is_asked_to_stop_by_the_next_service(elsewhere: World):
    """Its host did not hear of it before its service died, and trains on."""
    run_id = elsewhere.submit()
    process = elsewhere.process(run_id)
    process.stubborn = True
    elsewhere.do(elsewhere.service.cancel(run_id))
    elsewhere.die()
    process.stubborn, process.asked_to_stop = False, 0
    again(elsewhere)
    elsewhere.later(10)
    assert process.asked_to_stop == 1
    assert elsewhere.run(run_id).reason is Reason.CANCELLED
    assert len(elsewhere.machine.of(run_id)) == 1


def node_of(world: World, run_id: str) -> str:
    (place,) = world.run(run_id).placement
    return place.node


def test_a_run_waits_for_a_host(world: World) -> None:
    world.machine.keeps_runs = True
    world.start(engine="ray", ray_address="head:6379")
    run_id = world.submit()
    assert world.run(run_id).waits_for == "a host to join the service, while nothing runs"
    offer(world, "a")
    assert world.run(run_id).status is RUNNING
    assert node_of(world, run_id) == "a"
    assert world.process(run_id).id.startswith("node:a:")


@pytest.mark.parametrize("stops", [True, False])
def test_a_run_goes_on_while_its_service_is_away(elsewhere: World, stops: bool) -> None:
    run_id = elsewhere.submit(resources={"gpus": 2})
    process = elsewhere.process(run_id)
    process.enter(Phase.TRAINING)
    elsewhere.later(1.0)
    if stops:
        elsewhere.stop()
    elsewhere.die()
    assert (process.runs, process.asked_to_stop) == (True, 0)
    began_earlier(elsewhere, run_id, 20.0)
    again(elsewhere)
    run = elsewhere.run(run_id)
    assert (run.status, run.attempt, node_of(elsewhere, run_id)) == (RUNNING, 1, "a")
    assert elsewhere.machine.of(run_id) == [process]
    process.progress(7)
    process.finish(test_accuracy=0.5)
    elsewhere.later(10.0)
    run = elsewhere.run(run_id)
    assert (run.status, run.metrics) == (FINISHED, {"test_accuracy": 0.5})
    assert run.usage is not None
    assert run.usage.run_seconds >= 20.0
    assert run.usage.gpu_seconds == pytest.approx(2 * run.usage.run_seconds)


def test_a_run_that_went_on_keeps_its_slot_until_it_ends(elsewhere: World) -> None:
    run_id = elsewhere.submit()
    elsewhere.die()
    again(elsewhere)
    offer(elsewhere, "a")
    waits = elsewhere.submit()
    assert elsewhere.run(waits).status is RunStatus.SCHEDULED
    elsewhere.process(run_id).finish()
    elsewhere.later(10.0)
    assert elsewhere.run(waits).status is RUNNING


@pytest.mark.parametrize(
    ("attempts", "expected"), [(1, (FAILED, Reason.SERVICE_RESTARTED)), (2, (RUNNING, None))]
)
def test_a_run_whose_process_ended_meanwhile_is_no_run_that_goes_on(
    elsewhere: World, attempts: int, expected: tuple[RunStatus, Reason | None]
) -> None:
    run_id = elsewhere.submit(max_attempts=attempts)
    elsewhere.process(run_id).die()
    elsewhere.die()
    again(elsewhere)
    offer(elsewhere, "b")
    elsewhere.later(10.0)
    run = elsewhere.run(run_id)
    assert (run.status, run.reason) == expected
    assert elsewhere.in_mlflow(run_id) is expected[0]


def test_a_run_that_went_on_and_is_ended_in_mlflow_is_ended(elsewhere: World) -> None:
    run_id = elsewhere.submit()
    process = elsewhere.process(run_id)
    elsewhere.die()
    elsewhere.mlflow.runs[run_id].statuses.append(RunStatus.KILLED)
    again(elsewhere)
    elsewhere.later(10.0)
    assert not process.runs
    assert elsewhere.run(run_id).status is RunStatus.KILLED


def test_a_run_that_went_on_is_timed_out_by_all_that_it_ran(elsewhere: World) -> None:
    run_id = elsewhere.submit(timeout_seconds=60)
    elsewhere.die()
    began_earlier(elsewhere, run_id, 50.0)
    again(elsewhere)
    assert elsewhere.run(run_id).status is RUNNING
    elsewhere.later(30.0)
    assert elsewhere.run(run_id).reason is Reason.TIMED_OUT


@pytest.mark.parametrize(
    ("reason", "expected"),
    [
        (None, (FINISHED, None)),
        (Reason.OUT_OF_MEMORY, (FAILED, Reason.OUT_OF_MEMORY)),
        (Reason.CRASHED, (FAILED, Reason.CRASHED)),
    ],
)
def test_what_rank_0_left_counts_where_the_host_of_another_left_while_the_service_was_away(
    elsewhere: World,
    reason: Reason | None,
    expected: tuple[RunStatus, Reason | None],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Whoever takes all ranks up sees each that is there to its end, which brings what it left."""
    run_id = elsewhere.submit(resources={"workers": 2})
    process = elsewhere.process(run_id)
    elsewhere.die()

    async def take_up(*_: object) -> None:
        await asyncio.sleep(1.0)
        process.finish() if reason is None else process.fail(reason, "connection reset")

    with monkeypatch.context() as patch:
        patch.setattr(FakeLauncher, "take_up", take_up)
        again(elsewhere)
        elsewhere.later(10.0)
    run = elsewhere.run(run_id)
    assert (run.status, run.reason) == expected
    if reason is Reason.CRASHED:
        assert "gone with its host" in (run.message or "")


@pytest.mark.parametrize("on_its_host", [True, False])
def test_a_kill_for_memory_counts_on_the_host_of_the_run_and_not_on_that_of_its_service(
    elsewhere: World, on_its_host: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(attempts, "oom_kills", itertools.count().__next__)
    run_id = elsewhere.submit()
    process = elsewhere.process(run_id)
    process.for_memory = on_its_host
    process.die()
    elsewhere.later(1.0)
    reason = Reason.OUT_OF_MEMORY if on_its_host else Reason.KILLED_BY_SIGNAL
    assert elsewhere.run(run_id).reason is reason


def test_a_run_whose_host_is_lost_moves_to_another(elsewhere: World) -> None:
    run_id = elsewhere.submit(max_attempts=2)
    first = elsewhere.process(run_id)
    offer(elsewhere, "b")
    first.lost_with = "a (10.0.0.1)"
    first.exit(0)
    elsewhere.later(1.0)
    run = elsewhere.run(run_id)
    assert (run.status, run.attempt, node_of(elsewhere, run_id)) == (RUNNING, 2, "b")
    said = [step.message for step in run.transitions if step.message]
    assert said == [
        "crashed: the host a (10.0.0.1) was lost, and with it what the run had trained there: another attempt starts anew; trying again"
    ]


def test_a_host_that_an_attempt_was_lost_with_is_avoided_while_another_has_room(
    elsewhere: World,
) -> None:
    run_id = elsewhere.submit(max_attempts=3)
    seen = [node_of(elsewhere, run_id)]
    for there in ("ab", "b"):
        offer(elsewhere, *there)
        process = elsewhere.process(run_id)
        process.lost_with = "the host"
        process.exit(0)
        elsewhere.later(1.0)
        seen.append(node_of(elsewhere, run_id))
    assert seen == ["a", "b", "b"]
    assert elsewhere.run(run_id).attempt == 3


def test_a_host_that_is_lost_before_the_process_started_costs_no_attempt(elsewhere: World) -> None:
    elsewhere.launcher.launch_errors.append(HostLost("the host a was lost"))
    offer(elsewhere, "a")
    run_id = elsewhere.submit()
    run = elsewhere.run(run_id)
    assert (run.status, run.attempt) == (RUNNING, 1)
    said = [step.message for step in run.transitions if step.message]
    assert said == ["the host a was lost; it waits for another"]


def test_a_run_whose_host_cannot_start_it_is_tried_on_another_and_costs_no_attempt(
    elsewhere: World,
) -> None:
    elsewhere.launcher.launch_errors.extend([Unavailable("the disk of a is full")] * 6)
    run_id = elsewhere.submit()
    assert (elsewhere.run(run_id).phase, node_of(elsewhere, run_id)) == (Phase.STARTING, "a")
    elsewhere.later(10.0)
    run = elsewhere.run(run_id)
    assert (run.status, run.attempt, node_of(elsewhere, run_id)) == (RUNNING, 1, "b")
    assert elsewhere.process(run_id).runs
    said = [step.message for step in run.transitions if step.message]
    assert said == ["the disk of a is full; it waits for another"]


def test_of_several_hosts_those_are_avoided_that_could_not_start_their_ranks(
    elsewhere: World,
) -> None:
    offer(elsewhere, "a", "b", "c")
    elsewhere.launcher.launch_errors.append(HostLost("the disk of b is full", ranks=[1]))
    run_id = elsewhere.submit(resources={"workers": 2})
    assert [place.node for place in elsewhere.run(run_id).placement] == ["a", "c"]
    assert elsewhere.process(run_id).runs


@pytest.mark.parametrize("asked", ["cancelled", "timed_out"])
def test_a_run_that_no_host_can_start_is_tried_on_each_now_and_then_and_hears_that_it_is_to_stop(
    elsewhere: World, asked: str
) -> None:
    offer(elsewhere, "a")
    errors = elsewhere.launcher.launch_errors
    errors.extend([HostLost("the disk is full")] * 1000)
    run_id = elsewhere.submit(timeout_seconds=200)
    elsewhere.later(100.0)
    assert 970 < len(errors) < 990, "it is no load for the host that cannot, and not forgotten"
    assert not elsewhere.run(run_id).status.ended
    if asked == "cancelled":
        elsewhere.do(elsewhere.service.cancel(run_id))
    elsewhere.later(1.0 if asked == "cancelled" else 200.0)
    assert elsewhere.run(run_id).reason == Reason(asked)
    assert not elsewhere.machine.of(run_id)


def test_a_process_is_on_disk_before_it_is_there(elsewhere: World) -> None:
    run_id = elsewhere.submit()
    state = elsewhere.folder(run_id).state()
    assert state.process_id == elsewhere.process(run_id).id
    assert state.held is not None
    assert state.held.placement.node == "a"
