"""What an engine that starts runs' processes must offer, and what it may count on.

There are two implementations: `fork_launcher.ForkLauncher` for one machine, and `remote_launcher.RemoteLauncher`, which
has the same on each host that has joined the service, and has that launch single ranks of its runs.

Threads. Every method is called on the service's event loop, and every callback is made on it. None blocks it.

Order of a process's life. `launch` returns once the process exists. The listener gets the process's events in the
order of their `sequence`, from then on, possibly before `launch` has returned, until `release`; never after it.
`Process.ended` returns once the process and all that it can still tell are through: no event comes after it.

Ranks. A job with `shares` is launched as one process for each, all or none, and these are one `Process`: `kill` ends all;
`ask_to_stop` asks rank 0, which speaks for the run. `ended` returns once all are gone. When rank 0 ends, the others are
ended. When another ends that had not trained to its end, all that are left are ended, after a few seconds in which each may
say why. What a rank gives with `Gather` is given to all once each has given its own. The listener hears rank 0 alone.
A rank whose host is not heard of counts as one that failed, and so does one whose host does not reach that of another,
which ends it. `ended` waits for rank 0 until that is gone for certain, as
it alone writes to MLflow, and for no other rank that is not heard of.

After a kill. `kill` ends the process and everything it started, and returns at once; `ended` returns soon after,
whether or not the process could still answer. An outcome that the process wrote before stays on disk.

Memory. A process that, with everything it started, uses more than its job's `memory_limit_mb` is ended as by `kill`,
and `used` says so. Others are not touched.

What outlives what. A process outlives its fork server, also one that hung and was killed for it; its exit code is
then never known, and without an outcome on disk it has crashed. On one machine it never outlives the service by more than
the grace period of its line. Where `keeps_runs` says so it goes on without the service for as long as its host's lease,
and a later service goes on with it by `take_up`.

Hosts. A process on another host has a folder of its own there. What it writes to its log and its metrics, and its
outcome, are in the run's folder on the service's host when `ended` returns. A host that was not heard of for so long that
its processes have ended for certain is lost, and its processes with it: `ended` returns, and `lost_with` names the host.
So it is where the host is there and has nothing of the process any more.

Ids. `Process.id` is a string that may be stored. `find` answers for it, in this process or in a later one: a handle
of the process while it runs, None once it is gone. Ids are never used again for another process.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from trainyard.contract import DataPreview, DataVersion, ModelInfo, PreviewRequest, RunRequest
from trainyard.datasets.access import DataAccess
from trainyard.field_errors import BadFields
from trainyard.launcher.messages import (
    Case,
    Gather,
    Gathered,
    Job,
    Noted,
    PhaseEntered,
    Progressed,
    Warned,
)
from trainyard.peers.question import Question
from trainyard.registry.promotion import Judgement

Listener = Callable[[PhaseEntered | Progressed | Noted | Warned], None]


@dataclass(frozen=True)
class Looked(BadFields):
    """What a look at a request found: fields that are wrong, and which version of its data counts."""

    data_version: DataVersion | None = None
    """None where the data has no versions."""
    preview: DataPreview | None = None
    """What was seen of the data, where that was asked for and nothing is wrong."""


@dataclass(frozen=True)
class Used:
    """What a process and everything it started have used so far; all of it, once it has ended."""

    cpu_seconds: float | None = None
    """None where nobody has looked."""
    peak_memory_mb: int | None = None
    """The most that was seen, in 2^20 bytes; None where nobody has looked."""
    over_limit_mb: int | None = None
    """What it used when it was ended for using more than its job's `memory_limit_mb`."""


@dataclass(frozen=True)
class RankEnd:
    """How one rank of several ended."""

    rank: int
    code: int | None
    """Negative for a signal; None where nobody can tell."""
    trained: bool = False
    """Whether it had trained to the end, and was not needed any more."""
    was_ended: bool = False
    """Whether it was ended because another had."""
    over_limit_mb: int | None = None
    """As `Used.over_limit_mb`."""
    for_memory: bool = False
    """As `Process.for_memory`."""
    lost_with: str | None = None
    """The host, where it is gone, or not heard of any more, because that is."""
    cut_from: str | None = None
    """The host of another rank, where its own host ended it because it could not reach that any more."""

    @property
    def failed(self) -> bool:
        """Whether it was the cause of anything."""
        return not self.trained and not self.was_ended


class Meeting(Protocol):
    """Where the ranks of a run give their texts, or what carries them there."""

    def seat(self, rank: int, say: Callable[[Gathered], None]) -> None:
        """Where a rank hears the answers."""
        ...

    def take(self, rank: int, given: Gather) -> None:
        """A rank gives its text; it may do so again where it has heard no answer."""
        ...


class AlwaysHeard:
    """What is true of a process, or of several ranks together, that no host of its own can be silent about."""

    lost_with: str | None = None
    missed: str | None = None
    cut_from: str | None = None
    for_memory: bool = False


class Process(Protocol):
    """A run's process, or those of all its ranks, and everything they start."""

    @property
    def id(self) -> str:
        """What `Launcher.find` knows it by."""
        ...

    async def ended(self) -> int | None:
        """Wait until it is gone. Its exit code, negative for a signal; None where nobody can tell."""
        ...

    @property
    def lost_with(self) -> str | None:
        """The host, where it is gone because its host is; None otherwise."""
        ...

    @property
    def missed(self) -> str | None:
        """The host, where nothing was heard of it for so long that other ranks are not to wait for it; None otherwise."""
        ...

    @property
    def cut_from(self) -> str | None:
        """As `RankEnd.cut_from`."""
        ...

    @property
    def for_memory(self) -> bool:
        """Whether its host says that the kernel has ended it for memory; whoever starts processes itself sees that itself."""
        ...

    @property
    def used(self) -> Used:
        """What it has used so far."""
        ...

    @property
    def ranks(self) -> Sequence[RankEnd]:
        """Those that have ended, in the order in which they did; empty where there is one process alone."""
        ...

    def ask_to_stop(self) -> None:
        """SIGTERM, heard from the first instant on; it may save a checkpoint and leave. Harmless once it is gone."""
        ...

    def kill(self) -> None:
        """End it and everything it started. Harmless once it is gone."""
        ...

    def release(self) -> None:
        """End what it left behind, and forget it. This or `let_go` is called exactly once, whatever happened."""
        ...

    def let_go(self) -> None:
        """Forget it, and leave it to a later service where the launcher keeps runs; else as `release`."""
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

    async def check(self, request: RunRequest | PreviewRequest, access: DataAccess) -> Looked:
        """What is wrong with the request's params or model, and data, looked at in a process of its own within limits.

        Of a request to see data alone the answer has what was seen.
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
        """Start a run's process.

        Raises `Unavailable` when it may work later, `LaunchRefused` when it never will, and `HostLost` when it may
        work on another host.
        """
        ...

    async def launch_rank(self, job: Job, listener: Listener, meeting: Meeting) -> Process:
        """Start the process of the job's rank alone; the others are elsewhere. Raises as `launch`."""
        ...

    async def find(self, process_id: str) -> Process | None:
        """The process that an earlier `launch`, perhaps of an earlier service, gave this id; None once it is gone."""
        ...

    @property
    def keeps_runs(self) -> bool:
        """Whether processes go on while there is no service."""
        ...

    @property
    def complaints(self) -> Mapping[str, str]:
        """Hosts that have joined and are given no runs for now, by their names, and why."""
        ...

    async def take_up(self, process_id: str, folder: Path, listener: Listener) -> Process | None:
        """As `find`, of a launcher that keeps runs; its events come to the listener, and its files to the run's folder."""
        ...

    def end_strays(self) -> None:
        """All processes that go on were taken up: any other that is found from now on is ended."""
        ...
