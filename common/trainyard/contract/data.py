"""Where rows and images come from, and how columns are to be read."""

from datetime import datetime
from typing import Annotated, ClassVar, Literal, Self

from pydantic import (
    AfterValidator,
    Field,
    StringConstraints,
    ValidationInfo,
    field_validator,
    model_validator,
)

from trainyard.contract.filters import MOST_CONDITIONS, Condition
from trainyard.contract.names import Name
from trainyard.contract.wire import MOST_COLUMNS, Column, Wire

SCORED_TARGET = "The true values, where the table has them: metrics are made of them"


class BuiltinData(Wire):
    """A data set that ships with the service."""

    source: Literal["builtin"]
    name: Name = Field(examples=["breast_cancer"])


class NumberColumn(Wire):
    """A text column that holds numbers, and how they are written."""

    type: Literal["number"]
    decimal: Literal[".", ","] = "."
    thousands: Literal["", ",", ".", " ", "'"] = Field("", description="What sets thousands apart")
    missing: list[Annotated[str, StringConstraints(max_length=100)]] = Field(
        default_factory=list,
        max_length=100,
        examples=[["k.A."]],
        description="Text that stands for a missing value, beside '?', '-', 'NA' and the like",
    )

    @field_validator("thousands")
    @classmethod
    def _not_the_decimal_mark(cls, thousands: str, info: ValidationInfo) -> str:
        if thousands == info.data.get("decimal"):
            message = (
                f"thousands {thousands!r} is the decimal mark too; take another for one of them"
            )
            raise ValueError(message)
        return thousands


class CategoryColumn(Wire):
    """A column whose values are names, whatever they look like; as if listed in `categorical`."""

    type: Literal["category"]


def _an_encoding(name: str) -> str:
    """One that Python reads text in."""
    try:
        "".encode(name)
    except (LookupError, UnicodeError, ValueError) as error:
        message = f"{name!r} is no encoding of text; take one such as 'utf-8', 'cp1252' or 'utf-16'"
        raise ValueError(message) from error
    return name


def _one_sign(sign: str) -> str:
    """What pyarrow takes for a delimiter or a quote."""
    if len(sign) != 1 or not sign.isascii() or sign in "\r\n\0":
        message = f"{sign!r} is not one ASCII character within a line, such as ';'"
        raise ValueError(message)
    return sign


def _one_sign_or_none(sign: str) -> str:
    return _one_sign(sign) if sign else sign


Sign = Annotated[str, StringConstraints(max_length=10), AfterValidator(_one_sign)]
SignOrNone = Annotated[str, StringConstraints(max_length=10), AfterValidator(_one_sign_or_none)]


class CsvOptions(Wire):
    """How a CSV is written; what is left out is found from the file's first rows."""

    delimiter: Sign | None = Field(None, examples=[";"])
    encoding: (
        Annotated[str, StringConstraints(max_length=50), AfterValidator(_an_encoding)] | None
    ) = Field(None, examples=["cp1252"])
    decimal: Literal[".", ","] | None = None
    quote: SignOrNone | None = Field(
        None, description="What stands around text; empty where nothing does"
    )
    escape: SignOrNone | None = Field(
        None,
        description="What stands before a quote within quotes; empty where such a quote is doubled",
    )
    skip_rows: int | None = Field(
        None, ge=0, le=10_000, description="Lines before the header that are no part of the table"
    )
    header: bool | None = Field(
        None, description="`false`: no line has names, and the columns are called '0', '1', '2', …"
    )

    missing: list[Annotated[str, StringConstraints(max_length=100)]] | None = Field(
        None,
        max_length=100,
        examples=[["", "NA"]],
        description="Text that stands for a missing value, in place of what pandas takes for one, such as 'None'",
    )

    @model_validator(mode="after")
    def _tell_apart(self) -> Self:
        signs = [each for each in (self.delimiter, self.quote, self.escape) if each]
        if len(set(signs)) < len(signs):
            message = (
                "delimiter, quote and escape are signs of their own; take another for one of them"
            )
            raise ValueError(message)
        return self


class DateColumn(Wire):
    """A column of dates or times, and how they are written where they are text."""

    type: Literal["date"]
    day_first: bool | None = Field(
        None,
        description="Whether 02/03/2020 is the second of March; found out from the values by default, where they tell",
    )


StatedColumn = Annotated[NumberColumn | CategoryColumn | DateColumn, Field(discriminator="type")]


class TableData(Wire):
    """What is asked of a table, wherever it comes from."""

    pointer: ClassVar[str] = "/data/uri"
    """Where a request says which table it is."""
    target: Column
    features: list[Column] | None = Field(
        None,
        min_length=1,
        max_length=MOST_COLUMNS,
        description="Columns to train on; all others but the target by default",
    )
    drop: list[Column] = Field(
        default_factory=list, max_length=MOST_COLUMNS, description="Columns to leave out"
    )
    filter: list[Condition] = Field(
        default_factory=list,
        max_length=MOST_CONDITIONS,
        examples=[[{"column": "day", "op": ">=", "value": "2026-01-01"}]],
        description="Conditions that rows meet, all of them; other rows are left out, also of test_uri",
    )
    categorical: list[Column] = Field(
        default_factory=list,
        max_length=MOST_COLUMNS,
        description="Columns to treat as categories although they hold numbers",
    )
    columns: dict[Column, StatedColumn] = Field(
        default_factory=dict,
        max_length=MOST_COLUMNS,
        examples=[
            {
                "price": {"type": "number", "decimal": ","},
                "day": {"type": "date", "day_first": True},
            }
        ],
        description="How columns are to be read, where that is not to be found out from their values",
    )
    dates: Literal["features", "ignore"] = Field(
        "features",
        description="Whether dates are trained on, as elapsed days and what comes round again, or left out",
    )
    weight: Column | None = Field(None, description="Column of sample weights, >= 0")

    @property
    def address(self) -> str:
        """Where the table is, as the request has it."""
        raise NotImplementedError


class FileData(TableData):
    """A table: CSV, packed or not, Parquet, a folder of either, or a Delta table as it is now."""

    source: Literal["file"]
    uri: str = Field(
        min_length=1,
        max_length=2000,
        examples=["bank_marketing.csv"],
        description="A path below a data root, s3://bucket/key, or http(s):// on an allowed host",
    )
    format: Literal["csv", "parquet"] | None = None
    csv: CsvOptions | None = Field(
        None,
        examples=[{"delimiter": ";", "decimal": ",", "encoding": "cp1252"}],
        description="How a CSV is written, where that is not to be found out from its first rows",
    )
    test_uri: str | None = Field(
        None, min_length=1, max_length=2000, description="A separate table for the test metrics"
    )

    @property
    def address(self) -> str:
        """Its URI."""
        return self.uri


def _a_time(text: str) -> str:
    """One that is the same everywhere: with its zone."""
    try:
        time = datetime.fromisoformat(text)
    except ValueError:
        time = None
    if time is None or time.tzinfo is None:
        message = f"{text!r} is no time with a zone; give one such as '2026-01-01T00:00:00Z'"
        raise ValueError(message)
    return text


class NotInAFile(Wire):
    """What is said of files alone."""

    format: ClassVar[None] = None
    csv: ClassVar[None] = None
    test_uri: ClassVar[None] = None


class Versioned(NotInAFile):
    """Which version of a table counts: the newest at the submit, where neither is said."""

    version: int | None = Field(None, ge=0, examples=[3], description="The version to read")
    timestamp: Annotated[str, StringConstraints(max_length=50), AfterValidator(_a_time)] | None = (
        Field(
            None,
            examples=["2026-01-01T00:00:00Z"],
            description="Read the version that was the newest at this time",
        )
    )

    @model_validator(mode="after")
    def _one_of_both(self) -> Self:
        if self.version is not None and self.timestamp is not None:
            message = "version and timestamp both say which version counts; leave one of them out"
            raise ValueError(message)
        return self


class DeltaData(Versioned, FileData):
    """A Delta Lake table: the rows of one of its versions."""

    source: Literal["delta"]  # type: ignore[assignment]  # a table in a folder, but for this
    uri: str = Field(
        min_length=1,
        max_length=2000,
        examples=["sales"],
        description="The table's folder, the one that holds _delta_log, below a data root",
    )


class ImageData(Wire):
    """Images: a folder of pictures by class or of IDX files, or an .npz with x_train, y_train, x_test, y_test."""

    source: Literal["images"]
    uri: str = Field(min_length=1, max_length=2000)


class ScoredFileData(FileData):
    """A table to score: as for a training, but it need not have a target.

    The model says which columns it needs, so `features`, `drop`, `categorical`,
    `columns` and `dates` do not count.
    """

    target: Column | None = Field(  # type: ignore[assignment]  # what a training must have, a scoring may
        None, description=SCORED_TARGET
    )


class ScoredDeltaData(Versioned, ScoredFileData):
    """A Delta Lake table to score: the rows of one of its versions."""

    source: Literal["delta"]  # type: ignore[assignment]  # a table in a folder, but for this
