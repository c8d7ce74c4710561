"""What a service offers: models and data sets; and what MLflow's registry holds."""

from datetime import datetime
from typing import Any, Literal

from pydantic import Field

from trainyard.contract.wire import Wire
from trainyard.contract.words import Task

DataKind = Literal["table", "images"]
"""What a run's data is to a model."""


class ModelInfo(Wire):
    """A model this service trains."""

    name: str
    task: Task
    framework: str
    framework_version: str
    description: str
    data: list[DataKind]
    distributed: bool = Field(
        False, description="Whether several processes can train it together (`resources.workers`)"
    )
    params_schema: dict[str, Any]
    defaults: dict[str, Any]
    example: dict[str, Any]
    metrics: list[str] = Field(
        default_factory=list,
        description="What its versions are tested by, any of which `register.promote.metric` may name",
    )


class DatasetInfo(Wire):
    """A builtin data set, or a file below a data root."""

    source: Literal["builtin", "file", "delta", "images"]
    name: str
    task: Task | None = None
    size_bytes: int | None = None


class RegisteredModel(Wire):
    """A registered model, and who holds its aliases."""

    name: str
    aliases: dict[str, str] = Field(description="Alias to the version that holds it")


class RegisteredModelPage(Wire):
    """Registered models by name; `cursor` asks for the next page and is null on the last."""

    models: list[RegisteredModel]
    cursor: str | None = None


class ModelVersionInfo(Wire):
    """A version of a registered model, and what was decided about it."""

    version: str
    run_id: str | None
    aliases: list[str]
    registered_at: datetime
    judged: bool = Field(description="Whether a promotion can be asked for")
    metric: str | None = Field(None, description="What was compared")
    value: float | None = None
    champion_version: str | None = Field(None, description="The holder that it was compared with")
    champion_value: float | None = Field(None, description="Its value on the same rows")
    decision: str | None = None
    decided_at: datetime | None = None
    rolled_back: str | None = Field(None, description="What was said as it lost an alias again")
