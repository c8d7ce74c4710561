"""What runs ask for of the machine: refused, waited for, given, and told of."""

import signal
from typing import Any

import pytest
from lives import World
from trainyard.contract import Reason, RunStatus
from trainyard.errors import Invalid
from trainyard.launcher.protocol import Used

TWO_OF_FOUR = {"slots": 2, "threads": 4, "gpus": "0,1"}


def refused(world: World, **resources: Any) -> list[str]:
    with pytest.raises(Invalid) as caught:
        world.submit(resources=resources)
    return [f"{each.pointer}: {each.detail}" for each in caught.value.errors]


def test_what_can_never_fit_is_refused_at_the_submit_with_what_there_is(world: World):
    world.start(**TWO_OF_FOUR)
    assert refused(world, cpus=5, gpus=3, workers=3) == [
        "/resources/workers: 3 slots asked for by 3 workers, and there are 2; ask for 2 at most, or raise TRAINYARD_SLOTS",
        "/resources/cpus: 15 CPUs asked for by 3 workers, and there are 4; ask for 1 at most",
        "/resources/gpus: 9 GPUs asked for by 3 workers, and there are 2; ask for 0, or leave it out",
    ]
    assert world.mlflow.active() == []


def test_what_fits_later_waits_and_says_for_what_and_nobody_passes_it(world: World):
    world.start(**TWO_OF_FOUR)
    first = world.submit(resources={"cpus": 3})
    big = world.submit(resources={"cpus": 2})
    small = world.submit(resources={"cpus": 1})
    assert world.run(big).status is world.run(small).status is RunStatus.SCHEDULED
    assert world.run(big).waits_for == f"2 CPUs (1 free), while {first[:8]} runs"
    assert world.run(small).waits_for == f"1 run before it in the queue, the next {big[:8]}"
    world.process(first).finish()
    world.later(10)
    for run_id in (big, small):
        assert world.run(run_id).status is RunStatus.RUNNING
        assert world.run(run_id).waits_for is None


def test_a_run_s_process_is_told_its_cores_threads_gpus_and_limit(world: World):
    world.start(**TWO_OF_FOUR)
    asked = world.process(world.submit(resources={"cpus": 1, "gpus": 0, "memory_mb": 300})).job
    assert (asked.threads, len(asked.cores), asked.memory_limit_mb) == (1, 1, 300)
    assert asked.access.memory_mb == 300
    assert asked.environment == {"OMP_NUM_THREADS": "1", "CUDA_VISIBLE_DEVICES": "-1"}
    usual = world.process(world.submit()).job
    assert (usual.threads, usual.cores, usual.memory_limit_mb) == (2, (), None)
    assert usual.environment == {"OMP_NUM_THREADS": "2", "CUDA_VISIBLE_DEVICES": "0"}


def test_capacity_tells_what_there_is_who_has_it_and_who_waits_for_what(world: World):
    world.start(**TWO_OF_FOUR)
    has = world.submit(resources={"cpus": 3, "gpus": 1, "memory_mb": 100})
    waits = world.submit(resources={"cpus": 4, "gpus": 2})
    found = world.service.capacity()
    amounts = {
        name: (each.total, each.used, each.waited_for)
        for name in ("slots", "cpus", "gpus")
        for each in [getattr(found, name)]
    }
    assert amounts == {"slots": (2, 1, 1), "cpus": (4, 3, 4), "gpus": (2, 1, 2)}
    assert found.memory_mb.used == 100
    (running,), (waiting,) = found.running, found.waiting
    assert (running.run_id, running.devices, running.memory_mb) == (has, ["0"], 100)
    assert (waiting.run_id, waiting.cpus, waiting.gpus) == (waits, 4, 2)
    assert waiting.queue_position == 1
    assert waiting.waits_for == world.run(waits).waits_for


def test_what_a_run_had_is_free_once_it_has_ended_or_was_cancelled(world: World):
    world.start(**TWO_OF_FOUR)
    for _ in range(3):
        run_id = world.submit(resources={"cpus": 4, "gpus": 2})
        assert world.run(run_id).status is RunStatus.RUNNING
        world.do(world.service.cancel(run_id))
        world.later(20)
    assert world.service.capacity().cpus.used == 0


def test_a_run_over_its_limit_ends_with_what_it_used_and_what_the_limit_was(world: World):
    world.start(**TWO_OF_FOUR)
    run_id, neighbour = world.submit(resources={"memory_mb": 1500}), world.submit()
    process = world.process(run_id)
    process.used = Used(cpu_seconds=1.0, peak_memory_mb=1730, over_limit_mb=1730)
    process.die(signal.SIGKILL)
    world.later(10)
    run = world.run(run_id)
    assert run.reason is Reason.OUT_OF_MEMORY
    assert run.message == (
        "the run used 1,730 MB of memory, and its limit was 1,500 MB: ask for more as resources.memory_mb, or give it less data"
    )
    assert world.run(neighbour).status is RunStatus.RUNNING


def test_a_run_that_no_longer_fits_after_a_restart_is_ended_and_does_not_hold_up_the_others(
    world: World,
):
    world.start(**TWO_OF_FOUR)
    big = world.submit(resources={"cpus": 4})
    small = world.submit()
    world.stop()
    world.start(threads=2)
    world.later(30)
    run = world.run(big)
    assert (run.status, run.reason) == (RunStatus.FAILED, Reason.SERVICE_RESTARTED)
    assert run.message is not None
    assert "/resources/cpus: 4 CPUs asked for, and there are 2" in run.message
    assert world.run(small).status is RunStatus.RUNNING
