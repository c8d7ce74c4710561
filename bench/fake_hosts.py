"""The bridge to many hosts that are this process: `fake_hosts.py INSTANCE HEAD ADDRESS FD`; `many_hosts.py` has it started.

Each host is what it is elsewhere but for its launcher, whose runs are not processes: they report once a second, write a
line and a row of metrics each time, and finish after as many rounds as their params say.
"""

import asyncio
import contextlib
import os
import socket
import sys
from collections.abc import Sequence
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import Any

from pydantic import BaseModel
from trainyard.contract import Phase, Placement, RunStatus
from trainyard.datasets.access import DataAccess
from trainyard.host.folders import HostFolders
from trainyard.host.hosted_runs import HostedRuns, as_on
from trainyard.launcher.host_messages import (
    Answered,
    Ask,
    Connected,
    Node,
    Nodes,
    Offer,
    bridge_orders,
)
from trainyard.launcher.messages import Alive, Job, PhaseEntered, Progressed, as_line
from trainyard.launcher.protocol import Listener, RankEnd, Used
from trainyard.rundir.folder import RunFolder
from trainyard.rundir.records import Outcome

HOSTS, SLOTS = (int(os.environ.get(f"FAKE_{name}", "20")) for name in ("HOSTS", "SLOTS"))
ROUND_SECONDS = 1.0
LIMIT = 16 * 1024 * 1024


class FakeRun:
    """What stands for a run's process; see `launcher.protocol.Process`."""

    used, lost_with, missed, cut_from = Used(cpu_seconds=0.0, peak_memory_mb=1), None, None, None
    for_memory = False
    ranks: Sequence[RankEnd] = ()

    def __init__(self, job: Job, listener: Listener) -> None:
        self.id = job.process_id
        self._job, self._listener = job, listener
        self._code: int | None = None
        self._task = asyncio.create_task(self._train())

    async def ended(self) -> int | None:
        """Its exit code, once it is gone."""
        with contextlib.suppress(asyncio.CancelledError):
            await asyncio.shield(self._task)
        return self._code

    def kill(self) -> None:
        """End it as SIGKILL does."""
        if not self._task.done():
            self._code = -9
            self._task.cancel()

    ask_to_stop = release = kill

    def let_go(self) -> None:
        """Leave it as it is."""

    async def _train(self) -> None:
        folder = RunFolder(self._job.folder)
        rounds = dict(self._job.submission.request.params)["rounds"]
        self._listener(PhaseEntered(sequence=1, phase=Phase.LOADING_DATA))
        self._listener(PhaseEntered(sequence=2, phase=Phase.TRAINING))
        for done in range(1, rounds + 1):
            await asyncio.sleep(ROUND_SECONDS)
            metrics = {"train_log_loss": 1 / done}
            with folder.log.open("a") as log, (folder.path / "metrics.jsonl").open("a") as rows:
                log.write(f"round {done} of {rounds}\n")
                rows.write(f'[{done}, 0, {{"train_log_loss": {1 / done}}}]\n')
            told = Progressed(
                sequence=2 + done, done=done, total=rounds, unit="rounds", metrics=metrics
            )
            self._listener(told)
        ended = Outcome(status=RunStatus.FINISHED, ended_at=datetime.now(UTC), metrics=metrics)
        folder.write_outcome(ended)
        self._code = 0


class FakeLauncher:
    """Starts them."""

    def warm(self) -> bool:
        """At once."""
        return True

    async def launch(self, job: Job, listener: Listener) -> FakeRun:
        """Start one."""
        return FakeRun(job, listener)

    async def find(self, process_id: str) -> None:
        """None: they end with this process."""


def host(number: int, home: Path) -> HostedRuns:
    """One host's runs."""
    node = f"n{number}"
    launcher: Any = FakeLauncher()
    place = Placement(host=f"host-{number}", address="127.0.0.1", node=node)
    here = partial(
        as_on,
        access=DataAccess((home,), home / "data"),
        left_for_data=int,
        tracking_uri="http://127.0.0.1:9",
        locks=home,
    )
    offer = Offer(placement=place, slots=SLOTS, cpus=SLOTS)
    return HostedRuns(launcher, offer, HostFolders(home / "hosted", node), as_here=here)


async def serve(home: Path, service: socket.socket) -> None:
    """Until the service hangs up."""
    reader, writer = await asyncio.open_connection(sock=service, limit=LIMIT)
    hosts = {f"n{number}": host(number, home) for number in range(HOSTS)}
    keepers = [asyncio.create_task(each.keep()) for each in hosts.values()]

    def tell(report: BaseModel) -> None:
        writer.write(as_line(report))

    async def answer(ask: Ask) -> None:
        tell(Answered(number=ask.number, answer=await hosts[ask.node].carry_out(ask.order)))

    tell(Connected())
    tell(Nodes(nodes=tuple(Node(id=node, address="127.0.0.1", port=9) for node in hosts)))
    work = set[asyncio.Task[None]]()
    while text := await reader.readline():
        order = bridge_orders.validate_json(text)
        if not isinstance(order, Ask):
            tell(Alive(number=order.number))
        else:
            task = asyncio.create_task(answer(order))
            work.add(task)
            task.add_done_callback(work.discard)
    for keeper in keepers:
        keeper.cancel()


if __name__ == "__main__":
    asyncio.run(serve(Path(os.environ["FAKE_HOME"]), socket.socket(fileno=int(sys.argv[-1]))))
