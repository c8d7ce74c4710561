"""What an engine that starts runs' processes must offer, and what it may count on.

There is one implementation, `fork_launcher.ForkLauncher`; an engine over several machines is another.

Threads. Every method is called on the service's event loop, and every callback is made on it. None blocks it.

Order of a process's life. `launch` returns once the process exists. The listener gets the process's events in the
order of their `sequence`, from then on, possibly before `launch` has returned, until `release`; never after it.
`Process.ended` returns once the process and all that it can still tell are through: no event comes after it.

After a kill. `kill` ends the process and everything it started, and returns at once; `ended` returns soon after,
whether or not the process could still answer. An outcome that the process wrote before stays on disk.

What outlives what. A process outlives its fork server, also one that hung and was killed for it; its exit code is
then never known, and without an outcome on disk it has crashed. It never outlives the service by more than the grace period of its line.

Ids. `Process.id` is a string that may be stored. `find` answers for it, in this process or in a later one: a handle
of the process while it runs, None once it is gone. Ids are never used again for another process.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from trainyard.contract import ModelInfo, RunRequest
from trainyard.datasets.access import DataAccess
from trainyard.field_errors import BadFields
from trainyard.launcher.messages import Case, Job, Noted, PhaseEntered, Progressed, Warned
from trainyard.peers.predictions import Question
from trainyard.registry.promotion import Judgement

Listener = Callable[[PhaseEntered | Progressed | Noted | Warned], None]


@dataclass(frozen=True)
class Looked(BadFields):
    """What a look at a request found: fields that are wrong, and which version of its data counts."""

    data_version: int | None = None
    """None where the data has no versions."""


class Process(Protocol):
    """A run's process and everything it starts."""

    @property
    def id(self) -> str:
        """What `Launcher.find` knows it by."""
        ...

    async def ended(self) -> int | None:
        """Wait until it is gone. Its exit code, negative for a signal; None where nobody can tell."""
        ...

    def ask_to_stop(self) -> None:
        """SIGTERM, heard from the first instant on; it may save a checkpoint and leave. Harmless once it is gone."""
        ...

    def kill(self) -> None:
        """End it and everything it started. Harmless once it is gone."""
        ...

    def release(self) -> None:
        """End what it left behind, and forget it. Called exactly once, whatever happened."""
        ...


class Launcher(Protocol):
    """Starts runs' processes, and looks at requests without trusting them."""

    @property
    def models(self) -> Mapping[str, ModelInfo]:
        """The models by name; empty until it was warm for the first time."""
        ...

    @property
    def broken(self) -> Mapping[str, str]:
        """Model files that did not load, and why."""
        ...

    async def start(self) -> None:
        """Begin to get warm; returns at once."""
        ...

    async def stop(self) -> None:
        """Let go of what is left. Processes that are not kept end."""
        ...

    def warm(self) -> bool:
        """Whether a run's process would start at once."""
        ...

    async def check(self, request: RunRequest, access: DataAccess) -> Looked:
        """What is wrong with the request's params or model, and data, looked at in a process of its own within limits.

        Params or data that break that process, or make it too large or too slow, are errors of the request.
        Raises `Unavailable` when nothing can tell now.
        """
        ...

    async def judge(self, case: Case, access: DataAccess) -> Judgement:
        """What is found about the holder on the test rows of the case's run, in a process of its own within limits.

        A holder, or data, that breaks that process, or makes it too large or too slow, cannot be compared, and the
        judgement says so. Raises `Unavailable` when nothing can tell now. It goes on, and ends within its limits,
        where the caller is cancelled.
        """
        ...

    async def predict(self, question: Question, access: DataAccess, path: Path) -> str:
        """Have a model of MLflow predict the test rows of a run, in a process of its own within limits.

        The predictions are written to `path`, in NumPy's format; the answer is the digest of the rows. Raises
        `CannotPredict`, in words, and `Unavailable` when nothing can tell now.
        """
        ...

    async def launch(self, job: Job, listener: Listener) -> Process:
        """Start a run's process. Raises `Unavailable` when it may work later, and `LaunchRefused` when it never will."""
        ...

    async def find(self, process_id: str) -> Process | None:
        """The process that an earlier `launch`, perhaps of an earlier service, gave this id; None once it is gone."""
        ...
