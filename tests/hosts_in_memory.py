"""Hosts in this process and in virtual time: the service's side and the hosts' own, real both, with nothing between them but calls."""

import asyncio
from collections.abc import Awaitable, Callable, Coroutine, Mapping, Sequence
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from fakes import FakeLauncher
from trainyard.contract import Placement
from trainyard.datasets.access import DataAccess
from trainyard.host.folders import HostFolders
from trainyard.host.hosted_runs import HostedRuns, as_on
from trainyard.launcher import gang, hosts, remote_process
from trainyard.launcher.host_messages import (
    Answered,
    Ask,
    Connected,
    HostAnswer,
    HostOrder,
    Node,
    Nodes,
    Offer,
    Unanswered,
)
from trainyard.launcher.hosts import Hosts
from virtual_time import VirtualLoop


class HostInMemory:
    """One host, over processes that do what the test says."""

    def __init__(self, home: Path, node: str, clock: Callable[[], float]) -> None:
        self.node = node
        self.hears = asyncio.Event()
        """Not set where nothing reaches it."""
        self.hears.set()
        self.launcher = FakeLauncher()
        self.place = Placement(host="host", address="10.0.0.1", node=node)
        self.runs = HostedRuns(
            self.launcher,
            Offer(placement=self.place, slots=2, cpus=2),
            HostFolders(home / "hosted", node),
            as_here=lambda job: as_on(
                job,
                access=DataAccess((), home),
                left_for_data=int,
                tracking_uri="http://here",
                locks=home,
            ),
            clock=clock,
        )


class Wire:
    """Stands for the bridge and its process. It tells which nodes there are only where that changes, as the bridge does."""

    def __init__(self) -> None:
        self.hosts: dict[str, HostInMemory] = {}
        self.tell: Callable[[Any], None] = lambda _: None
        self.asked: list[tuple[str, HostOrder]] = []

    def kept_server(
        self,
        _: Sequence[str],
        __: Mapping[str, str],
        *,
        on_report: Callable[[Any], None],
        **___: Any,
    ) -> "Wire":
        """In the place of `KeptServer`."""
        self.tell = on_report
        return self

    def join(self, *there: HostInMemory) -> None:
        """These are there, and no others."""
        self.hosts = {host.node: host for host in there}
        nodes = (Node(id=node, address="10.0.0.1", port=9) for node in self.hosts)
        self.tell(Nodes(nodes=tuple(nodes)))

    async def keep(self) -> None:
        self.tell(Connected())
        await asyncio.get_running_loop().create_future()

    async def ask(
        self,
        order: Callable[[int], Ask],
        accept: Callable[[Answered | Unanswered], HostAnswer],
        *,
        ready_seconds: float,  # noqa: ARG002
        answer_seconds: float,
    ) -> HostAnswer:
        asked = order(1)
        self.asked.append((asked.node, asked.order))
        host = self.hosts.get(asked.node)
        if host is None:
            return accept(Unanswered(number=1, detail="KeyError"))
        try:
            async with asyncio.timeout(asked.seconds):
                await host.hears.wait()
                answer = await host.runs.carry_out(asked.order)
        except TimeoutError:
            return accept(Unanswered(number=1, detail=f"not within {answer_seconds:g} s"))
        return accept(Answered(number=1, answer=answer))


class Lab:
    """A service's view of hosts, which the test makes."""

    def __init__(self, home: Path, loop: VirtualLoop) -> None:
        self._home, self._loop = home, loop
        self._keepers: list[asyncio.Task[None]] = []
        self.wire = Wire()
        self.offers: dict[str, Offer] = {}
        self.others: dict[str, Offer] = {}

    def host(self, node: str) -> HostInMemory:
        """One that looks after its lease, and that has not joined yet."""
        made = HostInMemory(self._home, node, self._loop.time)
        self._keep(made.runs.keep())
        return made

    def service(self, *, lease_seconds: float, earlier_lease_seconds: float = 0.0) -> Hosts:
        """It begins to look after hosts."""

        def offered(offers: Mapping[str, Offer], others: Mapping[str, Offer]) -> None:
            self.offers, self.others = dict(offers), dict(others)

        made = Hosts([], {}, lease_seconds=lease_seconds, on_offers=offered)
        self._keep(made.keep("me", earlier_lease_seconds))
        return made

    def leave(self) -> None:
        """All that was begun here ends."""
        for keeper in self._keepers:
            keeper.cancel()

    def _keep(self, work: Coroutine[Any, Any, None]) -> None:
        self._keepers.append(asyncio.create_task(work))


def with_hosts(
    home: Path, monkeypatch: pytest.MonkeyPatch, test: Callable[[Lab], Awaitable[None]]
) -> None:
    """Do the test, in no time."""
    loop = VirtualLoop()
    lab = Lab(home, loop)
    for module in (hosts, remote_process, gang):
        monkeypatch.setattr(module, "time", SimpleNamespace(monotonic=loop.time))
    monkeypatch.setattr(hosts, "KeptServer", lab.wire.kept_server)

    async def whole() -> None:
        await test(lab)
        lab.leave()

    loop.do(whole())
    loop.bury()
