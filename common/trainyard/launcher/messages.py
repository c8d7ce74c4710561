"""Everything that crosses between the service, its fork server and a run's process.

Each message is one JSON object on a line of its own, parsed once where it arrives, and frozen after.

    service      -> fork server     Check, Judge, Predict, Fork, Ping
    fork server  -> service         Ready, Checked, Judged, Predicted, Forked, Alive, Refused, Exited
    run's process -> service        Hello, then PhaseEntered, Progressed, Noted and Warned; Gather
    service      -> run's process   Welcome, Gathered
"""

from pathlib import Path
from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field, TypeAdapter

from trainyard.contract import (
    DataPreview,
    DataVersion,
    FieldError,
    ModelInfo,
    Phase,
    Placement,
    PreviewRequest,
    RunRequest,
    TrainRequest,
)
from trainyard.datasets.access import DataAccess
from trainyard.launcher.process_id import ids_of_each
from trainyard.peers.question import Question
from trainyard.peers.services import Peers
from trainyard.registry.promotion import Judgement
from trainyard.rundir.records import Submission

EXIT_NO_SPACE = 74
"""What a run's process leaves with whose outcome has no space on the work volume: `EX_IOERR` of sysexits.h."""
EXIT_INTERRUPTED = 75
"""What it leaves with once it was asked to stop: `EX_TEMPFAIL`."""


class Message(BaseModel):
    """Frozen, and without unknown fields."""

    model_config = ConfigDict(frozen=True, extra="forbid", protected_namespaces=())


class Line(Message):
    """Where a run's process reaches the service, and how it shows which run it is."""

    address: str
    """`unix:/path/of/socket` or `tcp:host:port`."""
    secret: str
    """Known to the service and to this run's process alone."""
    grace_seconds: float = 10.0
    """How long the process tries to take up a line that broke, before it ends itself and all it started."""


class Share(Message):
    """What one of several ranks has for itself."""

    threads: int
    cores: tuple[int, ...] = ()
    gpus: int = 0
    memory_limit_mb: int | None = None
    environment: dict[str, str] = {}


class Job(Message):
    """All that a run's process needs to know."""

    submission: Submission
    folder: Path
    """The run's work directory."""
    service: str
    """The name of the service instance."""
    tracking_uri: str
    threads: int
    access: DataAccess
    locks: Path
    """The folder of the model registry's locks."""
    patience_seconds: float
    """How long a run that has trained waits for an MLflow that is away."""
    git_commit: str
    log_limit_mb: int = 100
    niceness: int = 0
    """By how much the process and all it starts stand back for others, as `nice` has it."""
    halvings: int = 0
    cores: tuple[int, ...] = ()
    """The cores that the process and all it starts may run on; empty where that is any."""
    gpus: int = 0
    """GPUs that are its own; which, the environment says."""
    memory_limit_mb: int | None = None
    """What the process and all it starts may use together; None without a limit. The launcher ends those that use more."""
    environment: dict[str, str] = {}
    """Variables set before the framework starts any thread or touches a GPU."""
    peers: Peers = Peers("")
    """The other services."""
    shares: tuple[Share, ...] = ()
    """One a rank, where several processes train the run together."""
    rank: int = 0
    """Which of them this process is."""
    host: str = "127.0.0.1"
    """The address at which the other ranks reach this one."""
    collective_seconds: float = 120.0
    """How long a collective may wait for the other ranks."""
    process_id: str = ""
    """What the process is to be known by, or those of all ranks, where that is chosen before it starts: on other hosts."""
    neighbours: tuple[str, ...] = ()
    """host:port at which the hosts of the other ranks answer connections, whoever asks."""
    checkpoints: str = ""
    """The place that all hosts reach where the run's checkpoints are kept; empty: in the folder alone."""
    placement: tuple[Placement, ...] = ()
    """Where it runs, in words, or where each rank does; empty for the service's own host."""

    @property
    def workers(self) -> int:
        """Processes that train the run together."""
        return max(1, len(self.shares))

    @property
    def seat(self) -> str:
        """What its line to the service is known by: the run's id, and the rank of those beside rank 0."""
        run_id = self.submission.run_id
        return f"{run_id}/{self.rank}" if self.rank else run_id

    def of_rank(self, rank: int) -> "Job":
        """The same, for the process of this rank."""
        share = self.shares[rank]
        own = {name: getattr(share, name) for name in Share.model_fields}
        if self.placement:
            own["host"] = self.placement[rank].address
            own["process_id"] = ids_of_each(self.process_id)[rank]
        return self.model_copy(update={"rank": rank, **own})


# Service to fork server


class Check(Message):
    """Look at a request's params and data, or at data alone, in a process of its own, within these limits."""

    op: Literal["check"] = "check"
    number: int
    request: RunRequest | PreviewRequest
    access: DataAccess
    seconds: float
    memory_mb: int


class Case(Message):
    """A version that may take an alias, and the version that holds it and is to be judged on the test rows of its run."""

    request: TrainRequest
    """Of the run: its data, its split, and the rule in `register.promote`."""
    name: str
    """Of the registered model."""
    version: str
    holder: str


class Judge(Message):
    """Score a holder on the test rows of a run that has ended, in a process of its own, within these limits."""

    op: Literal["judge"] = "judge"
    number: int
    case: Case
    access: DataAccess
    peers: Peers
    threads: int
    seconds: float
    memory_mb: int

    @property
    def request(self) -> TrainRequest:
        """The run's."""
        return self.case.request


class Predict(Message):
    """Have a model predict the test rows of a run of another service, in a process of its own, within these limits."""

    op: Literal["predict"] = "predict"
    number: int
    question: Question
    path: Path
    """Where the predictions go, as a file of NumPy's."""
    access: DataAccess
    threads: int
    seconds: float
    memory_mb: int


class Fork(Message):
    """Start a run's process."""

    op: Literal["fork"] = "fork"
    number: int
    job: Job
    line: Line


class Ping(Message):
    """Show that orders are still carried out."""

    op: Literal["ping"] = "ping"
    number: int


Order = Annotated[Check | Judge | Predict | Fork | Ping, Field(discriminator="op")]


# Fork server to service


class Ready(Message):
    """The framework is imported; first and once."""

    kind: Literal["ready"] = "ready"
    models: tuple[ModelInfo, ...]
    broken: dict[str, str]
    """Model files that did not load, and why."""


class Checked(Message):
    """The answer to `Check`: what is wrong with the request; empty when nothing is."""

    kind: Literal["checked"] = "checked"
    number: int
    errors: tuple[FieldError, ...]
    more: int = 0
    """Bad fields that are not among the errors, because there are too many."""
    away: str | None = None
    """What did not answer, so that nobody can tell now."""
    data_version: DataVersion | None = None
    """Which version of the data counts, where its table has versions."""
    preview: DataPreview | None = None
    """What was seen of the data, where that was asked for and nothing is wrong."""


class Judged(Message):
    """The answer to `Judge`: what was found; None where MLflow did not answer, so that nobody can tell now."""

    kind: Literal["judged"] = "judged"
    number: int
    judgement: Judgement | None


class Predicted(Message):
    """The answer to `Predict`: the file is there, or why not."""

    kind: Literal["predicted"] = "predicted"
    number: int
    rows: str = ""
    """The digest of the test rows."""
    refusal: str | None = None
    away: bool = False
    """Whether MLflow did not answer, so that nobody can tell now."""


class Forked(Message):
    """The answer to `Fork`: the process runs."""

    kind: Literal["forked"] = "forked"
    number: int
    process_id: str


class Alive(Message):
    """The answer to `Ping`."""

    kind: Literal["alive"] = "alive"
    number: int


class Refused(Message):
    """The answer to an order that cannot be carried out."""

    kind: Literal["refused"] = "refused"
    number: int
    detail: str
    for_good: bool = True
    """Whether that is no use ever, rather than now."""


class Exited(Message):
    """A run's process is gone. `code` is negative when a signal ended it."""

    kind: Literal["exited"] = "exited"
    process_id: str
    code: int
    cpu_seconds: float
    """Of the process and of those that it has waited for."""


Report = Annotated[
    Ready | Checked | Judged | Predicted | Forked | Alive | Refused | Exited,
    Field(discriminator="kind"),
]


# A run's process to the service


class Hello(Message):
    """The first message on a run's line, also on one that was taken up again."""

    run_id: str
    """`Job.seat`: with the rank, for those beside rank 0."""
    secret: str


class Welcome(Message):
    """The answer to `Hello`: the service knows the run. One that it does not know is hung up on."""

    kind: Literal["welcome"] = "welcome"


class PhaseEntered(Message):
    """The run began a phase."""

    event: Literal["phase"] = "phase"
    sequence: int
    phase: Phase


class Progressed(Message):
    """A round or epoch is done."""

    event: Literal["progress"] = "progress"
    sequence: int
    done: int
    total: int
    unit: str
    eta_seconds: float | None = None
    running: int | None = None
    """Trials under way."""
    slots_wanted: int = 0
    slots_used: int = 0
    """By a search, beyond its own slot; -1 where no trial runs."""
    metrics: dict[str, float] = {}


class Noted(Message):
    """Something about the run that people should read."""

    event: Literal["note"] = "note"
    sequence: int
    message: str


class Warned(Message):
    """What people should read about the data: all of it, in the place of what was said before."""

    event: Literal["warnings"] = "warnings"
    sequence: int
    warnings: tuple[str, ...]


class Gather(Message):
    """A rank gives its text to all, and waits for theirs. It may say so twice, on a line that was taken up again."""

    event: Literal["gather"] = "gather"
    key: str
    value: str


class Gathered(Message):
    """The answer to `Gather`, once all ranks have given theirs: their texts in the order of the ranks."""

    kind: Literal["gathered"] = "gathered"
    key: str
    values: tuple[str, ...]


Event = Annotated[PhaseEntered | Progressed | Noted | Warned | Gather, Field(discriminator="event")]
"""`sequence` grows by one with each event of a process. One that arrives twice, or after a later one, is dropped."""

orders: TypeAdapter[Check | Judge | Predict | Fork | Ping] = TypeAdapter(Order)
reports: TypeAdapter[Ready | Checked | Judged | Predicted | Forked | Alive | Refused | Exited] = (
    TypeAdapter(Report)
)
events: TypeAdapter[PhaseEntered | Progressed | Noted | Warned | Gather] = TypeAdapter(Event)


def as_line(message: BaseModel) -> bytes:
    """The message as it is sent."""
    return message.model_dump_json(by_alias=True).encode() + b"\n"
