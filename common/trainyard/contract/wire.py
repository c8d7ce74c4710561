"""What every model of the wire is built on: strictness, and names."""

import re
from typing import Annotated

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, StringConstraints


def _not_reserved(alias: str) -> str:
    """MLflow keeps `latest` and `v1`, `v2`, … for itself."""
    if alias.lower() == "latest" or re.fullmatch(r"[vV]\d+", alias):
        message = (
            f"{alias!r} is a name that MLflow keeps for itself; take another, such as 'champion'"
        )
        raise ValueError(message)
    return alias


WRITTEN_BY_US = ("trainyard.", "mlflow.runName", "mlflow.user", "mlflow.source.")


def _not_our_own(tag: str) -> str:
    """What Trainyard itself reads back from a run must be its own writing."""
    if tag.startswith(WRITTEN_BY_US):
        message = f"{tag!r} is a tag that Trainyard writes itself; take another name"
        raise ValueError(message)
    return tag


NAME_PATTERN = r"^[A-Za-z0-9][A-Za-z0-9_.\- ]{0,199}$"
Name = Annotated[str, StringConstraints(pattern=NAME_PATTERN)]
Alias = Annotated[
    str, StringConstraints(pattern=r"^[A-Za-z0-9_\-]{1,255}$"), AfterValidator(_not_reserved)
]
TagName = Annotated[
    str, StringConstraints(pattern=r"^[A-Za-z0-9_.\-/ ]{1,250}$"), AfterValidator(_not_our_own)
]
Column = Annotated[str, StringConstraints(min_length=1, max_length=500)]
MOST_COLUMNS = 20_000
"""Columns that a request may name in one list; a body full of them is refused before each is looked at."""
Fraction = Annotated[float, Field(ge=0.0, lt=1.0)]


class Wire(BaseModel):
    """Frozen, strict, and without unknown fields, NaN or infinity."""

    model_config = ConfigDict(
        extra="forbid", frozen=True, strict=True, allow_inf_nan=False, protected_namespaces=()
    )
