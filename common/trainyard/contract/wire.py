"""What every model of the wire is built on: strictness, columns and fractions."""

from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field, StringConstraints

Column = Annotated[str, StringConstraints(min_length=1, max_length=500)]
MOST_COLUMNS = 20_000
"""Columns that a request may name in one list; a body full of them is refused before each is looked at."""
Fraction = Annotated[float, Field(ge=0.0, lt=1.0)]


class Wire(BaseModel):
    """Frozen, strict, and without unknown fields, NaN or infinity."""

    model_config = ConfigDict(
        extra="forbid", frozen=True, strict=True, allow_inf_nan=False, protected_namespaces=()
    )
