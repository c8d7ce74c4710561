"""A training, as it is asked for."""

from typing import Annotated, Any

from pydantic import Field, StringConstraints

from trainyard.contract.names import Name, TagName
from trainyard.contract.notify import MOST_ADDRESSES, Notify
from trainyard.contract.promotion import Register
from trainyard.contract.resources import Resources
from trainyard.contract.search import Search
from trainyard.contract.split import Split
from trainyard.contract.tables import DataSpec
from trainyard.contract.wire import Wire
from trainyard.contract.words import OnExisting, OnOutOfMemory, Priority, RunKind


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
    priority: Priority = Field(
        Priority.NORMAL,
        description="Before which runs it starts; for one of high priority, a training of low priority that has saved a checkpoint may give way",
    )
    resources: Resources | None = Field(
        None, description="What the run needs of the machine; by default as the service is set up"
    )
    on_existing: OnExisting = OnExisting.RERUN_FAILED
    on_out_of_memory: OnOutOfMemory = OnOutOfMemory.FAIL
    notify: list[Notify] = Field(
        default_factory=list,
        max_length=MOST_ADDRESSES,
        description="Addresses that are told of the run, by signed messages",
    )
    search: Search | None = Field(
        None,
        description="Find the params by training many times; `params` are then those that stay",
    )

    @property
    def workers(self) -> int:
        """Processes that train it together."""
        return self.resources.workers if self.resources else 1

    @property
    def judged(self) -> bool:
        """Whether it is to be compared with a champion."""
        return self.register_ is not None and self.register_.promote is not None

    @property
    def kind(self) -> RunKind:
        """What its run does."""
        return RunKind.TRAIN
