"""A service and its MLflow, and the kinds of process among them that `make bench-kills` kills."""

import random
import time
from collections import Counter
from collections.abc import Callable
from contextlib import suppress
from dataclasses import replace

import psutil
from background import Program, port_is_free, start, stop, wait_until_ready
from programs import HOME as RUN
from sessions import Started
from tenacity import retry, retry_if_result, stop_after_delay, wait_fixed

HOME = RUN / "bench/kills"
WEIGHTS = {"run": 10, "spare": 2, "fork server": 4, "service": 4, "mlflow": 2}
SPARE = "trainyard-spare"
"""`NAME` in `trainyard.launcher.spare`: a process that waits for the next run."""
PORT_SECONDS = 60.0


class Restarted:
    """A program that is started again each time it is found dead.

    Each start has a name of its own: so nothing tidies up after the one that was killed, and what that one left
    behind has to end by itself.
    """

    def __init__(self, program: Program) -> None:
        self.program = program
        self._names: list[str] = []
        self.process = self._start()

    def wait_until_ready(self) -> None:
        wait_until_ready(self._named(), self.process, HOME)

    def revive(self) -> bool:
        """Start it again if it is not running. False when it was."""
        if self.process.alive:
            return False
        self.process = self._start()
        return True

    def stop(self) -> None:
        for name in reversed(self._names):
            stop(name, HOME)

    def _start(self) -> Started:
        self._names.append(f"{self.program.name}-{len(self._names) + 1}")
        self._until_port_is_free()
        return start(self._named(), HOME)

    def _named(self) -> Program:
        return replace(self.program, name=self._names[-1])

    @retry(
        retry=retry_if_result(lambda free: not free),
        wait=wait_fixed(0.05),
        stop=stop_after_delay(PORT_SECONDS),
    )
    def _until_port_is_free(self) -> bool:
        return port_is_free(self.program.port)


class Targets:
    """The processes, by kind, each killed with SIGKILL at a moment that the caller chooses."""

    def __init__(self, service: Restarted, mlflow: Restarted, chance: random.Random) -> None:
        self.service, self.mlflow = service, mlflow
        self.killed: Counter[str] = Counter()
        self.ended_by_themselves = 0
        self._chance = chance
        self._kinds: dict[str, Callable[[], list[psutil.Process]]] = {
            "run": self._runs,
            "spare": self._spares,
            "fork server": self._fork_servers,
            "service": self._service,
            "mlflow": self._whole_mlflow,
            "search": lambda: self._below_fork_servers(1),
            "forker": lambda: self._below_fork_servers(2),
            "trial": lambda: self._below_fork_servers(3),
        }

    def kill_one(self, kind: str | None = None) -> bool:
        """Kill a process of this or of a random kind, the whole of MLflow where it is that, and start again what is then dead.

        Whether there was one.
        """
        self.revive()
        kind = kind or self._chance.choices([*WEIGHTS], [*WEIGHTS.values()])[0]
        before = self.killed[kind]
        with suppress(psutil.NoSuchProcess):
            found = self._kinds[kind]()
            chosen = found if kind == "mlflow" else self._chance.sample(found, min(1, len(found)))
            for process in chosen:
                process.kill()
            psutil.wait_procs(chosen, timeout=PORT_SECONDS)
            self.killed[kind] += bool(chosen)
        self.mlflow.revive()
        self.service.revive()
        return self.killed[kind] > before

    def mlflow_away(self, seconds: float) -> None:
        """Kill the whole of MLflow, and start it again when it was away so long."""
        for process in self._whole_mlflow():
            process.kill()
        time.sleep(seconds)
        self.mlflow.revive()
        self.mlflow.wait_until_ready()

    def kill_the_service(self) -> None:
        """Once, and start it again; this one is not counted."""
        process = self._service()[0]
        process.kill()
        process.wait(PORT_SECONDS)
        self.service.revive()

    def revive(self) -> None:
        """Start again what ended although nobody killed it, as Docker would, and count it."""
        self.ended_by_themselves += self.mlflow.revive() + self.service.revive()

    def _service(self) -> list[psutil.Process]:
        return [psutil.Process(self.service.process.pid)]

    def _whole_mlflow(self) -> list[psutil.Process]:
        """With its workers, which would go on answering without it."""
        return self.mlflow.process.members()

    def _fork_servers(self) -> list[psutil.Process]:
        return self._service()[0].children()

    def _below_fork_servers(self, depth: int) -> list[psutil.Process]:
        """Of a search: its process, the one that forks its trials, or a trial, at depth 1, 2 and 3."""
        found = self._fork_servers()
        for _ in range(depth):
            found = [child for each in found for child in each.children()]
        return [each for each in found if each.name() != SPARE]

    def _runs(self) -> list[psutil.Process]:
        """What the fork server started for runs."""
        return [each for each in self._all_below() if each.name() != SPARE]

    def _spares(self) -> list[psutil.Process]:
        return [each for each in self._all_below() if each.name() == SPARE]

    def _all_below(self) -> list[psutil.Process]:
        return [
            child for server in self._fork_servers() for child in server.children(recursive=True)
        ]
