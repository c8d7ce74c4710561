"""A training, as it is asked for."""

from typing import Annotated, Any

from pydantic import Field, StringConstraints

from trainyard.contract.data import DataSpec
from trainyard.contract.names import Name, TagName
from trainyard.contract.promotion import Register
from trainyard.contract.search import Search
from trainyard.contract.split import Split
from trainyard.contract.wire import Wire
from trainyard.contract.words import OnExisting, OnOutOfMemory, RunKind


class TrainRequest(Wire):
    """One training: which model, on which data, and what to do with the result."""

    model: str = Field(min_length=1, max_length=200, examples=["xgboost_classifier"])
    params: dict[str, Any] = Field(default_factory=dict)
    data: DataSpec
    split: Split = Split()
    experiment: Name = "Default"
    run_name: Name | None = None
    tags: dict[TagName, Annotated[str, StringConstraints(max_length=5000)]] = Field(
        default_factory=dict
    )
    register_: Register | None = Field(None, alias="register")
    seed: int = Field(42, ge=0, lt=2**31)
    timeout_seconds: int = Field(7200, ge=1, le=7 * 24 * 3600)
    max_attempts: int = Field(1, ge=1, le=10)
    on_existing: OnExisting = OnExisting.RERUN_FAILED
    on_out_of_memory: OnOutOfMemory = OnOutOfMemory.FAIL
    search: Search | None = Field(
        None,
        description="Find the params by training many times; `params` are then those that stay",
    )

    @property
    def kind(self) -> RunKind:
        """What its run does."""
        return RunKind.TRAIN
