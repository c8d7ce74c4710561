"""The hosts that have joined the service, as the service sees them: what they offer, and whether they are still there.

A host that is not heard of may be dead, cut off, or slow, and nobody here can tell. So each holds a lease: it ends its
runs when it has not heard of its service for so long, and the service counts them as gone a little later, never earlier.
No clocks are compared. Each answer to a `Beat` has a number, the next `Beat` says the newest number that came back, and
the host's lease counts from when it gave that number; so it ends before the service's does, which counts from when the
number arrived.
"""

import asyncio
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from importlib.metadata import version

import structlog

from trainyard.errors import Unavailable
from trainyard.launcher.host_messages import (
    LINE_GRACE_SECONDS,
    Answered,
    Ask,
    Beat,
    Beaten,
    Connected,
    HostAnswer,
    HostOrder,
    Node,
    Nodes,
    Offer,
    OnOffers,
    Owned,
    Unanswered,
    bridge_reports,
)
from trainyard.launcher.kept_server import KeptServer, Tongue

BEATS_A_LEASE = 8
LONGEST_BEAT_SECONDS = 5.0
"""Between two beats, however long the lease is: a host that does not answer is soon given no runs."""
LEAST_ANSWER_SECONDS = 2.0
"""What a host may take to answer a beat, also where the lease is short."""
BRIDGE_READY_SECONDS = 5.0
BRIDGE_SPARE_SECONDS = 5.0
"""What the bridge may take beyond what the host may."""
SPARE_SECONDS = 2.0
"""From the end of a lease, or of a line, until the processes are gone."""
FORGET_SECONDS = 600.0
"""A node that has left is forgotten after this: nobody asks about its processes any more."""
BRIDGE = Tongue("the bridge to other hosts", bridge_reports.validate_json, Connected, (Nodes,))
log = structlog.get_logger()


@dataclass
class Host:
    """One host. `heard_at` is when its newest answer to a beat came, by the monotonic clock."""

    node: Node
    heard_at: float
    there: bool = True
    """Whether its node is part of the cluster; a node that has left is never back."""
    offer: Offer | None = None
    """Of one that is given runs."""
    has: Offer | None = None
    """What it offered last, also where it is given none for now."""
    name: str = ""
    number: int = 0
    lease_seconds: float = 0.0
    """What it may have left of its lease when that answer came."""
    holds: frozenset[str] = frozenset()
    complaint: str = ""
    """Why it is given no runs, where it answers."""


class Hosts:
    """Asks hosts through the bridge, and knows which are there. Used on the event loop alone.

    `on_offers` is called with what each host offers, by its node, and with what those have that are there and are given no
    runs for now, whenever that changed.
    """

    def __init__(
        self,
        command: Sequence[str],
        environment: Mapping[str, str],
        *,
        lease_seconds: float,
        on_offers: OnOffers,
    ) -> None:
        self._owner = ""
        self._earlier_lease_seconds = 0.0
        self._lease_seconds = lease_seconds
        self._beat_seconds = min(LONGEST_BEAT_SECONDS, lease_seconds / BEATS_A_LEASE)
        self._on_offers = on_offers
        self._bridge = KeptServer(
            command, environment, on_report=self._told, on_lost=lambda: None, tongue=BRIDGE
        )
        self._hosts: dict[str, Host] = {}
        self._began = self._connected_at = self._said_at = time.monotonic()
        self._shown: tuple[dict[str, Offer], dict[str, Offer]] = {}, {}
        self._beats: dict[str, asyncio.Task[None]] = {}

    def _lost_after_seconds(self, host: Host | None) -> float:
        """How long after a host was last heard of its processes have ended for certain."""
        theirs = host.lease_seconds if host else self._earlier_lease_seconds
        return max(self._lease_seconds, theirs) * 1.1 + LINE_GRACE_SECONDS + SPARE_SECONDS

    def name(self, node: str) -> str:
        """What people call the host."""
        host = self._hosts.get(node)
        if host is None:
            return f"of node {node[:12]}"
        return f"{host.name} ({host.node.address})" if host.name else host.node.address

    def answers_at(self, node: str) -> str | None:
        """host:port at which the host answers connections; None for one that is not known."""
        host = self._hosts.get(node)
        return f"{host.node.address}:{host.node.port}" if host else None

    def silent_seconds(self, heard_at: float) -> float:
        """For how long a host from which something came then has said nothing while the bridge did."""
        return self._said_at - max(heard_at, self._connected_at)

    def miss(self, node: str) -> None:
        """Nothing was heard of a process there: no other is started there until the host answers again."""
        host = self._hosts.get(node)
        if host and host.offer:
            self._complain(host, "a run there was not heard of")
            self._show()

    def complaints(self) -> dict[str, str]:
        """Hosts that have joined and are given no runs, by their names, and why."""
        return {
            self.name(node): host.complaint
            for node, host in self._hosts.items()
            if host.there and host.complaint and host.offer is None
        }

    def holds(self) -> dict[str, frozenset[str]]:
        """The processes that each host told of, by node."""
        return {node: host.holds for node, host in self._hosts.items()}

    def lost(self, node: str) -> bool:
        """Whether no process of this service runs there any more, for certain, since it was not heard of for long."""
        host = self._hosts.get(node)
        heard_at = host.heard_at if host else self._began
        return time.monotonic() > heard_at + self._lost_after_seconds(host)

    async def keep(self, owner: str, earlier_lease_seconds: float) -> None:
        """Keep the bridge alive, and the hosts' leases, until cancelled. An earlier service may have given longer ones."""
        self._owner, self._began = owner, time.monotonic()
        self._earlier_lease_seconds = earlier_lease_seconds
        keeper = asyncio.create_task(self._bridge.keep())
        try:
            while True:
                self._beat_all()
                self._show()
                await asyncio.sleep(self._beat_seconds)
        finally:
            work = [keeper, *self._beats.values()]
            for task in work:
                task.cancel()
            await asyncio.gather(*work, return_exceptions=True)

    async def ask(self, node: str, order: HostOrder, seconds: float) -> HostAnswer:
        """What the host answers. Raises `Unavailable` where it does not within so many seconds."""

        def accept(report: Answered | Unanswered) -> HostAnswer:
            self._said_at = time.monotonic()
            if isinstance(report, Unanswered):
                raise Unavailable(f"the host {self.name(node)} does not answer: {report.detail}")
            return report.answer

        return await self._bridge.ask(
            lambda number: Ask(number=number, node=node, order=order, seconds=seconds),
            accept,
            ready_seconds=BRIDGE_READY_SECONDS,
            answer_seconds=seconds + BRIDGE_SPARE_SECONDS,
        )

    def _told(self, report: Connected | Nodes | Answered | Unanswered) -> None:
        self._said_at = time.monotonic()
        if isinstance(report, Connected):
            self._connected_at = self._said_at
        if not isinstance(report, Nodes):
            return
        there = {node.id: node for node in report.nodes}
        for node in there.values():
            if node.id not in self._hosts:
                log.info("a host has joined", node=node.id, address=node.address)
                self._hosts[node.id] = Host(
                    node, time.monotonic(), lease_seconds=self._earlier_lease_seconds
                )
        for host in self._hosts.values():
            host.there = host.node.id in there
            if not host.there:
                host.offer, host.has, host.complaint = None, None, ""
        self._beat_all()
        self._show()

    def _beat_all(self) -> None:
        """Ask those that are there, as long as it may take, and forget those that have left for long."""
        for node, host in list(self._hosts.items()):
            asked = node in self._beats and not self._beats[node].done()
            if host.there and not asked:
                self._beats[node] = asyncio.create_task(self._beat(host))
            elif not host.there and self._is_old(host):
                del self._hosts[node]

    def _is_old(self, host: Host) -> bool:
        forgotten_after = FORGET_SECONDS + self._lost_after_seconds(host)
        return time.monotonic() > host.heard_at + forgotten_after

    async def _beat(self, host: Host) -> None:
        """One that is new is asked again at once: its lease, which an earlier service may have given, goes on with that."""
        is_new = host.number == 0
        await self._ask_how_it_is(host)
        if is_new and host.number:
            await self._ask_how_it_is(host)

    async def _ask_how_it_is(self, host: Host) -> None:
        order = Beat(owner=self._owner, heard=host.number, lease_seconds=self._lease_seconds)
        seconds = max(LEAST_ANSWER_SECONDS, self._beat_seconds)
        try:
            answer = await self.ask(host.node.id, order, seconds)
        except Unavailable as error:
            self._complain(host, str(error))
        else:
            self._heard(host, answer)
        self._show()

    def _heard(self, host: Host, answer: HostAnswer) -> None:
        if isinstance(answer, Owned):
            host.has = None
            self._complain(host, f"it serves another service of this name, {answer.owner}")
        elif isinstance(answer, Beaten):
            host.heard_at, host.number = time.monotonic(), answer.number
            host.lease_seconds = answer.lease_left_seconds
            host.name, host.holds = answer.offer.placement.host, frozenset(answer.holds)
            ours = version("trainyard")
            host.has = answer.offer if answer.version == ours else None
            if answer.version != ours:
                self._complain(host, f"it has Trainyard {answer.version}, and the service {ours}")
            elif answer.complaint:
                self._complain(host, answer.complaint)
            elif answer.warm:
                host.offer, host.complaint = answer.offer, ""
            else:
                self._complain(host, "it is still importing the framework")

    def _complain(self, host: Host, why: str) -> None:
        if host.complaint != why:
            log.warning("a host is given no runs", host=self.name(host.node.id), why=why)
        host.offer, host.complaint = None, why

    def _show(self) -> None:
        there = {node: host for node, host in self._hosts.items() if host.there}
        offers = {node: host.offer for node, host in there.items() if host.offer}
        others = {node: host.has for node, host in there.items() if host.has and not host.offer}
        if (offers, others) != self._shown:
            self._shown = offers, others
            self._on_offers(offers, others)
