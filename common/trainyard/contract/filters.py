"""Which rows of a table count: conditions on its columns."""

from typing import Literal, Self

from pydantic import Field, model_validator

from trainyard.contract.wire import Column, Wire

MOST_CONDITIONS = 100
MOST_VALUES = 10_000
Value = bool | int | float | str
Operator = Literal["==", "!=", "<", "<=", ">", ">=", "in", "not in", "is null", "is not null"]
OF_LISTS = ("in", "not in")
OF_NOTHING = ("is null", "is not null")


class Condition(Wire):
    """What the value of a column must be. A missing value meets `is null` alone, as in SQL."""

    column: Column
    op: Operator
    value: Value | list[Value] | None = Field(
        None,
        description="A number, text, or true or false, as the column has; dates as ISO-8601; a list for `in` and `not in`; nothing for `is null` and `is not null`",
    )

    @model_validator(mode="after")
    def _value_fits(self) -> Self:
        if self.op in OF_NOTHING:
            if self.value is not None:
                message = f"{self.op!r} compares with nothing; leave value out"
                raise ValueError(message)
        elif self.op in OF_LISTS:
            if not isinstance(self.value, list) or not 0 < len(self.value) <= MOST_VALUES:
                message = f"{self.op!r} takes a list of 1 to {MOST_VALUES:,} values, such as [1, 2]"
                raise ValueError(message)
        elif self.value is None or isinstance(self.value, list):
            message = f"{self.op!r} takes one value, and 'is null' asks for missing ones"
            raise ValueError(message)
        return self

    def __str__(self) -> str:
        """As a person would write it."""
        value = "" if self.value is None else f" {self.value!r}"
        return f"{self.column} {self.op}{value}"
