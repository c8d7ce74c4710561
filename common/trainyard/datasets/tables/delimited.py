"""CSV in one file or in a folder of files."""

import pyarrow as pa

from trainyard.contract import CsvOptions
from trainyard.datasets.sources.http import WebFile
from trainyard.datasets.sources.location import Location
from trainyard.datasets.tables import csv, csv_folder
from trainyard.datasets.tables.dialects.dialect import Layout

Start = csv.Start | csv_folder.FolderStart
Laid = Layout | csv_folder.FolderLayout


def first_rows(
    location: Location | WebFile, asked: CsvOptions | None, *, all_files: bool = False
) -> Start:
    """The rows at the start of the file, or of each file of a folder. Raises `InvalidData`."""
    if isinstance(location, Location) and location.files is not None:
        return csv_folder.first_rows(location, asked, all_files=all_files)
    return csv.first_rows(location, asked)


def about_rows(location: Location | WebFile, start: Start) -> int:
    """All rows, by an estimate; 0 where it cannot be told: of a folder, a packed file, or one from the web."""
    if start.complete:
        return len(start.rows)
    if isinstance(start, csv_folder.FolderStart) or isinstance(location, WebFile):
        return 0
    return csv.about_rows(location, start)


def every_row(location: Location, layout: Laid, wanted: list[str]) -> pa.Table:
    """The columns `wanted` of all rows. Raises `InvalidData`."""
    if isinstance(layout, csv_folder.FolderLayout):
        return csv_folder.every_row(layout, wanted)
    return csv.every_row(location, layout, wanted)


def said(layout: Laid, uri: str) -> list[str]:
    """What a person should know of how the table is read."""
    if isinstance(layout, csv_folder.FolderLayout):
        return layout.sentences(uri)
    one = layout.sentence(uri)
    return [] if one is None else [one]
