"""Registering a model, and the rule by which it takes an alias."""

import re
from typing import Annotated

from pydantic import AfterValidator, Field, StringConstraints

from trainyard.contract.directions import more_is_better
from trainyard.contract.names import Alias, ModelName
from trainyard.contract.wire import Wire
from trainyard.contract.words import OnIncomparable, When

WOULD_BE_PROMOTED, WOULD_NOT_BE_PROMOTED = (
    f"not decided yet: when it is asked for, it {would} be promoted: "
    for would in ("would", "would not")
)
"""How the decision begins of a version whose promotion waits to be asked for; an approval changes nothing of the second."""


def _of_the_test_rows(metric: str) -> str:
    """A promotion compares two models on rows that neither was trained or stopped on."""
    if not metric.startswith("test_"):
        name = re.sub(r"^(train|validation)_", "", metric)
        message = (
            f"{metric!r} is not of the test rows, on which promotions compare; take 'test_{name}'"
        )
        raise ValueError(message)
    return metric


class Promote(Wire):
    """Move an alias to the new version if it beats the version that holds the alias now.

    Both are scored on the test rows of the new version's run.
    """

    alias: Alias = "champion"
    metric: Annotated[
        str, StringConstraints(min_length=1, max_length=250), AfterValidator(_of_the_test_rows)
    ] = Field(examples=["test_roc_auc"])
    greater_is_better: bool | None = Field(
        None,
        description="Follows from the metric's name where it is not said: not for losses and errors",
    )
    min_delta: float = Field(0.0, ge=0.0, description="By how much it must be better")
    confidence: float | None = Field(
        None,
        ge=0.5,
        lt=1.0,
        examples=[0.95],
        description="Ask that the lower end of this confidence interval of the difference is above `min_delta` too",
    )
    min_test_rows: int = Field(1, ge=1, description="Promote nothing that was tested on fewer rows")
    max_drift: float | None = Field(
        None,
        gt=0.0,
        examples=[0.25],
        description="Hold where the population stability index of a column, against the holder's data, is above this",
    )
    on_incomparable: OnIncomparable = Field(
        OnIncomparable.KEEP,
        description="What happens where the holder cannot be scored on these rows",
    )
    when: When = Field(
        When.NOW,
        description="`asked` judges and records, and moves nothing until `POST /train/{run_id}/promotion`",
    )

    @property
    def more_is_better(self) -> bool:
        """What the rule says, or else what the metric's name does, by scikit-learn's convention."""
        if self.greater_is_better is not None:
            return self.greater_is_better
        return more_is_better(self.metric)


class Register(Wire):
    """Register the model as a new version, and optionally give it an alias or promote it."""

    name: ModelName = Field(examples=["bank-xgb"])
    alias: Alias | None = None
    promote: Promote | None = None


Who = Annotated[str, StringConstraints(strip_whitespace=True, min_length=1, max_length=200)]
Why = Annotated[str, StringConstraints(strip_whitespace=True, min_length=1, max_length=1000)]


class Promotion(Wire):
    """What is asked of a run that was judged: to decide by its rule, or to move nothing because it was rejected."""

    approved: bool = Field(
        True, description="`false` moves nothing, and says on the version that it was rejected"
    )
    by: Who | None = Field(
        None, examples=["anna"], description="Who asks, for the text of the decision"
    )
    comment: Why | None = Field(None, description="Why, for the text of the decision")


class Rollback(Wire):
    """What is asked of a registered model: to give an alias back to the version that held it before."""

    alias: Alias = "champion"
    holder: str | None = Field(
        None,
        max_length=20,
        examples=["3"],
        description="The version that is to lose the alias; by default whoever holds it."
        " Where another one holds it by then nothing moves, so a call that is repeated goes back once",
    )
    by: Who | None = Field(None, examples=["anna"], description="Who asks, for the text")
    comment: Why | None = Field(
        None, examples=["it is slow at night"], description="Why, for the text"
    )


class Registered(Wire):
    """The version this run registered and what became of it."""

    name: str
    version: str
    aliases: list[str] = Field(default_factory=list)
    promoted: bool | None = Field(
        None, description="Whether it took the alias; null where that was not asked, or not yet"
    )
    decision: str | None = None
