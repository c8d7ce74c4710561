"""How rows are divided into train, validation and test."""

from typing import Any, Literal

from pydantic import (
    Field,
    SerializerFunctionWrapHandler,
    ValidationInfo,
    field_validator,
    model_serializer,
    model_validator,
)

from trainyard.contract.wire import Column, Fraction, Wire


class Split(Wire):
    """How rows are divided. The test part is used once, for the test metrics."""

    by: Literal["random", "time", "group", "column"] = Field(
        "random",
        examples=["time"],
        description="random: scikit-learn's train_test_split; time: the newest rows are the test, those before validate; group: no value of `column` in two parts; column: it says 'train', 'validation' or 'test'",
    )
    column: Column | None = Field(
        None,
        examples=["signed_up_on"],
        description="The table's column that `by` goes by; no feature unless data.features names it",
    )
    test_size: Fraction = Field(
        0.2, gt=0.0, description="Share of all rows; by group, of all groups; by column, unused"
    )
    validation_size: Fraction = Field(0.1, description="Share of all, as test_size; 0 for none")
    stratify: bool = Field(
        True, description="Keep the classes' shares in each part; at random alone"
    )
    seed: int = Field(42, ge=0, lt=2**32, description="At random and by group")

    @field_validator("column")
    @classmethod
    def _only_with_a_rule_that_needs_it(
        cls, column: str | None, info: ValidationInfo
    ) -> str | None:
        """Runs only where the caller says it."""
        if info.data.get("by") == "random" and column is not None:
            message = f"column {column!r} has no meaning with by 'random'; set by to 'time', 'group' or 'column', or leave column out"
            raise ValueError(message)
        return column

    @field_validator("test_size", "validation_size")
    @classmethod
    def _not_where_the_table_says(cls, share: float, info: ValidationInfo) -> float:
        """Runs only for a share that the caller says."""
        if info.data.get("by") == "column":
            message = f"{info.field_name} {share} has no meaning with by 'column', where the table says which rows are which; leave it out"
            raise ValueError(message)
        return share

    @field_validator("stratify")
    @classmethod
    def _only_at_random(cls, stratify: bool, info: ValidationInfo) -> bool:
        """Runs only where the caller says it."""
        by = info.data.get("by", "random")
        if stratify and by != "random":
            message = f"stratify true has no meaning with by {by!r}, which decides where each row goes; leave it out"
            raise ValueError(message)
        return stratify

    @model_validator(mode="after")
    def _has_its_column(self) -> "Split":
        if self.by != "random" and self.column is None:
            message = f"by {self.by!r} needs column: the name of the table's column to divide by"
            raise ValueError(message)
        return self

    @model_validator(mode="after")
    def _leaves_rows_to_train_on(self) -> "Split":
        if self.test_size + self.validation_size >= 1.0:
            message = f"test_size {self.test_size} and validation_size {self.validation_size} leave no rows to train on; together they must be below 1"
            raise ValueError(message)
        return self

    @model_serializer(mode="wrap")
    def _as_it_was_said(self, handler: SerializerFunctionWrapHandler) -> Any:
        """Without the defaults that would be refused if they were said: what is read again is the same.

        So a division at random is written as it was before there were others, and two runs that were
        divided alike have the same tag.
        """
        refused: dict[str, object] = {"stratify": True}
        if self.by == "random":
            refused = {"by": "random", "column": None}
        elif self.by == "column":
            refused |= {"test_size": 0.2, "validation_size": 0.1}
        return {
            name: value
            for name, value in handler(self).items()
            if name not in refused or value != refused[name]
        }
