"""Delta Lake: which version of a table counts, and which of the files in its folder hold that version's rows."""

import re
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import PurePosixPath
from typing import Any, TypeVar
from urllib.parse import unquote

from trainyard.contract import DeltaData, FileData, ScoredDeltaData
from trainyard.datasets.sources.http import WebFile
from trainyard.datasets.sources.location import Location, Snapshot
from trainyard.datasets.tables.parquet import is_delta
from trainyard.errors import InvalidData

LOG = "_delta_log"
COLOURS = re.compile(r"\x1b\[\d*m|\N{DOWNWARDS ARROW WITH TIP RIGHTWARDS}")
"""In what the library says of a store."""
MAPPING = "delta.columnMapping.mode"
DELTA = (DeltaData, ScoredDeltaData)
L = TypeVar("L", Location, Location | WebFile)


def table_at(location: L, spec: FileData) -> L:
    """The location of a table; where it is a Delta table, with the snapshot of the version that counts.

    Raises `InvalidData` for a version that is not there or cannot be read, and for files outside the table's folder.
    """
    if isinstance(location, WebFile) or not is_delta(location):
        if isinstance(spec, DELTA):
            raise InvalidData(
                f"{location.uri!r} is not the folder of a Delta table, which holds a folder _delta_log; source 'file' reads other tables",
                location.pointer,
            )
        _check_no_part(location)
        return location
    if spec.test_uri is not None:
        raise InvalidData(
            f"{location.uri!r} is a Delta table, and versions are kept of one table alone; divide its rows by split.by, and leave test_uri out",
            "/data/test_uri",
        )
    if spec.csv is not None:
        raise InvalidData(f"{location.uri!r} is a Delta table; leave csv out", "/data/csv")
    return replace(location, snapshot=_snapshot(location, spec))


def _check_no_part(location: Location | WebFile) -> None:
    """Raise `InvalidData` for a file or folder within a Delta table, whose rows may be deleted ones."""
    from pyarrow.fs import FileType

    if isinstance(location, WebFile):
        return
    path = PurePosixPath(location.path)
    within = [each for each in (path, *path.parents) if each.name]
    logs: list[Any] = []
    with suppress(OSError):  # as where keys read this object and list none
        logs = location.filesystem.get_file_info([str(each / LOG) for each in within])
    found = zip(within, logs, strict=False)
    whole = next((each for each, log in found if log.type == FileType.Directory), None)
    if whole is not None:
        raise InvalidData(
            f"{location.uri!r} is a part of the Delta table in the folder {whole.name!r}, and its rows may be deleted ones; name that folder",
            location.pointer,
        )


def _snapshot(location: Location, spec: FileData) -> Snapshot:
    from pyarrow.fs import SubTreeFileSystem

    table = _newest(location)
    version = _wanted(table, location, spec)
    with _told(location, version):
        if version != table.version():
            table.load_as_version(version)
        _check_names(table, location)
        below = SubTreeFileSystem(location.path, location.filesystem)
        whole = table.to_pyarrow_dataset(filesystem=below)
        files = {each.path: each.partition_expression for each in whole.get_fragments()}
    _check_there(files, location, version)
    return Snapshot(version, whole.schema, {path: files[path] for path in sorted(files)})


def _newest(location: Location) -> Any:
    """The table, as a `deltalake.DeltaTable` at its newest version."""
    try:
        from deltalake import DeltaTable
    except ImportError as error:
        raise InvalidData(
            f"{location.uri!r} is a Delta table, and this service cannot read those; install trainyard[lake], which brings deltalake",
            location.pointer,
        ) from error
    if unquote(location.path) != location.path:
        raise InvalidData(
            f"{location.uri!r} is a Delta table whose path has an escape such as %20, for which deltalake would open another folder; rename the folder",
            location.pointer,
        )
    with _told(location, None):
        if _is_local(location):
            return DeltaTable(location.path)
        return DeltaTable(f"s3://{location.path}", storage_options=dict(location.options))


def _wanted(table: Any, location: Location, spec: FileData) -> int:
    """The version that the spec means. Raises `InvalidData` where the table's log has none such."""
    newest: int = table.version()
    version = spec.version if isinstance(spec, DELTA) else None
    timestamp = spec.timestamp if isinstance(spec, DELTA) else None
    if timestamp is not None:
        return _at_time(table, location, timestamp)
    if version is None:
        return newest
    if version > newest:
        raise InvalidData(
            f"{location.uri!r} has no version {version}; {_versions(table)}", "/data/version"
        )
    return version


def _at_time(table: Any, location: Location, timestamp: str) -> int:
    """The newest version that was committed by then, as the commits themselves say when they were."""
    asked = datetime.fromisoformat(timestamp).timestamp() * 1000
    with _told(location, None):
        commits = [each for each in table.history() if each.get("timestamp") is not None]
    made = [each["version"] for each in commits if each["timestamp"] <= asked]
    if made:
        return int(max(made))
    first = min((each["timestamp"] for each in commits), default=None)
    if first is None:
        why = "its log does not say when versions were made; give a version"
    else:
        said = datetime.fromtimestamp(first / 1000, UTC).isoformat(timespec="milliseconds")
        why = f"the first that its log has is of {said}"
    raise InvalidData(f"{location.uri!r} had no version at {timestamp}; {why}", "/data/timestamp")


def _versions(table: Any) -> str:
    """The versions that there are, in words."""
    first = min(int(each["version"]) for each in table.history())
    last = table.version()
    return f"its one version is {last}" if first == last else f"its versions are {first} to {last}"


def _check_names(table: Any, location: Location) -> None:
    """Raise `InvalidData` where files call columns otherwise than the table does."""
    mode = table.metadata().configuration.get(MAPPING, "none")
    if mode != "none":
        raise InvalidData(
            f"{location.uri!r} is a Delta table with column mapping ({MAPPING} is {mode!r}), which cannot be read here; write the version as another table without it",
            location.pointer,
        )


def _check_there(files: dict[str, Any], location: Location, version: int) -> None:
    """Raise `InvalidData` unless each file is there, below the table's folder.

    Links were followed where the folder was listed, so that what is listed lies below a data root.
    """
    if not files:
        raise InvalidData(
            f"version {version} of {location.uri!r} has no rows; name another version",
            location.pointer,
        )
    listed = set(location.files or ())
    for path in files:
        if path in listed:
            continue
        if "://" in path or path.startswith("/") or ".." in path.split("/"):
            raise InvalidData(
                f"the log of {location.uri!r} names {path!r}, which lies outside the table's folder; copy the rows into a table of their own",
                location.pointer,
            )
        if not location.all_files:
            continue  # of which the run tells
        raise InvalidData(
            f"version {version} of {location.uri!r} can no longer be read: its file {path!r} is gone, as after a vacuum; name a newer version",
            location.pointer,
        )


def _is_local(location: Location) -> bool:
    from pyarrow.fs import LocalFileSystem

    return isinstance(location.filesystem, LocalFileSystem)


@contextmanager
def _told(location: Location, version: int | None) -> Iterator[None]:
    """Turn what deltalake raises into `InvalidData`: of its own errors, and of a damaged log whatever there is."""
    try:
        yield
    except (InvalidData, MemoryError):
        raise
    except Exception as error:
        which = "" if version is None else f"version {version} of "
        why = " ".join(COLOURS.sub("", str(error)).split())
        raise InvalidData(
            f"{which}the Delta table {location.uri!r} cannot be read: {why}",
            location.pointer,
        ) from error
