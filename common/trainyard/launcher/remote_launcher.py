"""The engine of many machines: each host that has joined the service has a fork server, which starts the runs there.

What looks at requests, judges and predicts stays with the fork server of the service's own host.
"""

import asyncio
import os
import sys
from collections.abc import Callable, Coroutine, Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

from trainyard.contract import ModelInfo, PreviewRequest, RunRequest
from trainyard.datasets.access import DataAccess
from trainyard.errors import HostLost, LaunchRefused, Unavailable
from trainyard.launcher.fork_launcher import NOT_FOR_RUNS
from trainyard.launcher.gang import Board, Gang
from trainyard.launcher.host_messages import OnOffers, Release
from trainyard.launcher.hosts import Hosts
from trainyard.launcher.kept_files import KeptFiles, RankFiles
from trainyard.launcher.messages import Case, Job
from trainyard.launcher.process_id import ids_of_each, node_of
from trainyard.launcher.protocol import Launcher, Listener, Looked, Meeting, Process
from trainyard.launcher.ray_environment import RAY_ENVIRONMENT
from trainyard.launcher.remote_gang import all_there, begin_all
from trainyard.launcher.remote_process import ANSWER_SECONDS, PAUSE_SECONDS, RemoteProcess
from trainyard.peers.question import Question
from trainyard.registry.promotion import Judgement
from trainyard.rundir.folder import RunFolder

BRIDGE_NEEDS = frozenset({"RAY_AUTH_TOKEN", "RAY_AUTH_TOKEN_PATH"})
STRAYS_SECONDS = 2.5
"""Between two looks for them."""


class RemoteLauncher:
    """See `protocol.Launcher`. `local` is that of the service's own host.

    `owner` tells hosts this service from others of its name, once there is a work directory. `lease_file` keeps, for a
    later service there, how long the hosts' leases are. `log_limit_mb` is for the log that ranks of one run share.
    """

    def __init__(  # noqa: PLR0913 - the parts of an engine
        self,
        local: Launcher,
        *,
        bridge: Sequence[str],
        owner: Callable[[], str],
        lease_file: Path,
        lease_seconds: float,
        on_offers: OnOffers,
        log_limit_mb: int = 100,
    ) -> None:
        self._local = local
        self._log_limit_mb = log_limit_mb
        self._owner = owner
        self._lease_file, self._lease_seconds = lease_file, lease_seconds
        self._hosts = Hosts(
            [sys.executable, *bridge],
            _environment(),
            lease_seconds=lease_seconds,
            on_offers=on_offers,
        )
        self._processes: dict[str, RemoteProcess] = {}
        self._ends_strays = False
        self._keepers: list[asyncio.Task[None]] = []
        self._sending: set[asyncio.Task[None]] = set()

    @property
    def models(self) -> Mapping[str, ModelInfo]:
        """The models by name, as the service's own host has them."""
        return self._local.models

    @property
    def broken(self) -> Mapping[str, str]:
        """Model files that did not load here, and why."""
        return self._local.broken

    @property
    def hosts(self) -> Hosts:
        """Those that have joined."""
        return self._hosts

    async def start(self) -> None:
        """Get warm here, and look for hosts."""
        await self._local.start()
        earlier = _exchanged(self._lease_file, self._lease_seconds)
        self._keepers = [
            asyncio.create_task(work)
            for work in (self._hosts.keep(self._owner(), earlier), self._keep_tidy())
        ]

    async def stop(self) -> None:
        """Leave the hosts' runs as they are, once what was said to them has had its time."""
        if self._sending:
            await asyncio.wait(self._sending, timeout=PAUSE_SECONDS)
        for process in list(self._processes.values()):
            process.let_go()
        work = [*self._keepers, *self._sending]
        for task in work:
            task.cancel()
        await asyncio.gather(*work, return_exceptions=True)
        await self._local.stop()

    def warm(self) -> bool:
        """Whether the service's own host is; runs wait for hosts as they wait for slots."""
        return self._local.warm()

    async def check(self, request: RunRequest | PreviewRequest, access: DataAccess) -> Looked:
        """Looked at here."""
        return await self._local.check(request, access)

    async def judge(self, case: Case, access: DataAccess) -> Judgement:
        """Judged here."""
        return await self._local.judge(case, access)

    async def predict(self, question: Question, access: DataAccess, path: Path) -> str:
        """Predicted here."""
        return await self._local.predict(question, access, path)

    async def launch(self, job: Job, listener: Listener) -> Process:
        """Have the host of the job's process id start it, or the hosts of its ranks all of them."""
        if job.workers > 1:
            return await self._launch_all(job, listener)
        process = self._known(job.process_id, KeptFiles(RunFolder(job.folder)), listener)
        try:
            await process.begin(job)
        except (HostLost, LaunchRefused, Unavailable, asyncio.CancelledError):
            process.let_go()  # nothing of it is left, or a later service goes on with it
            raise
        except BaseException:
            process.release()
            raise
        return process

    async def _launch_all(self, job: Job, listener: Listener) -> Gang:
        gang, members = self._gang(job.process_id, RunFolder(job.folder), listener)
        try:
            await begin_all(members, [self._of_rank(job, rank) for rank in range(job.workers)])
        except asyncio.CancelledError:
            gang.let_go()
            raise
        except BaseException:
            gang.release()
            raise
        return gang

    def _of_rank(self, job: Job, rank: int) -> Job:
        """The rank's job, which names the hosts that it must reach."""
        own = job.placement[rank].node
        others = dict.fromkeys(place.node for place in job.placement if place.node != own)
        found = tuple(filter(None, map(self._hosts.answers_at, others)))
        return job.of_rank(rank).model_copy(update={"neighbours": found})

    async def launch_rank(self, job: Job, listener: Listener, meeting: Meeting) -> Process:
        """Hosts are asked for that. Raises `LaunchRefused`."""
        del job, listener, meeting
        raise LaunchRefused("a service starts all ranks of a run, and only its hosts start one")

    async def find(self, process_id: str) -> Process | None:
        """A handle of a process that nobody listens to, or of the ranks that are left; their files stay where they are."""
        each = ids_of_each(process_id)
        if len(each) == 1:
            known = self._processes.get(process_id)
            return known or await self._found(process_id, None, lambda _: None)
        gang = Gang()
        left = [await self._found(rank, None, lambda _: None) for rank in each]
        for member in filter(None, left):
            gang.join(member)
        return gang if any(left) else None

    @property
    def keeps_runs(self) -> bool:
        """They go on for as long as their hosts' leases."""
        return True

    @property
    def complaints(self) -> Mapping[str, str]:
        """As the hosts, or what asks them, say."""
        return self._hosts.complaints()

    async def take_up(self, process_id: str, folder: Path, listener: Listener) -> Process | None:
        """The process, once its host has said that it has it, or all ranks, once each host has."""
        if len(ids_of_each(process_id)) == 1:
            return await self._found(process_id, KeptFiles(RunFolder(folder)), listener)
        gang, members = self._gang(process_id, RunFolder(folder), listener)
        try:
            there = await all_there(members)
        except BaseException:
            gang.let_go()
            raise
        for member in members if there else ():
            member.follow(anew=True)
        return gang if there else None

    def end_strays(self) -> None:
        """From now on hosts are told to end what nobody here knows."""
        self._ends_strays = True

    async def _found(
        self, process_id: str, files: KeptFiles | None, listener: Listener
    ) -> RemoteProcess | None:
        """The process; None where its host says that it is not there, or is lost."""
        if node_of(process_id) is None:
            return None
        process = self._known(process_id, files, listener)
        try:
            there = await process.is_there()
        except BaseException:
            process.let_go()
            raise
        if there:
            process.follow(anew=True)
            return process
        process.let_go()
        return None

    def _gang(
        self, process_id: str, folder: RunFolder, listener: Listener
    ) -> tuple[Gang, list[RemoteProcess]]:
        """Handles of all ranks, which meet here."""
        each = ids_of_each(process_id)
        gang, board = Gang(), Board(len(each))
        members = [
            self._known(
                one,
                RankFiles(folder, rank, self._log_limit_mb),
                gang.hears(rank, listener),
                rank=rank,
                meeting=board,
            )
            for rank, one in enumerate(each)
        ]
        for member in members:
            gang.join(member)
        return gang, members

    def _known(
        self,
        process_id: str,
        files: KeptFiles | None,
        listener: Listener,
        *,
        rank: int = 0,
        meeting: Meeting | None = None,
    ) -> RemoteProcess:
        process = self._processes[process_id] = RemoteProcess(
            process_id,
            self._hosts,
            files,
            listener,
            rank=rank,
            meeting=meeting,
            forget=self._forget,
            spawn=self._spawn,
        )
        return process

    def _forget(self, process: RemoteProcess) -> None:
        self._processes.pop(process.id, None)

    def _spawn(self, work: Coroutine[Any, Any, None]) -> None:
        task = asyncio.create_task(work)
        self._sending.add(task)
        task.add_done_callback(self._sending.discard)

    async def _keep_tidy(self) -> None:
        """End what hosts hold and nobody here knows, twice in a row: what it was told was lost on the way.

        Once it may be a run that is just being taken up.
        """
        before = set[tuple[str, str]]()
        while True:
            await asyncio.sleep(STRAYS_SECONDS)
            if not self._ends_strays or self._sending:
                continue
            strays = {
                (node, process_id)
                for node, held in self._hosts.holds().items()
                for process_id in held - self._processes.keys()
            }
            for node, process_id in strays & before:
                self._spawn(self._end(node, process_id))
            before = strays

    async def _end(self, node: str, process_id: str) -> None:
        try:
            await self._hosts.ask(node, Release(process_id=process_id), ANSWER_SECONDS)
        except Unavailable:
            return  # it is found again


def _exchanged(file: Path, lease_seconds: float) -> float:
    """How long the leases are that an earlier service gave, 0 where there was none; the file has this one's from now on."""
    earlier = 0.0
    with suppress(OSError, ValueError):
        earlier = float(file.read_text())
    file.write_text(str(lease_seconds))
    return earlier


def _environment() -> dict[str, str]:
    """What the bridge needs of the service's: not what opens the service."""
    hidden = NOT_FOR_RUNS - BRIDGE_NEEDS
    return RAY_ENVIRONMENT | {
        name: value for name, value in os.environ.items() if name not in hidden
    }
