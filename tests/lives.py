"""Service after service over one work directory, in no time: for tests of what a run lives through."""

from collections.abc import Coroutine
from pathlib import Path
from typing import Any, TypeVar

from fake_mlflow import FakeMlflow, FakeTracking
from fakes import FakeLauncher, FakeProcess, Machine, asked_for, settings_in
from trainyard.contract import Run, RunStatus
from trainyard.rundir.folder import RunFolder
from trainyard.service import Service
from trainyard.supervisor.supervisor import Supervisor
from virtual_time import VirtualLoop

T = TypeVar("T")


class World:
    """One work directory, the machine's processes, and MLflow; `start` begins a service over them."""

    def __init__(
        self, home: Path, machine: Machine | None = None, mlflow: FakeMlflow | None = None
    ) -> None:
        self.home = home
        self.machine = machine or Machine()
        self.mlflow = mlflow or FakeMlflow()
        self.loop = VirtualLoop()
        self.dead: list[VirtualLoop] = []
        self.settings: dict[str, Any] = {}
        self.service: Supervisor
        self.launcher: FakeLauncher

    def start(self, **settings: Any) -> Supervisor:
        """A service, ready if MLflow is there."""
        self.settings |= settings
        self.launcher = FakeLauncher(self.machine)
        chosen = settings_in(self.home, **self.settings)
        tracking = FakeTracking(self.mlflow, chosen.instance)
        self.service = Supervisor(Service("svc", "pkg", 1), chosen, self.launcher, tracking)
        self.do(self.service.start())
        self.later(1.0)
        return self.service

    def stop(self) -> None:
        self.do(self.service.stop())

    def die(self) -> None:
        """Kill the service: nothing of it runs any more. Its processes do."""
        self.service._lock.release()
        self.dead.append(self.loop)
        for process in self.machine.processes:
            process.handles.clear()
        self.loop = VirtualLoop(self.loop.now)

    def close(self) -> None:
        for loop in [self.loop, *self.dead]:
            loop.bury()

    def do(self, work: Coroutine[Any, Any, T]) -> T:
        return self.loop.do(work)

    def later(self, seconds: float) -> None:
        self.loop.later(seconds)

    # One run

    def submit(self, key: str | None = None, **request: Any) -> str:
        """The run_id of an accepted run, whose process runs if it got a slot."""
        run, accepted = self.do(self.service.submit(asked_for(**request), key))
        assert accepted
        self.later(0.1)
        return run.run_id

    def run(self, run_id: str) -> Run:
        return self.do(self.service.get(run_id))

    def process(self, run_id: str) -> FakeProcess:
        return self.machine.of(run_id)[-1]

    def folder(self, run_id: str) -> RunFolder:
        return RunFolder(self.home / "runs" / run_id)

    def in_mlflow(self, run_id: str) -> RunStatus:
        return self.mlflow.runs[run_id].status
