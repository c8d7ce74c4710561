"""A supervisor in memory: for tests of what stands before it, with the clock in the test's hands."""

import asyncio
from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from uuid import uuid4

from trainyard.contract import Links, ModelInfo, Run, RunPage, RunStatus, Task, TrainRequest
from trainyard.errors import Invalid, KeyReused, UnknownRun


class InMemoryRuns:
    """Accepts every request and trains nothing; `change` is what a run's process would have done."""

    def __init__(self, logs: Path, models: Mapping[str, ModelInfo] | None = None) -> None:
        self.models: Mapping[str, ModelInfo] = models if models is not None else example_models()
        self.broken_models: dict[str, str] = {}
        self.not_ready: dict[str, str] = {}
        self.started = False
        self.waiting = asyncio.Event()
        self.submitted: list[TrainRequest] = []
        self.kept_logs: dict[str, str] = {}
        self._logs = logs
        self._runs: dict[str, Run] = {}
        self._keys: dict[str, tuple[str, TrainRequest]] = {}
        self._changed = asyncio.Condition()
        self._new: asyncio.Queue[str] = asyncio.Queue()

    async def start(self) -> None:
        """Say that it was started."""
        self.started = True

    async def stop(self) -> None:
        """Say that it was stopped."""
        self.started = False

    async def submit(self, request: TrainRequest, key: str | None) -> tuple[Run, bool]:
        """A scheduled run, or the one that has the key."""
        if key is not None and key in self._keys:
            run_id, earlier = self._keys[key]
            if earlier != request:
                raise KeyReused
            return self._runs[run_id], False
        run = _scheduled(request)
        self._runs[run.run_id] = run
        self.submitted.append(request)
        self._new.put_nowait(run.run_id)
        if key is not None:
            self._keys[key] = run.run_id, request
        return run, True

    async def next_submitted(self) -> str:
        """The run_id of the next run that is accepted."""
        return await self._new.get()

    async def get(self, run_id: str) -> Run:
        """The run."""
        if run_id not in self._runs:
            raise UnknownRun
        return self._runs[run_id]

    async def wait(self, run_id: str, seconds: float, since: int | None) -> Run:
        """The run once it changed or ended."""
        self.waiting.set()

        def arrived() -> bool:
            run = self._runs[run_id]
            return run.status.ended if since is None else run.version > since

        await self.get(run_id)
        try:
            async with asyncio.timeout(seconds), self._changed:
                await self._changed.wait_for(arrived)
        except TimeoutError:
            pass
        return self._runs[run_id]

    async def change(self, run_id: str, **fields: Any) -> Run:
        """The run with these fields, one version on."""
        async with self._changed:
            run = self._runs[run_id]
            self._runs[run_id] = run.model_copy(update=fields | {"version": run.version + 1})
            self._changed.notify_all()
        return self._runs[run_id]

    def live_json(self, run_id: str) -> bytes | None:
        """The run as JSON while it has not ended."""
        run = self._runs.get(run_id)
        return run.model_dump_json().encode() if run and not run.status.ended else None

    async def page(
        self,
        *,
        status: RunStatus | None,
        model: str | None,
        experiment: str | None,
        limit: int,
        cursor: str | None,
    ) -> RunPage:
        """Runs, newest first; the cursor is the position."""
        if cursor is not None and not (cursor.isascii() and cursor.isdigit()):
            raise Invalid.field("/query/cursor", "is not one that this service gave out")
        fitting = [
            run
            for run in reversed(self._runs.values())
            if status in {None, run.status}
            and model in {None, run.model}
            and experiment in {None, run.experiment}
        ]
        start = int(cursor or 0)
        end = start + limit
        return RunPage(runs=fitting[start:end], cursor=str(end) if end < len(fitting) else None)

    async def cancel(self, run_id: str) -> tuple[Run, bool]:
        """The run, killed if it was under way."""
        run = await self.get(run_id)
        if run.status.ended:
            return run, False
        return await self.change(run_id, status=RunStatus.KILLED), True

    def log_path(self, run_id: str) -> Path | None:
        """The log that the test wrote."""
        path = self._logs / f"{run_id}.log"
        return path if path.exists() else None

    async def log_text(self, run_id: str) -> str:
        """The log that the test kept."""
        return self.kept_logs.get(run_id, "")

    async def problems(self) -> dict[str, str]:
        """What the test says is not ready."""
        return self.not_ready

    def statistics(self) -> dict[str, float]:
        """Runs by status."""
        ended = [run.status for run in self._runs.values() if run.status.ended]
        counts = {f'runs_ended_total{{status="{each}"}}': float(ended.count(each)) for each in ended}
        return {"runs_queued": float(len(self._runs) - len(ended)), "slots": 1.0} | counts


def example_models() -> dict[str, ModelInfo]:
    """One model."""
    info = ModelInfo(
        name="xgboost_classifier",
        task=Task.CLASSIFICATION,
        framework="xgboost-cpu",
        framework_version="3.2.0",
        description="Gradient-boosted trees",
        data=["table"],
        params_schema={"type": "object"},
        defaults={},
        example={"model": "xgboost_classifier"},
    )
    return {info.name: info}


def _scheduled(request: TrainRequest) -> Run:
    run_id = uuid4().hex
    here = f"/train/{run_id}"
    return Run(
        run_id=run_id,
        status=RunStatus.SCHEDULED,
        version=1,
        model=request.model,
        service="example",
        experiment=request.experiment,
        experiment_id="0",
        run_name=request.run_name or "unnamed",
        submitted_at=datetime.now(UTC),
        links=Links(self=here, logs=f"{here}/logs", mlflow="http://127.0.0.1:5000"),
    )
