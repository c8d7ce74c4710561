"""How a run's process starts: the seam for other engines, and the one there is, a warm fork server."""

import asyncio
import contextlib
import json
import os
import signal
import sys
import tempfile
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, Protocol

import structlog

from trainyard.contract import FieldError, ModelInfo
from trainyard.errors import Unavailable

LINE_LIMIT = 16 * 1024 * 1024
WARM_SECONDS = 60.0
log = structlog.get_logger()

Listener = Callable[[dict[str, Any]], None]


class Launcher(Protocol):
    """Starts a run's process and says how it ended."""

    models: Mapping[str, ModelInfo]
    broken: Mapping[str, str]

    async def start(self) -> None:
        """Begin to get warm."""
        ...

    async def stop(self) -> None:
        """End what is left."""
        ...

    def warm(self) -> bool:
        """Whether a run's process would start at once."""
        ...

    async def validate(self, model: str, params: Mapping[str, Any]) -> list[FieldError]:
        """What is wrong with the params. Raises `Unavailable` when nothing can tell now."""
        ...

    async def launch(self, job: dict[str, Any], listener: Listener) -> "Process":
        """Start a run's process; `listener` gets what it tells."""
        ...


class Process:
    """A run's process and its group. `code` is its exit code, None while unknown."""

    def __init__(self, pid: int) -> None:
        self.pid = pid
        self.code: int | None = None
        self.told = asyncio.Event()
        try:
            self._pidfd = os.pidfd_open(pid)
        except ProcessLookupError:
            self._pidfd = -1

    async def ended(self) -> None:
        """Wait until the process is gone."""
        if self._pidfd >= 0:
            loop, gone = asyncio.get_running_loop(), asyncio.Event()
            loop.add_reader(self._pidfd, gone.set)
            try:
                await gone.wait()
            finally:
                loop.remove_reader(self._pidfd)
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(self.told.wait(), 1.0)

    def signal(self, number: signal.Signals) -> None:
        """Signal the whole group."""
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.killpg(self.pid, number)

    def release(self) -> None:
        """End what the run left behind."""
        self.signal(signal.SIGKILL)
        if self._pidfd >= 0:
            os.close(self._pidfd)
            self._pidfd = -1


class ForkLauncher:
    """A fork server with the framework imported; restarted whenever it dies. Runs outlive it."""

    def __init__(self, package: str, models_path: Path | None, *, threads: int, tracking_uri: str) -> None:
        self._tracking_uri = tracking_uri
        self.models: Mapping[str, ModelInfo] = {}
        self.broken: Mapping[str, str] = {}
        self._package = package
        self._models_path = models_path
        self._threads = threads
        self._writer: asyncio.StreamWriter | None = None
        self._warm = asyncio.Event()
        self._answers: dict[int, asyncio.Future[dict[str, Any]]] = {}
        self._asked = 0
        self._processes: dict[int, Process] = {}
        self._exits: dict[int, int] = {}
        self._listeners: dict[str, Listener] = {}
        self._folder = tempfile.TemporaryDirectory(prefix="trainyard-")
        self._socket = f"{self._folder.name}/socket"
        self._keeper: asyncio.Task[None] | None = None
        self._server: asyncio.Server | None = None

    async def start(self) -> None:
        """Listen for the fork server and the runs, and keep a fork server alive."""
        self._server = await asyncio.start_unix_server(self._connected, self._socket, limit=LINE_LIMIT)
        self._keeper = asyncio.create_task(self._keep_alive())

    async def stop(self) -> None:
        """End the fork server, and with it every run that is left."""
        if self._keeper:
            self._keeper.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await self._keeper
        if self._server:
            self._server.close()
        self._folder.cleanup()

    def warm(self) -> bool:
        """Whether the fork server is ready."""
        return self._warm.is_set()

    async def validate(self, model: str, params: Mapping[str, Any]) -> list[FieldError]:
        """Ask the fork server, which has the model's params class."""
        answer = await self._ask(op="validate", model=model, params=params)
        return [FieldError(**each) for each in answer["errors"]]

    async def launch(self, job: dict[str, Any], listener: Listener) -> Process:
        """Fork a run's process."""
        self._listeners[Path(job["folder"]).name] = listener
        answer = await self._ask(op="fork", job={**job, "socket": self._socket})
        process = Process(answer["pid"])
        self._processes[process.pid] = process
        if process.pid in self._exits:
            self._note_exit(process.pid, self._exits.pop(process.pid))
        return process

    async def _ask(self, **request: Any) -> dict[str, Any]:
        try:
            await asyncio.wait_for(self._warm.wait(), WARM_SECONDS)
        except TimeoutError as error:
            message = "the fork server is not ready"
            raise Unavailable(message) from error
        if self._writer is None:
            message = "the fork server is starting again"
            raise Unavailable(message)
        self._asked += 1
        answer: asyncio.Future[dict[str, Any]] = asyncio.get_running_loop().create_future()
        self._answers[self._asked] = answer
        self._writer.write(json.dumps({"id": self._asked, **request}).encode() + b"\n")
        return await answer

    async def _keep_alive(self) -> None:
        environment = {**os.environ, "OMP_NUM_THREADS": str(self._threads), "OPENBLAS_NUM_THREADS": "1", "MPLBACKEND": "agg"}
        pause = 0.5
        while True:
            process = await asyncio.create_subprocess_exec(
                sys.executable, "-m", "trainyard.forkserver", self._socket, self._package,
                str(self._models_path or ""), self._tracking_uri, env=environment,
            )
            try:
                code = await process.wait()
            except asyncio.CancelledError:
                process.kill()
                await process.wait()
                raise
            was_warm = self._warm.is_set()
            self._lost()
            log.warning("fork server ended", code=code)
            pause = 0.5 if was_warm else min(pause * 2, 30.0)
            await asyncio.sleep(pause)

    def _lost(self) -> None:
        self._warm.clear()
        self._writer = None
        for answer in self._answers.values():
            if not answer.done():
                answer.set_exception(Unavailable("the fork server ended"))
        self._answers.clear()
        for process in self._processes.values():
            process.told.set()

    async def _connected(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            hello = json.loads(await reader.readline())
            if hello["hello"] == "forkserver":
                self._greet(hello, writer)
            listener = self._listeners.get(hello.get("run_id", ""))
            while line := await reader.readline():
                message = json.loads(line)
                if hello["hello"] == "forkserver":
                    self._told(message)
                elif listener:
                    listener(message)
        except (ConnectionError, ValueError):
            log.warning("a line broke off")
        finally:
            writer.close()

    def _greet(self, hello: dict[str, Any], writer: asyncio.StreamWriter) -> None:
        self.models = {each["name"]: ModelInfo.model_validate_json(json.dumps(each)) for each in hello["models"]}
        self.broken = hello["broken"]
        for path, why in self.broken.items():
            log.warning("a model file did not load", file=path, why=why)
        self._writer = writer
        self._warm.set()

    def _told(self, message: dict[str, Any]) -> None:
        if "exited" in message:
            self._note_exit(message["exited"], message["code"])
        else:
            answer = self._answers.pop(message["id"], None)
            if answer and not answer.done():
                answer.set_result(message)

    def _note_exit(self, pid: int, code: int) -> None:
        process = self._processes.pop(pid, None)
        if process is None:
            self._exits[pid] = code
        else:
            process.code = code
            process.told.set()
