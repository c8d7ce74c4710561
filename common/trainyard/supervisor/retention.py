"""Removing the work directories of runs that ended long ago, and answers to queries that nobody has read since."""

import asyncio
from datetime import UTC, datetime, timedelta
from functools import partial
from pathlib import Path

import structlog

from trainyard.rundir.folder import run_folders
from trainyard.supervisor.blocking import Blocking

TIDY_SECONDS = 3600.0
log = structlog.get_logger()


async def tidy(runs: Path, rows: Path, blocking: Blocking, *, keep_days: float) -> None:
    """Now and every hour, remove work directories and answers that are past their time."""
    while True:
        try:
            await blocking.run(partial(prune, runs, keep_days=keep_days))
            await blocking.run(partial(prune_rows, rows, keep_days=keep_days))
        except Exception:
            log.exception("old work directories cannot be removed")
        await asyncio.sleep(TIDY_SECONDS)


def prune(runs: Path, *, keep_days: float) -> None:
    """Remove the folders of runs that MLflow has known to be over for more than `keep_days`, and of which all is told."""
    for folder in run_folders(runs):
        closed_at = folder.closed_at
        over = closed_at and datetime.now(UTC) - closed_at > timedelta(days=keep_days)
        if over and not folder.unsettled_notices():
            folder.remove()


def prune_rows(rows: Path, *, keep_days: float) -> None:
    """Remove the answers that were asked for, or read, more than `keep_days` ago."""
    oldest = (datetime.now(UTC) - timedelta(days=keep_days)).timestamp()
    for file in rows.glob("*") if rows.is_dir() else ():
        if file.stat().st_mtime < oldest:
            file.unlink(missing_ok=True)
