"""A folder of CSV as one table: each file in its own dialect, their columns by name."""

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from urllib.parse import unquote

import pyarrow as pa

from trainyard.contract import CsvOptions
from trainyard.datasets.sources.location import Location
from trainyard.datasets.tables import csv, parts
from trainyard.datasets.tables.dialects.dialect import Dialect, Layout
from trainyard.datasets.tables.lacking import check_files
from trainyard.datasets.tables.schemas import contradictory, differences, unified
from trainyard.errors import InvalidData


@dataclass(frozen=True)
class Part:
    """One file of the folder, by its path in it, and how it is written."""

    file: str
    location: Location
    layout: Layout


@dataclass(frozen=True)
class FolderLayout:
    """How the files of a folder are written, and in what they differ."""

    parts: tuple[Part, ...]
    differ: tuple[str, ...]

    @property
    def dialect(self) -> Dialect:
        """Of the first file."""
        return self.parts[0].layout.dialect

    def sentences(self, uri: str) -> list[str]:
        """What a person should know of how the files are read."""
        said = self.parts[0].layout.sentence(uri)
        others = [each.file for each in self.parts if each.layout.dialect != self.dialect]
        if others:
            said = f"the files of {uri!r} are written in more ways than one, and each is read in its own, such as {others[0]!r}"
        of_letters = self._encodings() if others else []
        return [*([said] if said else []), *of_letters, *self.differ]

    def _encodings(self) -> list[str]:
        """A sentence for each encoding that letters tell."""
        found = {each.layout.dialect.encoding: each for each in self.parts if each.layout.word}
        return [
            f"{each.file!r} is read in {each.layout.in_encoding}"
            for each in found.values()
            if "encoding" not in each.layout.stated
        ]


@dataclass(frozen=True)
class FolderStart:
    """The first rows of the files, whether these are all of the table, and how the files are written."""

    rows: pa.Table
    complete: bool
    layout: FolderLayout


def first_rows(
    location: Location,
    asked: CsvOptions | None,
    *,
    all_files: bool,
    needed: Collection[str] = frozenset(),
    texts: frozenset[str] = frozenset(),
) -> FolderStart:
    """The rows at the start of each file; of the first `parts.SAMPLE_FILES` files unless `all_files`. Raises `InvalidData`.

    Of the columns `needed` the files have all or none. The columns `texts` are read as text, whatever they hold.
    """
    names = parts.delimited_parts(location.files or ())
    if not names:
        raise InvalidData(f"the folder {location.uri!r} holds no .csv file", location.pointer)
    files = names if all_files else names[: parts.SAMPLE_FILES]
    starts: list[csv.Start] = []

    def read(file: str, contradictory: frozenset[str]) -> pa.Table:
        starts.append(csv.first_rows(_at(location, file), asked, texts | contradictory))
        return starts[-1].rows

    def check(columns: Mapping[str, Sequence[str]]) -> None:
        check_files(columns, needed, location)

    rows, differ = _read(files, read, location.uri, check)
    layouts = [replace(each.layout, texts=texts) for each in starts[: len(files)]]
    found = [
        Part(file, _at(location, file), layout) for file, layout in zip(files, layouts, strict=True)
    ]
    complete = location.all_files and len(files) == len(names)
    return FolderStart(
        rows,
        complete and all(each.complete for each in starts),
        FolderLayout(tuple(found), tuple(differ)),
    )


def every_row(layout: FolderLayout, wanted: list[str]) -> pa.Table:
    """The columns `wanted` of all rows, file after file. Raises `InvalidData`."""
    known = {part.file: part for part in layout.parts}

    def read(file: str, texts: frozenset[str]) -> pa.Table:
        part = known[file]
        own = [name for name in wanted if name in part.layout.names]
        as_text = replace(part.layout, texts=part.layout.texts | texts)
        return csv.every_row(part.location, as_text, own)

    uri = layout.parts[0].location.uri
    return _read([*known], read, uri)[0].select(wanted)


def _read(
    files: Sequence[str],
    read: Callable[[str, frozenset[str]], pa.Table],
    uri: str,
    check: Callable[[Mapping[str, Sequence[str]]], None] = lambda _: None,
) -> tuple[pa.Table, list[str]]:
    """The rows of all files in one schema, and in what they differ; `check` is given the columns of each first.

    What is text in one file and numbers in another is read again, as the text that it is in all of them.
    """
    apart = parts.partition(files)
    tables = {file: _without(read(file, frozenset()), apart) for file in files}
    check({file: table.column_names for file, table in tables.items()})
    texts = contradictory({file: table.schema for file, table in tables.items()})
    if texts:
        tables = {
            file: _without(read(file, texts & {*table.column_names}), apart)
            for file, table in tables.items()
        }
    schemas = {file: table.schema for file, table in tables.items()}
    whole = unified([*schemas.values()], apart)
    found = [_as(whole, table, _said_by(file)) for file, table in tables.items()]
    return pa.concat_tables(found), differences(schemas, whole, uri)


def _without(table: pa.Table, apart: pa.Schema) -> pa.Table:
    """What a folder says of its rows stands above what its files do."""
    return table.drop_columns([name for name in apart.names if name in table.column_names])


def _as(whole: pa.Schema, table: pa.Table, said: dict[str, str]) -> pa.Table:
    """The table in the schema: with what the folders say of its rows, and missing for what it has not."""
    columns = []
    for field in whole:
        if field.name in table.column_names:
            columns.append(table[field.name].cast(field.type))
        else:
            value = pa.scalar(said.get(field.name), pa.string()).cast(field.type)
            columns.append(pa.repeat(value, len(table)))
    return pa.table(columns, schema=whole)


def _said_by(file: str) -> dict[str, str]:
    """The columns that the folders of a file add to its rows."""
    pairs = [folder.partition("=") for folder in file.split("/")[:-1] if "=" in folder]
    return {unquote(name): unquote(value) for name, _, value in pairs if value != parts.NOTHING}


def _at(location: Location, file: str) -> Location:
    return Location(
        f"{location.uri}/{file}",
        location.pointer,
        location.filesystem,
        f"{location.path}/{file}",
    )
