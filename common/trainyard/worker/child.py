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

from trainyard.contract import Reason
from trainyard.launcher.messages import Job, Line
from trainyard.rundir.folder import RunFolder
from trainyard.rundir.metric_journal import Journal
from trainyard.rundir.records import Outcome
from trainyard.trainer import Interrupted, Trainer
from trainyard.worker.failures import classified
from trainyard.worker.line import RunLine, Unreachable
from trainyard.worker.log_limit import keep_below
from trainyard.worker.reporting import Progress

EXIT_UNREACHABLE = 69
EXIT_BROKEN = 70
EXIT_INTERRUPTED = 75


def main(job: Job, line: Line, trainer: Trainer | None, pools: ThreadpoolController) -> NoReturn:
    """Train or score, write the outcome, leave. Raises only before there is a log to write to.

    SIGTERM is blocked when this is called, and heard once there is somebody to hear it. A process that cannot
    reach its service leaves without an outcome: another service may have taken the run up.
    """
    os.environ.update(job.environment)
    folder = RunFolder(job.folder)
    _take_the_log(folder)
    keep_below(folder.log, job.log_limit_mb)
    _take_temporary(folder)
    code = 0
    try:
        _run(job, line, folder, trainer, pools)
    except Interrupted:
        sys.stdout.write("asked to stop\n")
        code = EXIT_INTERRUPTED
    except Unreachable:
        sys.stdout.write(f"the service at {line.address} cannot be reached\n")
        code = EXIT_UNREACHABLE
    except BaseException as error:  # noqa: BLE001 - whatever a run raises is its outcome
        _fail(folder, error)
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(code)


def _run(
    job: Job, line: Line, folder: RunFolder, trainer: Trainer | None, pools: ThreadpoolController
) -> None:
    run_id = job.submission.run_id
    run_line = RunLine(line, run_id)
    progress = Progress(run_line, run_id, Journal(folder.metrics))
    signal.pthread_sigmask(signal.SIG_UNBLOCK, {signal.SIGTERM})
    run_line.open()

    from trainyard.worker.scoring_run import score_and_log
    from trainyard.worker.training_run import train_and_log

    with pools.limit(limits=job.threads):
        outcome = (
            score_and_log(job, folder, progress)
            if trainer is None
            else train_and_log(job, folder, trainer, progress)
        )
        folder.write_outcome(outcome)


def _fail(folder: RunFolder, error: BaseException) -> None:
    failure = classified(error)
    if failure.reason is Reason.CRASHED:
        traceback.print_exception(error)
    else:
        sys.stdout.write(f"{failure.reason}: {failure.detail}\n")
    with suppress(OSError):
        folder.write_outcome(
            Outcome(
                status=failure.reason.status,
                reason=failure.reason,
                message=failure.detail[:2000],
                ended_at=datetime.now(UTC),
            )
        )


def _take_the_log(folder: RunFolder) -> None:
    """All that the process prints goes to training.log; a core file goes nowhere."""
    log = os.open(folder.log, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o644)
    for number in (1, 2):
        os.dup2(log, number)
    os.close(log)
    sys.stdout, sys.stderr = (
        os.fdopen(
            number, "w", buffering=1, encoding="utf-8", errors="backslashreplace", closefd=False
        )
        for number in (1, 2)
    )
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    with suppress(OSError):
        Path("/proc/self/oom_score_adj").write_text("500")


def _take_temporary(folder: RunFolder) -> None:
    """Temporary files go to the run's folder, and with it, however the process ends."""
    os.environ["TMPDIR"] = tempfile.tempdir = str(folder.make_temporary())
