"""Delta Lake: which version of a table counts, and which of the files in its folder hold that version's rows."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, TypeVar, cast
from urllib.parse import unquote

from trainyard.contract import DeltaData, FileData, ScoredDeltaData, at_version
from trainyard.datasets.access import DataAccess
from trainyard.datasets.sources.http import WebFile
from trainyard.datasets.sources.local import below_roots
from trainyard.datasets.sources.location import Location, Snapshot
from trainyard.datasets.tables.parquet import is_delta
from trainyard.errors import InvalidData

LOG = "_delta_log"
MAPPING = "delta.columnMapping.mode"
DELTA = (DeltaData, ScoredDeltaData)
Spec = TypeVar("Spec")
L = TypeVar("L", Location, Location | WebFile)


def pinned(spec: Spec, access: DataAccess) -> Spec:
    """The spec of data, with the version that counts now where it is a Delta table. Raises `InvalidData`."""
    if not isinstance(spec, FileData) or "://" in spec.uri:
        return spec
    snapshot = table_at(below_roots(spec.uri, access, "/data/uri"), spec).snapshot
    return spec if snapshot is None else cast("Spec", at_version(spec, snapshot.version))


def table_at(location: L, spec: FileData) -> L:
    """The location of a table; where it is a Delta table, with the snapshot of the version that counts.

    Raises `InvalidData` for a version that is not there or cannot be read, and for files outside the table's folder.
    """
    from pyarrow.fs import LocalFileSystem

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
    if not isinstance(location.filesystem, LocalFileSystem):
        raise InvalidData(
            f"{location.uri!r} is a Delta table, and those are read from folders below the data roots; copy it there",
            location.pointer,
        )
    return replace(location, snapshot=_snapshot(location, spec))


def _check_no_part(location: Location | WebFile) -> None:
    """Raise `InvalidData` for a file or folder within a Delta table, whose rows may be deleted ones."""
    from pyarrow.fs import LocalFileSystem

    if isinstance(location, WebFile) or not isinstance(location.filesystem, LocalFileSystem):
        return
    path = Path(location.path)
    whole = next((each for each in (path, *path.parents) if (each / LOG).exists()), None)
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
        return DeltaTable(location.path)


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
        raise InvalidData(
            f"version {version} of {location.uri!r} can no longer be read: its file {path!r} is gone, as after a vacuum; name a newer version",
            location.pointer,
        )


@contextmanager
def _told(location: Location, version: int | None) -> Iterator[None]:
    """Turn what deltalake raises into `InvalidData`: of its own errors, and of a damaged log whatever there is."""
    try:
        yield
    except (InvalidData, MemoryError):
        raise
    except Exception as error:
        which = "" if version is None else f"version {version} of "
        raise InvalidData(
            f"{which}the Delta table {location.uri!r} cannot be read: {error}",
            location.pointer,
        ) from error
