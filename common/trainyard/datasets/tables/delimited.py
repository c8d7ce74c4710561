"""CSV in one file or in a folder of files."""

from collections.abc import Collection, Iterator

import pyarrow as pa

from trainyard.contract import CsvOptions
from trainyard.datasets.sources.http import WebFile
from trainyard.datasets.sources.location import Location
from trainyard.datasets.tables import csv, csv_folder
from trainyard.datasets.tables.dialects.dialect import Layout
from trainyard.datasets.tables.filtered import filtered, to_read
from trainyard.datasets.tables.selection import Selection

Start = csv.Start | csv_folder.FolderStart
Laid = Layout | csv_folder.FolderLayout


def first_rows(
    location: Location | WebFile,
    asked: CsvOptions | None,
    *,
    all_files: bool = False,
    needed: Collection[str] = frozenset(),
    texts: frozenset[str] = frozenset(),
) -> Start:
    """The rows at the start of the file, or of each file of a folder, of which all or none have the columns `needed`. Raises `InvalidData`.

    The columns `texts` are read as text, whatever they hold.
    """
    if isinstance(location, Location) and location.files is not None:
        return csv_folder.first_rows(
            location, asked, all_files=all_files, needed=needed, texts=texts
        )
    return csv.first_rows(location, asked, texts)


def about_rows(location: Location | WebFile, start: Start) -> int:
    """All rows, by an estimate; 0 where it cannot be told: of a folder, a packed file, or one from the web."""
    if start.complete:
        return len(start.rows)
    if isinstance(start, csv_folder.FolderStart) or isinstance(location, WebFile):
        return 0
    return csv.about_rows(location, start)


def every_row(location: Location, layout: Laid, wanted: list[str]) -> pa.Table:
    """The columns `wanted` of all rows that count. Raises `InvalidData`."""
    needed = to_read(wanted, location.conditions)
    if isinstance(layout, csv_folder.FolderLayout):
        table = csv_folder.every_row(layout, needed)
    else:
        table = csv.every_row(location, layout, needed)
    return filtered(table, location.conditions).select(wanted)


def in_batches(location: Location, layout: Layout, wanted: list[str]) -> Iterator[pa.RecordBatch]:
    """The same of a file, block by block. Raises `InvalidData` where the types of the first do not hold for a later one."""
    needed = to_read(wanted, location.conditions)
    for batch in csv.in_batches(location, layout, needed):
        yield filtered(batch, location.conditions).select(wanted)


def codes(layout: Laid, selection: Selection) -> list[str]:
    """A sentence for each column that is read as numbers and may hold codes."""
    parts = layout.parts if isinstance(layout, csv_folder.FolderLayout) else (layout,)
    found = {name: word for part in parts for name, word in _layout(part).codes.items()}
    return [
        _said_of_code(name, word, selection)
        for name, word in found.items()
        if name in selection.columns and name not in selection.categorical
    ]


def _said_of_code(name: str, word: str, selection: Selection) -> str:
    word = word.strip()
    if "." in word:
        return f"the column {name!r} holds numbers such as {word!r}, all with three digits behind the point, which is read as the decimal mark; where thousands are meant, set data.csv.decimal to ','"
    if "x" in word.lower():
        return f"the column {name!r} holds hexadecimal numbers, such as {word!r}, and is read as numbers; where they are codes, put a letter before each, as in {'c' + word!r}"
    if "e" in word.lower():
        return f"the column {name!r} holds {word!r} and has no fractions, as codes of digits and letters do, and is read as numbers, in which that is {float(word):,.0f}; where they are codes, put a letter before each, as in {'c' + word!r}"
    return f"the column {name!r} holds numbers that begin with a zero, such as {word!r}, as codes do, and is read as numbers, in which the zero is lost; {_as_categories(name, selection)}"


def _layout(part: Layout | csv_folder.Part) -> Layout:
    return part.layout if isinstance(part, csv_folder.Part) else part


def _as_categories(name: str, selection: Selection) -> str:
    if name == selection.target:
        return "give the labels a letter, as in 'c01', to have them back as they are"
    return "name it in categorical where they are no quantities"


def said(layout: Laid, uri: str) -> list[str]:
    """What a person should know of how the table is read."""
    if isinstance(layout, csv_folder.FolderLayout):
        return layout.sentences(uri)
    one = layout.sentence(uri)
    return [] if one is None else [one]
