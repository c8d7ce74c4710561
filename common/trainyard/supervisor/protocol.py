"""What the routes need of a supervisor: its contract."""

from collections.abc import Mapping
from pathlib import Path
from typing import Protocol

from prometheus_client import CollectorRegistry

from trainyard.contract import (
    Caller,
    Capacity,
    Curves,
    DataPreview,
    ModelInfo,
    ModelVersionInfo,
    PreviewRequest,
    Promotion,
    Registered,
    RegisteredModelPage,
    Rollback,
    Run,
    RunPage,
    RunRequest,
    RunStatus,
    TrialPage,
    UsageReport,
)
from trainyard.peers.question import Question
from trainyard.registry.promotion import Decision
from trainyard.registry.turn import Turn


class Runs(Protocol):
    """Takes requests to train and to score, and knows every run of this service.

    **Who calls.** Everything is called on one event loop, by any number of tasks at once, from `start`
    to `stop`. Only `start` and `stop` are called once, by the application. What is not a coroutine
    answers from memory at once and never raises.

    **A run** is the frozen `Run` of one moment; nobody changes one that was given out. Each change
    makes a new one whose `version` is larger, also over a restart of the service: a caller that has
    seen version N never sees one below it. A status moves from SCHEDULED to RUNNING, back to
    SCHEDULED where the run is to be tried again or handed to the next service, and to one of
    FINISHED, FAILED and KILLED. From there nothing changes any more, neither status nor version.

    **Errors.** A coroutine raises a `RequestError` and nothing else: `UnknownRun` for a run that this
    service never had, `Unavailable` where only MLflow could answer and does not. A run that is under
    way or ended lately is known without MLflow.
    """

    @property
    def models(self) -> Mapping[str, ModelInfo]:
        """The models by name; empty until they are loaded for the first time."""
        ...

    @property
    def broken_models(self) -> Mapping[str, str]:
        """Model files that did not load, and why."""
        ...

    @property
    def registry(self) -> CollectorRegistry:
        """What is counted and timed, for Prometheus: the same registry at all times."""
        ...

    async def start(self) -> None:
        """Begin, and take up the runs that an earlier process left. Returns before that is done.

        Raises `ServiceError` when another process serves from the same work directory.
        """
        ...

    async def stop(self) -> None:
        """Interrupt what trains and leave it to be taken up again; from here on `submit` raises `Unavailable`.

        No run ends because of it. What is held by `wait` is not let go: the application does that.
        """
        ...

    async def submit(
        self, request: RunRequest, key: str | None, by: Caller | None = None
    ) -> tuple[Run, bool]:
        """The run for the request, and whether it was newly accepted. A new one is submitted `by` the caller.

        Without a key each call is accepted as a run of its own. With one, the newest run that has the
        key decides: one under way, and a finished one, is the answer; a failed or killed one is trained
        again, as a new run whose `attempt` is one more. `on_existing` chooses otherwise: `attach`
        answers with it however it ended, `rerun` trains a run that has ended again. Two calls
        with one key at the same instant make one run.

        Raises `Invalid` with every bad field, `KeyReused` where the key's newest run was asked for with
        another body (`on_existing` does not count), `QueueFull`, and `Unavailable` while models or MLflow
        are away. Where it raises, no run is left behind and the key is as it was.
        """
        ...

    async def preview(self, request: PreviewRequest) -> DataPreview:
        """What the first rows of the data show. Raises `Invalid` with every bad field, or `Unavailable`."""
        ...

    async def get(self, run_id: str) -> Run:
        """The run as it stands."""
        ...

    async def wait(self, run_id: str, seconds: float, since: int | None) -> Run:
        """The run once it has ended or its version has passed `since`; after `seconds` as it stands.

        Answers at once for a run that has ended, whatever `since` is. With `since` None only the end counts.
        """
        ...

    def live_json(self, run_id: str) -> bytes | None:
        """A run that is under way or ended lately, as JSON; None where only `get` can tell."""
        ...

    async def yard(self, seconds: float, since: int | None) -> bytes:
        """All that is in hand as the JSON of a `YardState`, once its version is another than `since`; after `seconds` as it is.

        Its version is another after each change of a run, and after a restart of the service.
        """
        ...

    async def curves(self, run_id: str) -> Curves:
        """What the run measured so far, round by round; of a run whose folder is gone, as MLflow has it."""
        ...

    async def trials(self, run_id: str, *, limit: int, cursor: str | None) -> TrialPage:
        """Trials of the run's search that have ended, the best first; none of a run that does not search."""
        ...

    async def request(self, run_id: str) -> RunRequest:
        """What was asked for, without what gives access to its data. Raises `UnknownRun` where that is gone too."""
        ...

    async def registered_models(self, cursor: str | None) -> RegisteredModelPage:
        """A page of the registered models of MLflow, by name. Raises `Invalid` for a cursor that was never given out."""
        ...

    async def model_versions(self, name: str) -> list[ModelVersionInfo]:
        """The newest versions of the registered model, the newest first. Raises `UnknownModel` where there is none of that name."""
        ...

    async def page(
        self,
        *,
        status: RunStatus | None,
        model: str | None,
        experiment: str | None,
        limit: int,
        cursor: str | None,
    ) -> RunPage:
        """Runs that fit, newest first, at most `limit`, and the cursor of the next page if there is one.

        Raises `Invalid` for a cursor that was never given out. Asks MLflow, so it may raise `Unavailable`.
        """
        ...

    async def cancel(self, run_id: str, by: Caller | None = None) -> tuple[Run, bool]:
        """The run, and whether it was under way when it was asked to stop; its message says `by` whom.

        One that waits is KILLED in the answer. One that trains may still be RUNNING in it, and is
        KILLED within the grace period, or ends as it would have if it was quicker. One that has
        ended stays as it is.
        """
        ...

    async def promote(self, run_id: str, word: Promotion) -> Registered:
        """The run's version, and what became of it: decided by the run's own rule, or rejected by somebody.

        The run stays as it ended. Asked again, a version that was promoted stays so, and one that was not is
        decided again. Raises `CannotPromote` for a run that is not FINISHED, registered nothing or was not judged,
        and `ChampionChanged` where the alias has another holder than the run was judged against.
        """
        ...

    async def rollback(self, name: str, word: Rollback) -> Registered:
        """The version of the registered model `name` that held the alias before, and holds it again.

        In turn with all promotions of that model. Each call goes one holder further back. Raises `CannotPromote` where
        there is no earlier holder, or the alias moved meanwhile.
        """
        ...

    async def decide(self, turn: Turn) -> Decision:
        """Decide about a version of another service, in turn with all others, where this service decides for all.

        Raises `CannotPromote` where another service does, or MLflow refuses, and `ChampionChanged` where another version
        holds the alias than the one that was judged.
        """
        ...

    async def predict(self, question: Question, path: Path) -> str:
        """Have a model predict the test rows of another service's run into the file `path`; the digest of the rows.

        Goes on for a while where the caller is cancelled. Raises `CannotPredict`, in words, and `Unavailable`.
        """
        ...

    def log_path(self, run_id: str) -> Path | None:
        """The run's training.log on this machine, if there is one."""
        ...

    async def log_text(self, run_id: str) -> str:
        """An ended run's log, read from MLflow. Raises `UnknownRun` where it left none."""
        ...

    def capacity(self) -> Capacity:
        """What there is of slots, CPUs, GPUs and memory, which runs have it, and which wait for it."""
        ...

    async def usage(self, month: str | None = None) -> UsageReport:
        """What each team's runs used, of those that ended in this month, or in any."""
        ...

    async def problems(self) -> dict[str, str]:
        """Each part that is not ready, and what is wrong with it; empty when a submit would be taken."""
        ...
