"""The guarantee, over the real supervisor: every accepted run ends, whatever dies, is slow, or comes twice.

hypothesis chooses what happens in which order.
"""

import asyncio
import shutil
import tempfile
from contextlib import ExitStack, suppress
from pathlib import Path
from typing import Any

import structlog
from fake_mlflow import FakeMlflow, FakeTracking
from fakes import (
    MODEL,
    MODEL_WITH_BATCHES,
    FakeLauncher,
    FakeProcess,
    Machine,
    asked_for,
    settings_in,
)
from full_disk import Disk
from hypothesis import HealthCheck, settings
from hypothesis import Phase as Stage
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    invariant,
    precondition,
    rule,
)
from properties import examples
from trainyard.contract import OnExisting, OnOutOfMemory, Phase, Reason, Run, RunStatus
from trainyard.errors import LaunchRefused, RequestError, Unavailable
from trainyard.service import Service
from trainyard.supervisor.idempotency import key_digest
from trainyard.supervisor.supervisor import Supervisor
from trainyard.tracking.runs import KEY_DIGEST
from virtual_time import VirtualLoop

WITHIN_SECONDS = 3600.0
"""Once nothing is broken any more, everything has ended within so long: a run's time-out, and every pause."""
REASONS = [Reason.CRASHED, Reason.INVALID_DATA, Reason.OUT_OF_MEMORY, Reason.TRACKING_UNAVAILABLE]
PHASES = [Stage.explicit, Stage.generate, Stage.shrink]
some = st.integers(0, 20)


class Lives(RuleBasedStateMachine):
    """One work directory, one machine with processes, one MLflow, and service after service over them."""

    def __init__(self) -> None:
        super().__init__()
        self.home = Path(tempfile.mkdtemp(prefix="lives-"))
        self.disk, self.machine, self.mlflow = Disk(), Machine(), FakeMlflow()
        self.launcher = FakeLauncher(self.machine)
        self.slow = (0.0, 0.0)
        self.loop = VirtualLoop()
        self.dead: list[VirtualLoop] = []
        self.service: Supervisor | None = None
        self.submits: list[Any] = []
        self.unanswered = 0
        """Submits whose service died before it answered."""
        self.accepted: dict[str, str | None] = {}
        """The key of each run that was accepted."""
        self.seen: dict[str, Run] = {}
        """Each accepted run as it was last answered."""
        self.cancelled: dict[str, int] = {}
        """How many processes each run had had when somebody was told that it is cancelled."""
        self.patched = ExitStack()
        self.patched.enter_context(self.disk.in_place())
        self.patched.enter_context(structlog.testing.capture_logs())

    @initialize(slots=st.integers(1, 3), queue=st.sampled_from([2, 100]))
    def a_service(self, slots: int, queue: int) -> None:
        self.settings = settings_in(self.home, slots=slots, queue=queue)
        self.start()

    # The service

    def start(self) -> None:
        self.launcher = FakeLauncher(self.machine)
        tracking = FakeTracking(self.mlflow)
        self.loop.delays = lambda threads: self.slow if threads == "mlflow" else (0.0, 0.0)  # type: ignore[method-assign]
        self.disk.loop = self.loop
        self.service = Supervisor(Service("svc", "pkg", 1), self.settings, self.launcher, tracking)
        self.loop.do(self.service.start())

    @precondition(lambda self: self.service)
    @rule()
    def the_service_stops(self) -> None:
        """As a server does it: requests that take too long are cancelled, then comes the stop."""
        assert self.service
        self.loop.later(1.0)
        self.note_answers()
        self.unanswered += len(self.submits)
        for _, submit in self.submits:
            submit.cancel()
        self.submits = []
        self.loop.do(asyncio.wait_for(self.service.stop(), WITHIN_SECONDS))
        self.an_answer_never_goes_back()
        self.service = None

    @precondition(lambda self: self.service)
    @rule(processes_too=st.booleans(), calls_arrive=st.booleans())
    def the_service_dies(self, processes_too: bool, calls_arrive: bool) -> None:
        """Nothing of it runs any more; what it has sent to MLflow may still arrive."""
        assert self.service
        self.note_answers()
        self.unanswered += len(self.submits)
        self.submits = []
        self.service._lock.release()
        on_its_way = list(self.loop.under_way.values()) if calls_arrive else []
        self.dead.append(self.loop)
        for process in self.machine.processes:
            process.handles.clear()
        self.loop = VirtualLoop(self.loop.now)
        self.service = None
        for work in on_its_way:
            work()
        if processes_too:
            for process in self.machine.running():
                process.die()

    @precondition(lambda self: not self.service)
    @rule()
    def a_service_starts(self) -> None:
        self.start()

    # What callers do

    @precondition(lambda self: self.service)
    @rule(
        key=st.sampled_from([None, None, "a", "b"]),
        model=st.sampled_from([MODEL, MODEL_WITH_BATCHES]),
        on_existing=st.sampled_from(OnExisting),
        max_attempts=st.integers(1, 3),
        timeout_seconds=st.sampled_from([30, 7200]),
        waits=st.booleans(),
    )
    def submit(self, key: str | None, waits: bool, **fields: Any) -> None:
        assert self.service
        fields["on_out_of_memory"] = OnOutOfMemory.HALVE_BATCH
        submit = self.loop.create_task(self.service.submit(asked_for(**fields), key))
        self.submits.append((key, submit))
        if waits:
            self.loop.turns(30)
            self.note_answers()

    @precondition(lambda self: self.service and self.accepted)
    @rule(which=some)
    def cancel(self, which: int) -> None:
        assert self.service
        run_id = list(self.accepted)[which % len(self.accepted)]
        self.loop.create_task(self.ask_to_cancel(self.service, run_id))

    async def ask_to_cancel(self, service: Supervisor, run_id: str) -> None:
        failed = self.disk.failed
        with suppress(RequestError):
            _, under_way = await service.cancel(run_id)
            if under_way and failed == self.disk.failed:
                self.cancelled.setdefault(run_id, len(self.machine.of(run_id)))

    @rule(turns=st.integers(1, 40))
    def a_moment_passes(self, turns: int) -> None:
        self.loop.turns(turns)
        self.note_answers()

    @rule(seconds=st.sampled_from([0.5, 3.0, 40.0, 8000.0]))
    def time_passes(self, seconds: float) -> None:
        self.loop.later(seconds)
        self.note_answers()

    # What processes do

    def some_process(self, which: int) -> FakeProcess | None:
        running = self.machine.running()
        return running[which % len(running)] if running else None

    @precondition(lambda self: self.machine.running())
    @rule(which=some, back=st.integers(0, 3), what=st.sampled_from(["phase", "progress", "note"]))
    def a_process_tells(self, which: int, back: int, what: str) -> None:
        """Also what it has told before, or what was overtaken."""
        process = self.some_process(which)
        assert process
        if what == "phase":
            process.enter(Phase.TRAINING)
        elif what == "progress":
            process.progress(which, train_log_loss=1.0)
        else:
            process.note("a note")
        process._sequence = max(0, process._sequence - back)

    @precondition(lambda self: self.machine.processes)
    @rule(which=some)
    def a_process_that_is_gone_tells(self, which: int) -> None:
        process = self.machine.processes[which % len(self.machine.processes)]
        if not process.runs and process.handles:
            process.enter(Phase.EVALUATING)

    @precondition(lambda self: self.machine.running())
    @rule(which=some, reason=st.sampled_from([None, *REASONS]), lingers=st.booleans())
    def a_process_has_an_outcome(self, which: int, reason: Reason | None, lingers: bool) -> None:
        process = self.some_process(which)
        assert process
        process.write_outcome(reason.status if reason else RunStatus.FINISHED, reason)
        if not lingers:
            process.exit(0)

    @precondition(lambda self: self.machine.running())
    @rule(which=some, code=st.sampled_from([-9, -11, 0, 3]))
    def a_process_dies(self, which: int, code: int) -> None:
        process = self.some_process(which)
        assert process
        process.exit(code)

    @precondition(lambda self: self.machine.running())
    @rule(which=some)
    def a_process_ignores_sigterm(self, which: int) -> None:
        process = self.some_process(which)
        assert process
        process.stubborn = True

    # What breaks

    @rule()
    def mlflow_goes_away(self) -> None:
        self.mlflow.away = True

    @precondition(lambda self: self.mlflow.away)
    @rule()
    def mlflow_comes_back(self) -> None:
        self.mlflow.away = False

    @rule(count=st.integers(1, 3))
    def answers_are_lost(self, count: int) -> None:
        self.mlflow.answers_lost = count

    @rule(before=st.sampled_from([0.0, 0.1, 9.0]), after=st.sampled_from([0.0, 0.1, 9.0]))
    def mlflow_is_slow(self, before: float, after: float) -> None:
        self.slow = before, after

    @rule(after=st.integers(0, 8), writes=st.integers(1, 6))
    def the_disk_is_full(self, after: int, writes: int) -> None:
        self.disk.full(after=after, writes=writes)

    @rule(errors=st.lists(st.sampled_from([Unavailable, LaunchRefused]), min_size=1, max_size=3))
    def launches_fail(self, errors: list[Any]) -> None:
        self.launcher.launch_errors.extend(error() for error in errors)

    # What must hold

    def note_answers(self) -> None:
        for key, submit in list(self.submits):
            if submit.done():
                self.submits.remove((key, submit))
                self.note_answer(key, submit)

    def note_answer(self, key: str | None, submit: Any) -> None:
        try:
            run, accepted = submit.result()
        except RequestError:
            return
        if accepted:
            others = [each for each, its in self.accepted.items() if key is not None and its == key]
            for other in others:
                assert self.seen[other].status.ended, f"two runs of {key} at once"
            assert run.run_id not in self.accepted
            self.accepted[run.run_id] = key
            self.seen[run.run_id] = run

    @invariant()
    def an_answer_never_goes_back(self) -> None:
        if not self.service:
            return
        self.note_answers()
        for run_id, before in self.seen.items():
            content = self.service.live_json(run_id)
            if content is None:
                continue
            now = Run.model_validate_json(content)
            if before.status.ended:
                assert now.status is before.status, f"{before.status} became {now.status}"
            self.seen[run_id] = now

    @invariant()
    def what_mlflow_shows_as_ended_stays_so(self) -> None:
        for run in self.mlflow.active():
            ends = [status for status in run.statuses if status.ended]
            assert len(set(ends)) <= 1, run.statuses
            if ends:
                assert run.status.ended, run.statuses

    def teardown(self) -> None:
        try:
            if hasattr(self, "settings"):
                self.heal()
                self.check()
        finally:
            self.mlflow.away = False
            for loop in [self.loop, *self.dead]:
                loop.bury()
            self.patched.close()
            shutil.rmtree(self.home)

    def heal(self) -> None:
        """Nothing is broken, the service starts once more, and each process finishes its work."""
        self.mlflow.away, self.mlflow.answers_lost, self.slow = False, 0, (0.0, 0.0)
        self.disk.full(after=0, writes=0)
        self.launcher.launch_errors.clear()
        if self.service:
            self.the_service_stops()
        self.start()
        self.loop.later(60.0)  # long enough for late answers; runs wait for their processes
        self.an_answer_never_goes_back()
        self.mlflow_agrees_on_what_waits()
        self.machine.autopilot = True
        for process in self.machine.running():
            process.finish()
        end = self.loop.now + WITHIN_SECONDS
        while self.loop.now < end and self.under_way():
            self.loop.later(10.0)
        self.loop.later(120.0)
        self.an_answer_never_goes_back()

    def gauge(self, name: str) -> float:
        assert self.service
        return self.service.registry.get_sample_value(f"trainyard_runs_{name}") or 0.0

    def under_way(self) -> bool:
        return self.gauge("running") + self.gauge("queued") > 0

    def mlflow_agrees_on_what_waits(self) -> None:
        assert self.service
        for run_id in self.accepted:
            content = self.service.live_json(run_id)
            if content:
                run = Run.model_validate_json(content)
                assert self.mlflow.runs[run_id].status is run.status

    def check(self) -> None:
        assert self.service
        assert not self.under_way()
        for run_id in self.accepted:
            ended = self.loop.do(self.service.get(run_id))
            assert ended.status.ended, ended
            assert self.mlflow.runs[run_id].status is ended.status, ended
            if self.seen[run_id].status.ended:
                assert ended.status is self.seen[run_id].status
        active = self.mlflow.active()
        assert {run.status for run in active if not run.status.ended} == set()
        unknown = [run for run in active if run.run_id not in self.accepted]
        assert len(unknown) <= self.unanswered, "a refused submit left a run"
        for key in ("a", "b"):
            assert all(
                run.tags.get(KEY_DIGEST) != key_digest(key)
                for run in self.mlflow.runs.values()
                if run.deleted
            )
        for run_id, processes in self.cancelled.items():
            assert len(self.machine.of(run_id)) == processes, "it was trained after its cancel"
        assert not self.machine.running()
        assert all(process.released <= 1 for process in self.machine.processes)


Lives.TestCase.settings = settings(
    max_examples=examples(60),
    stateful_step_count=40,
    phases=PHASES,
    suppress_health_check=list(HealthCheck),
)
TestLives = Lives.TestCase
