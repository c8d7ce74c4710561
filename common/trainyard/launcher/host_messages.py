"""What crosses between the service, its bridge, and the hosts that have joined it.

    service -> bridge    Ask, Ping
    bridge  -> service   Connected, Nodes, Answered, Unanswered, Alive
    service -> host      Beat, Open, Put, Start, Follow, Tell, Signal, Find, Release
    host    -> service   Beaten, Done, NotStarted, News, Unknown, Owned

An order to a host may arrive twice, late, or never be answered: each names the process that it is about by an id that
the service chose, and carrying it out twice is as carrying it out once.
"""

from collections.abc import Callable, Mapping
from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field, TypeAdapter

from trainyard.contract import Placement
from trainyard.launcher.messages import (
    Alive,
    Gather,
    Gathered,
    Job,
    Noted,
    PhaseEntered,
    Ping,
    Progressed,
    Refused,
    Warned,
)
from trainyard.launcher.protocol import Used
from trainyard.rundir.records import Outcome, Submission

KEPT_FILES = ("training.log", "metrics.jsonl")
"""Files of a run's folder that the service has a copy of, which grows as they do."""
LINE_GRACE_SECONDS = 2.0
"""How long a run on a host outlives its actor: another actor does not take its line up. Ray kills an actor's children
with it, the fork server among them, when its node goes, so that nobody else is left to end the run."""
NO_EVENT = -1
"""Of a service that took the run up, and needs to know no more than how it stands."""


class Crossing(BaseModel):
    """Frozen, without unknown fields, and with bytes in base64."""

    model_config = ConfigDict(
        frozen=True,
        extra="forbid",
        protected_namespaces=(),
        ser_json_bytes="base64",
        val_json_bytes="base64",
    )


class Offer(Crossing):
    """What a host has for the service's runs, and what one has that asks for nothing."""

    placement: Placement
    slots: int
    cpus: int
    cores: tuple[int, ...] = ()
    gpus: tuple[str, ...] = ()
    memory_mb: int = 0
    usual_cpus: int = 1
    own_cores: bool = False
    usual_gpus: int | None = None
    usual_memory_mb: int | None = None


OnOffers = Callable[[Mapping[str, Offer], Mapping[str, Offer]], None]
"""Hears what hosts offer, by their nodes, and what those have that are there and are given no runs for now."""


# Service to host


class Beat(Crossing):
    """The service is there. `heard` is the newest number that it has from this host: a lease counts from when that was given."""

    op: Literal["beat"] = "beat"
    owner: str
    """The uid of the service's work directory: a host serves one at a time."""
    heard: int = 0
    lease_seconds: float


class Open(Crossing):
    """Make the folder of a process that is to be started."""

    op: Literal["open"] = "open"
    process_id: str
    submission: Submission


class Put(Crossing):
    """A part of a file that an earlier process of the run wrote on another host."""

    op: Literal["put"] = "put"
    process_id: str
    name: str
    offset: int
    data: bytes


class Start(Crossing):
    """Start a run's process, or that of one of its ranks. Its folder, and where data may come from, are the host's own, whatever the job says."""

    op: Literal["start"] = "start"
    process_id: str
    job: Job


class Follow(Crossing):
    """Tell what is new since these sizes of the files and this event, or after so many seconds that nothing is."""

    op: Literal["follow"] = "follow"
    process_id: str
    sizes: dict[str, int]
    heard: int
    wait_seconds: float
    given: int = 0
    """How many texts the service has that this rank gave to all."""
    end_search: bool = False
    """Whether its search is to end, and the best to be trained."""


class Tell(Crossing):
    """Tell a rank what all have given."""

    op: Literal["tell"] = "tell"
    process_id: str
    answer: Gathered


class Signal(Crossing):
    """Ask the process to stop, or kill it."""

    op: Literal["signal"] = "signal"
    process_id: str
    kill: bool


class Find(Crossing):
    """Say whether the process is there. One that is not will never be started."""

    op: Literal["find"] = "find"
    process_id: str


class Release(Crossing):
    """End what the process left behind, and forget it."""

    op: Literal["release"] = "release"
    process_id: str


HostOrder = Annotated[
    Beat | Open | Put | Start | Follow | Tell | Signal | Find | Release, Field(discriminator="op")
]


# Host to service


class Beaten(Crossing):
    """How the host is."""

    kind: Literal["beaten"] = "beaten"
    number: int
    """Grows with each answer; the next `Beat` says it again."""
    lease_left_seconds: float
    """As the host has it; an earlier service may have given it a longer one."""
    version: str
    """Of Trainyard."""
    warm: bool
    offer: Offer
    holds: tuple[str, ...]
    """The ids of the processes that were not released."""
    complaint: str = ""
    """Why it takes no other run for now."""


class Done(Crossing):
    """It was carried out."""

    kind: Literal["done"] = "done"


class NotStarted(Crossing):
    """There is no process, and the host keeps nothing of it."""

    kind: Literal["not_started"] = "not_started"
    detail: str
    for_good: bool
    """Whether it will not work later either."""


class Piece(Crossing):
    """What a file holds from `offset` on. What it held there before does not count any more."""

    name: str
    offset: int
    data: bytes


class Ended(Crossing):
    """The process is gone, and nothing more of it is to be told."""

    code: int | None
    outcome: Outcome | None
    cut_from: str | None = None
    """The address of another rank's host, where this host ended the process because it could not reach that."""
    for_memory: bool = False
    """Whether the kernel killed a process of this host for memory while it ran, and it was killed."""


class News(Crossing):
    """What is new about a process."""

    kind: Literal["news"] = "news"
    events: tuple[
        Annotated[PhaseEntered | Progressed | Noted | Warned, Field(discriminator="event")], ...
    ] = ()
    pieces: tuple[Piece, ...] = ()
    given: tuple[Gather, ...] = ()
    """What it gave to all ranks, in order, beyond what the service has."""
    used: Used
    ended: Ended | None = None


class Unknown(Crossing):
    """No such process is on this host, nor will it ever be."""

    kind: Literal["unknown"] = "unknown"


class Owned(Crossing):
    """The host serves another service of this name."""

    kind: Literal["owned"] = "owned"
    owner: str


HostAnswer = Annotated[
    Beaten | Done | NotStarted | News | Unknown | Owned, Field(discriminator="kind")
]


# Service to bridge, and back


class Ask(Crossing):
    """Hand an order on to the host on this node of the cluster."""

    op: Literal["ask"] = "ask"
    number: int
    node: str
    order: HostOrder
    seconds: float


class Connected(Crossing):
    """The bridge is part of the cluster; first and once."""

    kind: Literal["connected"] = "connected"


class Node(Crossing):
    """A node of the cluster that was joined under the service's name."""

    id: str
    address: str
    port: int
    """At which Ray answers connections there."""


class Nodes(Crossing):
    """All of them, whenever that changed."""

    kind: Literal["nodes"] = "nodes"
    nodes: tuple[Node, ...]


class Answered(Crossing):
    """What the host answered."""

    kind: Literal["answered"] = "answered"
    number: int
    answer: HostAnswer


class Unanswered(Crossing):
    """The host could not be asked, or did not answer; whether it has carried the order out nobody knows."""

    kind: Literal["unanswered"] = "unanswered"
    number: int
    detail: str


host_orders: TypeAdapter[Beat | Open | Put | Start | Follow | Tell | Signal | Find | Release] = (
    TypeAdapter(HostOrder)
)
host_answers: TypeAdapter[Beaten | Done | NotStarted | News | Unknown | Owned] = TypeAdapter(
    HostAnswer
)
bridge_orders: TypeAdapter[Ask | Ping] = TypeAdapter(
    Annotated[Ask | Ping, Field(discriminator="op")]
)
bridge_reports: TypeAdapter[Connected | Nodes | Answered | Unanswered | Alive | Refused] = (
    TypeAdapter(
        Annotated[
            Connected | Nodes | Answered | Unanswered | Alive | Refused,
            Field(discriminator="kind"),
        ]
    )
)
