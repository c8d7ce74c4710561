"""A scoring, as it is asked for."""

import re
from collections import Counter
from typing import Annotated, Literal

from pydantic import AfterValidator, Field, StringConstraints, ValidationInfo, field_validator

from trainyard.contract.names import Name, TagName
from trainyard.contract.notify import MOST_ADDRESSES, Notify
from trainyard.contract.resources import Resources
from trainyard.contract.split import Split
from trainyard.contract.tables import ScoredData
from trainyard.contract.training import TrainRequest
from trainyard.contract.wire import MOST_COLUMNS, Column, Wire
from trainyard.contract.words import OnExisting, Priority, RunKind

MODEL_URI_PATTERN = re.compile(
    r"models:/m-[0-9a-f]+|models:/[^/@]+/[0-9]{1,9}|models:/[^/@]+@[A-Za-z0-9_\-]+|runs:/[0-9a-f]{32}/.+"
)


def _a_model(uri: str) -> str:
    """One of the forms that name one model, now or through an alias."""
    if not MODEL_URI_PATTERN.fullmatch(uri):
        message = f"{uri!r} names no model; it is models:/NAME/VERSION, models:/NAME@ALIAS, runs:/RUN_ID/model, or the model_uri of a run"
        raise ValueError(message)
    return uri


def _not_a_prediction(column: str) -> str:
    if column == "prediction" or column.startswith("probability_"):
        message = f"{column!r} is what a column of predictions is called; keep another, or rename it in the table"
        raise ValueError(message)
    return column


class ScoreRequest(Wire):
    """One scoring: a model of MLflow on rows, its predictions kept as Parquet."""

    model_uri: Annotated[
        str, StringConstraints(min_length=1, max_length=1000), AfterValidator(_a_model)
    ] = Field(
        examples=["models:/bank-xgb@champion"],
        description="models:/NAME/VERSION, models:/NAME@ALIAS or runs:/RUN_ID/model; an alias counts as it stands at the submit",
    )
    data: ScoredData
    rows: Literal["all", "test"] = Field(
        "all", description="All rows, or the test rows of `split` alone"
    )
    split: Split | None = Field(
        None,
        description="With rows 'test': how the rows are divided; by default as they were for the run that made the model",
    )
    keep: list[Annotated[Column, AfterValidator(_not_a_prediction)]] = Field(
        default_factory=list,
        max_length=MOST_COLUMNS,
        examples=[["customer_id"]],
        description="Columns of the table to write beside the predictions",
    )
    output: str | None = Field(
        None,
        min_length=1,
        max_length=2000,
        description="Where else to write the predictions: a .parquet file below an output root, or s3://bucket/key in an output bucket",
    )
    experiment: Name = "Default"
    run_name: Name | None = None
    tags: dict[TagName, Annotated[str, StringConstraints(max_length=5000)]] = Field(
        default_factory=dict
    )
    timeout_seconds: int = Field(7200, ge=1, le=7 * 24 * 3600)
    max_attempts: int = Field(1, ge=1, le=10)
    priority: Priority = Field(
        Priority.NORMAL,
        description="Before which runs it starts; for one of high priority, a training of low priority that has saved a checkpoint may give way",
    )
    resources: Resources | None = Field(
        None, description="What the run needs of the machine; by default as the service is set up"
    )
    on_existing: OnExisting = OnExisting.RERUN_FAILED
    notify: list[Notify] = Field(
        default_factory=list,
        max_length=MOST_ADDRESSES,
        description="Addresses that are told of the run, by signed messages",
    )

    @field_validator("resources")
    @classmethod
    def _in_one_process(cls, resources: Resources | None) -> Resources | None:
        if resources is not None and resources.workers > 1:
            message = (
                f"{resources.workers} workers asked for, and a scoring is done in one process; "
                "set workers to 1, or leave it out"
            )
            raise ValueError(message)
        return resources

    @field_validator("split")
    @classmethod
    def _only_for_test_rows(cls, split: Split | None, info: ValidationInfo) -> Split | None:
        if split is not None and info.data.get("rows") == "all":
            message = "split has no meaning with rows 'all'; set rows to 'test', or leave it out"
            raise ValueError(message)
        return split

    @field_validator("keep")
    @classmethod
    def _each_once(cls, keep: list[str]) -> list[str]:
        counts = Counter(keep)
        twice = next((name for name in keep if counts[name] > 1), None)
        if twice is not None:
            message = f"{twice!r} is listed twice"
            raise ValueError(message)
        return keep

    @property
    def workers(self) -> int:
        """It scores in one process."""
        return 1

    @property
    def judged(self) -> bool:
        """It makes no model that could be."""
        return False

    @property
    def kind(self) -> RunKind:
        """What its run does."""
        return RunKind.SCORE

    @property
    def model(self) -> str:
        """What its run shows as its model."""
        return self.model_uri


RunRequest = TrainRequest | ScoreRequest
"""What a run is made of."""
