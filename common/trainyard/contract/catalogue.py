"""What a service offers: models and data sets."""

from typing import Any, Literal

from trainyard.contract.wire import Wire
from trainyard.contract.words import Task


class ModelInfo(Wire):
    """A model this service trains."""

    name: str
    task: Task
    framework: str
    framework_version: str
    description: str
    data: list[Literal["table", "images"]]
    params_schema: dict[str, Any]
    defaults: dict[str, Any]
    example: dict[str, Any]


class DatasetInfo(Wire):
    """A builtin data set, or a file below a data root."""

    source: Literal["builtin", "file", "delta", "images"]
    name: str
    task: Task | None = None
    size_bytes: int | None = None
