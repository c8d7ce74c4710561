"""The wire: what callers send and what they get back, and nothing else.

Every model refuses unknown fields and is strict: `"300"` is not an integer here.
"""

from trainyard.contract.catalogue import DatasetInfo, ModelInfo
from trainyard.contract.data import (
    BuiltinData,
    CategoryColumn,
    CsvOptions,
    DataSpec,
    DateColumn,
    FileData,
    ImageData,
    NumberColumn,
    ScoredData,
    ScoredFileData,
)
from trainyard.contract.names import (
    WRITTEN_BY_US,
    Alias,
    ModelAsked,
    ModelName,
    Name,
    TagName,
)
from trainyard.contract.people import SERVICE_TOKEN, Caller, PersonName, Role, TeamName
from trainyard.contract.problems import FieldError, Problem
from trainyard.contract.promotion import Promote, Promotion, Register, Registered, Rollback
from trainyard.contract.runs import Links, Progress, Run, RunPage, Transition
from trainyard.contract.scoring import MODEL_URI_PATTERN, RunRequest, ScoreRequest
from trainyard.contract.search import (
    THE_EXPERIMENT,
    BestOf,
    Dimension,
    Direction,
    OnCancel,
    PrunerName,
    SamplerName,
    Search,
    Searched,
    Space,
)
from trainyard.contract.split import Split
from trainyard.contract.training import TrainRequest
from trainyard.contract.wire import (
    MOST_COLUMNS,
    Column,
    Fraction,
    Wire,
)
from trainyard.contract.words import (
    OnExisting,
    OnIncomparable,
    OnOutOfMemory,
    Phase,
    Reason,
    RunKind,
    RunStatus,
    Task,
    When,
)

__all__ = [
    "MODEL_URI_PATTERN",
    "MOST_COLUMNS",
    "SERVICE_TOKEN",
    "THE_EXPERIMENT",
    "WRITTEN_BY_US",
    "Alias",
    "BestOf",
    "BuiltinData",
    "Caller",
    "CategoryColumn",
    "Column",
    "CsvOptions",
    "DataSpec",
    "DatasetInfo",
    "DateColumn",
    "Dimension",
    "Direction",
    "FieldError",
    "FileData",
    "Fraction",
    "ImageData",
    "Links",
    "ModelAsked",
    "ModelInfo",
    "ModelName",
    "Name",
    "NumberColumn",
    "OnCancel",
    "OnExisting",
    "OnIncomparable",
    "OnOutOfMemory",
    "PersonName",
    "Phase",
    "Problem",
    "Progress",
    "Promote",
    "Promotion",
    "PrunerName",
    "Reason",
    "Register",
    "Registered",
    "Role",
    "Rollback",
    "Run",
    "RunKind",
    "RunPage",
    "RunRequest",
    "RunStatus",
    "SamplerName",
    "ScoreRequest",
    "ScoredData",
    "ScoredFileData",
    "Search",
    "Searched",
    "Space",
    "Split",
    "TagName",
    "Task",
    "TeamName",
    "TrainRequest",
    "Transition",
    "When",
    "Wire",
]
