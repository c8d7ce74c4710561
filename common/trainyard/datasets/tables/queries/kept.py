"""The answer to a query as a Parquet file, kept, so that whatever reads it again reads the same rows."""

import hashlib
import os
import secrets
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager, suppress
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from tempfile import TemporaryDirectory

from trainyard.contract import SqlData
from trainyard.datasets.access import DataAccess
from trainyard.datasets.sources.connections import DATA_ROOTS, SQLITE, database
from trainyard.datasets.sources.location import Location, readable
from trainyard.datasets.tables.queries import data_roots, postgres, sqlite
from trainyard.datasets.tables.queries.answer import QUERY, Answer, check_storable

AT_SUBMIT_SECONDS = 8.0
IN_TIME = timedelta(hours=1)
"""A later answer is told of: the run waited, or the rows of an earlier attempt are gone."""
STAMP = "%Y%m%dT%H%M%SZ"
ASKED_AT = b"trainyard.asked_at"


def new_rows() -> str:
    """What an answer is called that is to be asked for now."""
    return f"{datetime.now(UTC):{STAMP}}-{secrets.token_hex(4)}"


def found(spec: SqlData, access: DataAccess) -> Location | None:
    """The rows that were kept under this name, if they are there; they are kept on from now."""
    path = _path(spec, access)
    if path is None or not path.is_file():
        return None
    with suppress(OSError):
        os.utime(path)
    return _location(spec, path)


@contextmanager
def opened(spec: SqlData, access: DataAccess) -> Iterator[Location]:
    """The rows, asked for now unless they were kept. Raises `InvalidData`, and `DiskFull`."""
    there = found(spec, access)
    if there is not None:
        yield there
        return
    with TemporaryDirectory(prefix="trainyard-") as folder:
        draft = Path(folder) / "rows.parquet"
        path = _path(spec, access)
        if path is not None:
            path.parent.mkdir(parents=True, exist_ok=True)
            draft = path.with_name(f".{secrets.token_hex(8)}.draft")
        try:
            _write(spec, access, draft)
            yield _location(spec, draft if path is None else _first_stays(draft, path))
        finally:
            draft.unlink(missing_ok=True)


@contextmanager
def looked_at(spec: SqlData, access: DataAccess) -> Iterator[Answer]:
    """The answer for a look at submit, which takes little time, memory and of a CSV only the first rows."""
    with _asked(spec, access, seconds=AT_SUBMIT_SECONDS, is_look=True) as answer:
        check_storable(spec.connection, answer.schema)
        yield answer


def _write(spec: SqlData, access: DataAccess, path: Path) -> None:
    from pyarrow.parquet import ParquetWriter

    now = datetime.now(UTC).isoformat(timespec="seconds")
    with _asked(spec, access, seconds=access.query_seconds) as answer:
        check_storable(spec.connection, answer.schema)
        schema = answer.schema.with_metadata({ASKED_AT: now.encode()})
        with readable(spec.connection, QUERY), ParquetWriter(path, schema) as writer:
            for batch in answer.batches:
                writer.write_batch(batch.replace_schema_metadata(schema.metadata))


def _asked(
    spec: SqlData, access: DataAccess, *, seconds: float, is_look: bool = False
) -> AbstractContextManager[Answer]:
    name, query = spec.connection, spec.query
    if name == DATA_ROOTS:
        return data_roots.asked(query, access, seconds=seconds, is_look=is_look)
    uri = database(name, access)
    if uri.startswith(SQLITE):
        return sqlite.asked(uri.removeprefix(SQLITE), query, name=name, seconds=seconds)
    return postgres.asked(uri, query, name=name, seconds=seconds)


def _first_stays(draft: Path, path: Path) -> Path:
    """Where two asked at the same time, both read what the first one got."""
    with suppress(FileExistsError):
        os.link(draft, path)
    return path


def _path(spec: SqlData, access: DataAccess) -> Path | None:
    """Rows belong to a query: under the name of another's answer there are none."""
    if access.rows_dir is None or spec.rows is None:
        return None
    query = hashlib.sha256(f"{spec.connection}\0{spec.query}".encode()).hexdigest()[:16]
    return access.rows_dir / f"{spec.rows}-{query}.parquet"


def _location(spec: SqlData, path: Path) -> Location:
    from pyarrow.fs import LocalFileSystem
    from pyarrow.parquet import read_schema

    at = datetime.fromisoformat(read_schema(path).metadata[ASKED_AT].decode())
    about = {
        "connection": spec.connection,
        "query": spec.query,
        "rows": spec.rows,
        "asked_at": at.isoformat(),
    }
    place = Location(spec.connection, QUERY, LocalFileSystem(), str(path), about={"sql": about})
    late = _late(spec, at)
    return place if late is None else replace(place, warnings=(late,))


def _late(spec: SqlData, at: datetime) -> str | None:
    if spec.rows is None:
        return None
    asked = datetime.strptime(spec.rows.partition("-")[0], STAMP).replace(tzinfo=UTC)
    if at - asked < IN_TIME:
        return None
    hours = (at - asked) / timedelta(hours=1)
    return f"{spec.connection!r} was asked {hours:,.1f} hours after the submit: the run waited, or the rows that an earlier attempt read are no longer kept"
