"""A look at data before anything is trained on it: its columns, and what a person should know of them."""

from typing import Literal

from pydantic import Field

from trainyard.contract.tables import ScoredData
from trainyard.contract.wire import Wire

MOST_SHOWN = 200
"""Columns that a preview shows."""
MOST_EXAMPLES = 5
LONGEST_EXAMPLE = 60


class PreviewRequest(Wire):
    """Which data to look at, as in a training's `data`; a table need not have a target yet."""

    data: ScoredData = Field(examples=[{"source": "file", "uri": "bank_marketing.csv"}])


class PreviewedColumn(Wire):
    """A column, as its first rows show it."""

    name: str
    type: Literal["number", "category", "date", "boolean", "none"] = Field(
        description="What a training makes of its values; `none` where there are none, or none that can be trained on"
    )
    stored: str = Field(description="What it is in the file or the database", examples=["int64"])
    examples: list[str] = Field(description="Some of its values as text")
    missing: int = Field(description="Missing values in the rows that were looked at")
    warnings: list[str] = Field(
        default_factory=list, description="What a person should read before training on it"
    )


class DataPreview(Wire):
    """What a look at the first rows tells; all rows may tell more, which the run says."""

    kind: Literal["table", "images"]
    columns: list[PreviewedColumn] = Field(
        description="In the table's order, 200 at most; none of images, nor of a table of which a look costs all"
    )
    more_columns: int = Field(0, description="Columns that are not shown")
    rows_seen: int = Field(0, description="Rows that were looked at")
    complete: bool = Field(False, description="Whether these are all rows")
    about_rows: int | None = Field(
        None, description="All rows, counted or by an estimate; null where only a run can tell"
    )
    warnings: list[str] = Field(
        default_factory=list, description="What is to be said of the data as a whole"
    )

    @property
    def in_words(self) -> str:
        """How much of it was looked at, in a sentence."""
        if self.kind == "images":
            return "These are images, which can be read."
        if not self.rows_seen:
            return "No row was looked at."
        more = f", and {self.more_columns:,} columns more" if self.more_columns else ""
        if self.complete:
            return f"All {self.rows_seen:,} rows were looked at{more}."
        about = f" of about {self.about_rows:,}" if self.about_rows else ""
        return f"The first {self.rows_seen:,} rows{about} were looked at{more}."
