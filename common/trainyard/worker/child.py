"""What happens inside a run's process, from the fork to `outcome.json`."""

import os
import resource
import signal
import sys
import tempfile
import traceback
from contextlib import suppress
from datetime import UTC, datetime
from pathlib import Path
from typing import NoReturn

from threadpoolctl import ThreadpoolController

from trainyard.contract import Phase, Reason
from trainyard.disk_space import is_full
from trainyard.field_errors import readable
from trainyard.launcher.messages import EXIT_INTERRUPTED, EXIT_NO_SPACE, Job, Line
from trainyard.rundir.folder import RunFolder
from trainyard.rundir.metric_journal import Journal
from trainyard.rundir.records import Outcome
from trainyard.trainer import Interrupted, Trainer
from trainyard.worker.failures import classified
from trainyard.worker.line import RunLine, Unreachable
from trainyard.worker.log_limit import keep_below
from trainyard.worker.rank_log import RankLog
from trainyard.worker.reporting import Progress
from trainyard.worker.streams import standard_streams

SECONDS_OF_A_TURN = 0.0005
"""How long a thread may hold Python's lock while another waits. A training asks for it each round: with Python's 5 ms,
300 rounds beside a busy thread wait a second for nothing."""
AUTOGROUP = Path("/proc/self/autogroup")
EXIT_UNREACHABLE = 69
EXIT_BROKEN = 70


def main(job: Job, line: Line, trainer: Trainer | None, pools: ThreadpoolController) -> NoReturn:
    """Train or score, write the outcome, leave. Raises only before there is a log to write to.

    SIGTERM is blocked when this is called, and heard once there is somebody to hear it. A process that cannot
    reach its service leaves without an outcome: another service may have taken the run up.
    """
    os.environ.update(job.environment)
    folder = RunFolder(job.folder)
    own = folder.of_rank(job.rank)
    own.path.mkdir(exist_ok=True)
    _take_the_log(folder, job)
    _take_cores(job.cores)
    _step_back(job.niceness)
    _take_temporary(own)
    sys.setswitchinterval(SECONDS_OF_A_TURN)
    code = 0
    try:
        _run(job, line, folder, trainer, pools)
    except Interrupted:
        _say("asked to stop")
        code = EXIT_INTERRUPTED
    except Unreachable:
        _say(f"the service at {line.address} cannot be reached")
        code = EXIT_UNREACHABLE
    except BaseException as error:  # noqa: BLE001 - whatever a run raises is its outcome
        code = _fail(own, error)
    for stream in (sys.stdout, sys.stderr):
        with suppress(OSError):
            stream.flush()
    os._exit(code)


def _run(
    job: Job, line: Line, folder: RunFolder, trainer: Trainer | None, pools: ThreadpoolController
) -> None:
    run_line = RunLine(line, job.seat)
    if job.rank and trainer is not None:
        _train_along(job, trainer, run_line, pools)
        return
    run_id = job.submission.run_id
    progress = Progress(run_line, run_id, Journal(folder.metrics))
    with progress.interruptions():
        signal.pthread_sigmask(signal.SIG_UNBLOCK, {signal.SIGTERM})
        run_line.open()

        from trainyard.worker.scoring_run import score_and_log
        from trainyard.worker.training_run import train_and_log

        progress.enter(Phase.LOADING_DATA)
        # Threads are started after its first word: on a busy machine each start waits for a turn.
        run_line.watch()
        keep_below(folder.log, job.log_limit_mb)
        if job.workers > 1:
            _hear_sigterm_elsewhere()
        with pools.limit(limits=job.threads):
            outcome = (
                score_and_log(job, folder, progress)
                if trainer is None
                else train_and_log(job, folder, trainer, progress)
            )
            folder.write_outcome(outcome)


def _hear_sigterm_elsewhere() -> None:
    """Have the threads that there are take SIGTERM: LightGBM's collectives take a wait that a signal breaks off for a failure.

    Python's handler runs in this thread all the same, between two of its steps. Arrow would break off what it reads
    by a signal, and then send that to this thread, which never hears it.
    """
    import pyarrow as pa

    pa.enable_signal_handlers(False)
    signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGTERM})


def _train_along(job: Job, trainer: Trainer, line: RunLine, pools: ThreadpoolController) -> None:
    """As a rank beside rank 0, which alone is asked to stop: SIGTERM ends this one."""
    signal.pthread_sigmask(signal.SIG_UNBLOCK, {signal.SIGTERM})
    line.open()
    line.watch()
    if job.placement:  # then the log is this rank's own
        keep_below(RunFolder(job.folder).log, job.log_limit_mb)

    from trainyard.worker.rank_run import train_along

    with pools.limit(limits=job.threads):
        train_along(job, trainer, line)


def _say(text: str) -> None:
    """Print it, unless there is no space for the log."""
    with suppress(OSError):
        sys.stdout.write(f"{text}\n")


def _fail(folder: RunFolder, error: BaseException) -> int:
    """Say in the log and in the outcome why the run failed. The code to leave with, which says it where neither has space."""
    failure = classified(error)
    if failure.reason is Reason.CRASHED:
        with suppress(OSError):
            traceback.print_exception(error)
    else:
        _say(f"{failure.reason}: {failure.detail}")
    try:
        folder.write_outcome(
            Outcome(
                status=failure.reason.status,
                reason=failure.reason,
                message=readable(failure.detail)[:2000],
                ended_at=datetime.now(UTC),
            )
        )
    except OSError as unwritten:
        return EXIT_NO_SPACE if is_full(unwritten) else 0
    return 0


def _take_the_log(folder: RunFolder, job: Job) -> None:
    """All that the process prints goes to training.log, from one rank of several with its rank; a core file goes nowhere."""
    log = os.open(folder.log, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o644)
    for number in (1, 2):
        os.dup2(log, number)
    os.close(log)
    sys.stdout, sys.stderr = standard_streams()
    if job.workers > 1:
        sys.stdout, sys.stderr = (RankLog(each, job.rank) for each in (sys.stdout, sys.stderr))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    with suppress(OSError):
        Path("/proc/self/oom_score_adj").write_text("500")


def _take_cores(cores: tuple[int, ...]) -> None:
    """Before any thread is started: threads run where the one that started them may."""
    if not cores:
        return
    try:
        os.sched_setaffinity(0, cores)
    except OSError as error:
        sys.stdout.write(f"this run may use any core, and not {cores} alone: {error}\n")


def _step_back(niceness: int) -> None:
    """Before any thread is started: those who ask the service are answered first, and the rest of the processor is the run's.

    A run leads a session. On a machine of persons Linux divides the processor among sessions, and within one alone by
    `nice`, unless the session's own word is lowered; it refuses a second one within 0.1 s, and that run does without.
    """
    if not niceness:
        return
    os.nice(niceness)
    with suppress(OSError):
        AUTOGROUP.write_text(str(niceness))


def _take_temporary(folder: RunFolder) -> None:
    """Temporary files go to the run's folder, and with it, however the process ends."""
    os.environ["TMPDIR"] = tempfile.tempdir = str(folder.make_temporary())
