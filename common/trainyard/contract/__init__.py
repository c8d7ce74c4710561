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
    DeltaData,
    FileData,
    ImageData,
    NumberColumn,
    ScoredData,
    ScoredDeltaData,
    ScoredFileData,
    at_version,
    version_of,
)
from trainyard.contract.names import (
    WRITTEN_BY_US,
    Alias,
    ModelAsked,
    ModelName,
    Name,
    TagName,
)
from trainyard.contract.problems import FieldError, Problem
from trainyard.contract.promotion import Promote, Promotion, Register, Registered
from trainyard.contract.runs import Links, Progress, Run, RunPage, Transition
from trainyard.contract.scoring import MODEL_URI_PATTERN, RunRequest, ScoreRequest
from trainyard.contract.search import (
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
    "WRITTEN_BY_US",
    "Alias",
    "BuiltinData",
    "CategoryColumn",
    "Column",
    "CsvOptions",
    "DataSpec",
    "DatasetInfo",
    "DateColumn",
    "DeltaData",
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
    "Phase",
    "Problem",
    "Progress",
    "Promote",
    "Promotion",
    "PrunerName",
    "Reason",
    "Register",
    "Registered",
    "Run",
    "RunKind",
    "RunPage",
    "RunRequest",
    "RunStatus",
    "SamplerName",
    "ScoreRequest",
    "ScoredData",
    "ScoredDeltaData",
    "ScoredFileData",
    "Search",
    "Searched",
    "Space",
    "Split",
    "TagName",
    "Task",
    "TrainRequest",
    "Transition",
    "When",
    "Wire",
    "at_version",
    "version_of",
]
