"""The engine of one machine: runs are forked from a warm fork server and outlive it."""

import asyncio
import os
import sys
from collections.abc import Mapping
from functools import partial
from pathlib import Path
from typing import TypeVar

import structlog

from trainyard.contract import FieldError, ModelInfo, PreviewRequest, RunRequest
from trainyard.datasets.access import DataAccess
from trainyard.errors import CannotPredict, LaunchRefused, Unavailable
from trainyard.launcher.gang import Board, Gang
from trainyard.launcher.kept_server import KeptServer
from trainyard.launcher.messages import (
    Case,
    Check,
    Checked,
    Exited,
    Fork,
    Forked,
    Job,
    Judge,
    Judged,
    Line,
    Predict,
    Predicted,
    Ready,
)
from trainyard.launcher.own_folder import OwnFolder, clear_leftovers
from trainyard.launcher.process import ForkedProcess, end_just_forked
from trainyard.launcher.process_id import ids_of_each, parsed
from trainyard.launcher.protocol import Listener, Looked, Meeting, Process
from trainyard.launcher.run_lines import RunLines, Seat
from trainyard.launcher.watching import Watch
from trainyard.peers.question import Question
from trainyard.peers.services import Peers
from trainyard.registry.promotion import Judgement

FORK_SECONDS = 10.0
CHECK_ANSWER_SECONDS = 5.0
"""What a check may take beyond its own limit; all together stays below the 60 s that callers wait."""
NOT_FOR_RUNS = frozenset(
    {
        "TRAINYARD_TOKEN",
        "TRAINYARD_TOKEN_FILE",
        "TRAINYARD_TOKENS_FILE",
        "TRAINYARD_NOTIFY_SECRET",
        "OTEL_EXPORTER_OTLP_HEADERS",
        "RAY_AUTH_TOKEN",
        "RAY_AUTH_TOKEN_PATH",
    }
)
"""Variables of the service that the models' code need not see."""
SPIN_COUNT = "1000"
"""How long GNU OpenMP's threads, which XGBoost, LightGBM and PyTorch train with, wait for each other without sleeping.

By its own default, 300 times as long, two fits of two threads each on two cores took 9.5 s where one alone took 1.0;
with this 2.2 s, and 1.2 s alone.
"""
BLAS_SPIN = "18"
"""The same for each OpenBLAS, NumPy's and SciPy's, as the power of two of processor cycles: 0.1 ms.

By its own default, 256 times as long, their threads took 50 ms of the processor when a run began, from its first steps.
"""
T = TypeVar("T", Checked, Judged, Predicted)
log = structlog.get_logger()


class ForkLauncher:
    """See `protocol.Launcher`."""

    def __init__(  # noqa: PLR0913 - the settings of an engine, each with its default
        self,
        package: str,
        models_path: Path | None,
        *,
        threads: int,
        tracking_uri: str,
        warm_seconds: float = 20.0,
        check_seconds: float = 30.0,
        check_memory_mb: int = 1024,
        judge_seconds: float = 300.0,
        judge_memory_mb: int = 8192,
        peers: Peers | None = None,
        line_grace_seconds: float = 10.0,
        python: str = sys.executable,
    ) -> None:
        self._warm_seconds = warm_seconds
        self._check_seconds = check_seconds
        self._check_memory_mb = check_memory_mb
        self._threads = threads
        self._judge_seconds = judge_seconds
        self._judge_memory_mb = judge_memory_mb
        self._peers = peers or Peers("")
        self._line_grace_seconds = line_grace_seconds
        self._models: Mapping[str, ModelInfo] = {}
        self._broken: Mapping[str, str] = {}
        self._processes: dict[str, ForkedProcess] = {}
        self._folder = OwnFolder()
        self._lines = RunLines(self._folder.path / "runs")
        command = [python, "-m", "trainyard.launcher.fork_server"]
        self._server = KeptServer(
            [*command, package, str(models_path or ""), tracking_uri],
            _environment(threads),
            on_report=self._told,
            on_lost=self._lost,
        )
        self._watch = Watch()
        self._keepers: list[asyncio.Task[None]] = []

    @property
    def models(self) -> Mapping[str, ModelInfo]:
        """The models by name."""
        return self._models

    @property
    def broken(self) -> Mapping[str, str]:
        """Model files that did not load, and why."""
        return self._broken

    async def start(self) -> None:
        """Listen for runs, and keep a fork server alive."""
        await asyncio.to_thread(clear_leftovers)
        await self._lines.open()
        self._keepers = [
            asyncio.create_task(work) for work in (self._server.keep(), self._watch.keep())
        ]

    async def stop(self) -> None:
        """End the fork server and every run that is left."""
        for keeper in self._keepers:
            keeper.cancel()
        await asyncio.gather(*self._keepers, return_exceptions=True)
        for process in list(self._processes.values()):
            process.kill()
        self._lines.close()
        self._folder.close()

    def warm(self) -> bool:
        """Whether the fork server is ready."""
        return self._server.ready

    async def check(self, request: RunRequest | PreviewRequest, access: DataAccess) -> Looked:
        """Have the fork server look at the request in a process of its own."""

        def order(number: int) -> Check:
            return Check(
                number=number,
                request=request,
                access=access,
                seconds=self._check_seconds,
                memory_mb=self._check_memory_mb,
            )

        try:
            found = await self._server.ask(
                order,
                _as_told,
                ready_seconds=self._warm_seconds,
                answer_seconds=self._check_seconds + CHECK_ANSWER_SECONDS,
            )
        except LaunchRefused as error:
            return Looked((FieldError(pointer="/model", detail=error.detail),), 0)
        if found.away is not None:
            raise Unavailable(found.away)
        return Looked(found.errors, found.more, found.data_version, found.preview)

    async def judge(self, case: Case, access: DataAccess) -> Judgement:
        """Have the fork server judge the holder in a process of its own."""

        def order(number: int) -> Judge:
            return Judge(
                number=number,
                case=case,
                access=access,
                peers=self._peers,
                threads=self._threads,
                seconds=self._judge_seconds,
                memory_mb=self._judge_memory_mb,
            )

        try:
            found: Judged = await self._server.ask(
                order,
                _as_told,
                ready_seconds=self._warm_seconds,
                answer_seconds=self._judge_seconds + CHECK_ANSWER_SECONDS,
            )
        except LaunchRefused as error:
            return Judgement(case.holder, incomparable=error.detail)
        if found.judgement is None:
            raise Unavailable("MLflow does not answer the process that judges the alias's holder")
        return found.judgement

    async def predict(self, question: Question, access: DataAccess, path: Path) -> str:
        """Have the fork server predict in a process of its own."""

        def order(number: int) -> Predict:
            return Predict(
                number=number,
                question=question,
                path=path,
                access=access,
                threads=self._threads,
                seconds=self._judge_seconds,
                memory_mb=self._judge_memory_mb,
            )

        found: Predicted = await self._server.ask(
            order,
            _as_told,
            ready_seconds=self._warm_seconds,
            answer_seconds=self._judge_seconds + CHECK_ANSWER_SECONDS,
        )
        if found.away:
            raise Unavailable("MLflow does not answer the process that predicts")
        if found.refusal is not None:
            raise CannotPredict(found.refusal)
        return found.rows

    async def launch(self, job: Job, listener: Listener) -> Process:
        """Fork a run's process, or one for each of its ranks."""
        if job.workers == 1:
            return await self._launch(job, listener)
        gang, board = Gang(), Board(job.workers)
        try:
            for rank in range(job.workers):
                gang.join(await self._launch(job.of_rank(rank), gang.hears(rank, listener), board))
        except BaseException:
            gang.release()
            raise
        return gang

    async def launch_rank(self, job: Job, listener: Listener, meeting: Meeting) -> Process:
        """Fork the process of one rank."""
        return await self._launch(job, listener, meeting)

    async def _launch(
        self, job: Job, listener: Listener, meeting: Meeting | None = None
    ) -> ForkedProcess:
        gather = partial(meeting.take, job.rank) if meeting else None
        seat = self._lines.reserve(job.seat, listener, gather)
        if meeting:
            meeting.seat(job.rank, seat.say)
        made: list[ForkedProcess] = []
        try:
            return await self._fork(job, seat, made)
        except BaseException:
            for process in made:  # it was forked, but nobody is left who would own it
                process.release()
            seat.leave()
            raise

    async def find(self, process_id: str) -> Process | None:
        """A handle of a process that may be no child of ours, or of the ranks that are left."""
        each = ids_of_each(process_id)
        if len(each) == 1:
            return self._find(process_id)
        gang = Gang()
        left = [self._find(rank) for rank in each]
        for member in filter(None, left):
            gang.join(member)
        return gang if any(left) else None

    def _find(self, process_id: str) -> ForkedProcess | None:
        if parsed(process_id) is None:
            return None
        known = self._processes.get(process_id)
        if known:
            return known if known.runs else None
        process = ForkedProcess(process_id)
        if process.runs:
            return process
        process.look_away()
        return None

    @property
    def keeps_runs(self) -> bool:
        """Processes end when their lines find no service."""
        return False

    @property
    def complaints(self) -> Mapping[str, str]:
        """There are no hosts but this one."""
        return {}

    async def take_up(self, process_id: str, folder: Path, listener: Listener) -> None:  # noqa: ARG002
        """None goes on without its service."""
        return

    def end_strays(self) -> None:
        """There are none."""

    async def _fork(self, job: Job, seat: Seat, made: list[ForkedProcess]) -> ForkedProcess:
        line: Line = self._lines.line(seat, self._line_grace_seconds)

        def accept(report: Forked) -> ForkedProcess:
            try:
                process = ForkedProcess(
                    report.process_id,
                    seat=seat,
                    watch=self._watch,
                    limit_mb=job.memory_limit_mb,
                    forget=self._forget,
                )
            except BaseException:  # the next try must not meet it in the run's folder
                end_just_forked(report.process_id)
                raise
            self._processes[process.id] = process
            made.append(process)
            return process

        return await self._server.ask(
            lambda number: Fork(number=number, job=job, line=line),
            accept,
            ready_seconds=self._warm_seconds,
            answer_seconds=FORK_SECONDS,
        )

    def _told(self, report: Ready | Exited | Forked | Checked | Judged | Predicted) -> None:
        if isinstance(report, Ready):
            self._models = {each.name: each for each in report.models}
            self._broken = report.broken
            for path, why in report.broken.items():
                log.warning("a model file did not load", file=path, why=why)
        elif isinstance(report, Exited):
            if report.process_id in self._processes:
                self._processes[report.process_id].exit_told(report.code, report.cpu_seconds)
        elif isinstance(report, Forked):
            log.warning("ended a process that nobody waited for", process_id=report.process_id)
            end_just_forked(report.process_id)

    def _lost(self) -> None:
        """Nobody can tell any more how the processes end that run now."""
        for process in self._processes.values():
            process.exit_told(None)

    def _forget(self, process: ForkedProcess) -> None:
        self._processes.pop(process.id, None)


def _as_told(report: T) -> T:
    return report


def _environment(threads: int) -> dict[str, str]:
    return {
        "GOMP_SPINCOUNT": SPIN_COUNT,
        "OPENBLAS_THREAD_TIMEOUT": BLAS_SPIN,
        **{name: value for name, value in os.environ.items() if name not in NOT_FOR_RUNS},
        "OMP_NUM_THREADS": str(threads),
        "OPENBLAS_NUM_THREADS": "1",
        "MPLBACKEND": "agg",
    }
