"""Where predictions may be written: a file below an output root, or an object in an output bucket; whole, or not at all."""

import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from trainyard.datasets.access import DataAccess
from trainyard.datasets.sources.redaction import redacted
from trainyard.datasets.sources.s3 import bucket_path, filesystem_for
from trainyard.disk_space import is_full
from trainyard.errors import DiskFull, InvalidData

HERE = "/output"
ENDING = ".parquet"
S3 = "s3://"
PATIENCE_SECONDS = 60.0
COPIED_BYTES = 1 << 22
LONGEST_SHOWN = 100


def check_output(uri: str, access: DataAccess) -> None:
    """Raise `InvalidData` unless the predictions may be written there."""
    if uri.startswith(S3):
        _object(uri, access)
    else:
        _file(uri, access)


def write_output(predictions: Path, uri: str, access: DataAccess, run_id: str) -> str:
    """Write the file under a name of its own, then give it the one asked for. Returns where it is.

    What had that name is replaced. Raises `InvalidData`, and OSError on a full disk.
    """
    if uri.startswith(S3):
        return _to_bucket(predictions, _object(uri, access), access, run_id)
    target = _file(uri, access)
    draft = target.with_name(f".{run_id}.tmp")
    with _writable(uri):
        target.parent.mkdir(parents=True, exist_ok=True)
        try:
            shutil.copyfile(predictions, draft)
            with draft.open("rb") as file:
                os.fsync(file.fileno())
            draft.replace(target)
        finally:
            draft.unlink(missing_ok=True)
    return str(target)


def _file(uri: str, access: DataAccess) -> Path:
    """The path below the first output root, or below the one that it names."""
    if "://" in uri:
        raise InvalidData(
            f"{redacted(uri)!r} is no place to write to; give a path below an output root, or s3://bucket/key",
            HERE,
        )
    if not access.output_roots:
        raise InvalidData(
            f"{uri!r} is a path, and this service has no output roots; set TRAINYARD_OUTPUT_ROOTS, or leave output out: the predictions are in MLflow in any case",
            HERE,
        )
    _check_ending(uri)
    for root in (each.resolve() for each in access.output_roots):
        path = _below(root, uri)
        if path.is_relative_to(root) and path != root:
            _check_room_for(path, uri)
            return path
    raise InvalidData(
        f"{uri!r} lies outside the output roots; give a path relative to one of them", HERE
    )


def _below(root: Path, uri: str) -> Path:
    """The path, once it is known to be one: it may be too long, or hold what no name of a file does."""
    try:
        path = (root / uri).resolve()
        path.is_dir()
    except (OSError, ValueError) as error:
        raise InvalidData(f"{uri[:LONGEST_SHOWN]!r} is no path of a file: {error}", HERE) from error
    return path


def _check_room_for(path: Path, uri: str) -> None:
    """Raise `InvalidData` unless the file may be made, or replaced, and the folders that it is to be in."""
    if path.is_dir():
        raise InvalidData(f"{uri!r} is a folder; name a file", HERE)
    above = next((each for each in path.parents if each.exists()), Path("/"))
    if not above.is_dir():
        raise InvalidData(f"{uri!r} cannot be written: {above.name!r} in it is a file", HERE)
    if not os.access(above, os.W_OK | os.X_OK):
        raise InvalidData(f"{uri!r} cannot be written: this service may not write there", HERE)


def _object(uri: str, access: DataAccess) -> str:
    """`bucket/key`."""
    bucket = uri.removeprefix(S3).partition("/")[0]
    if bucket not in access.output_buckets:
        allowed = ", ".join(access.output_buckets) or "none"
        raise InvalidData(
            f"predictions may not be written to the bucket {bucket!r}; TRAINYARD_OUTPUT_BUCKETS allows {allowed}",
            HERE,
        )
    _check_ending(uri)
    return bucket_path(uri, HERE)


def _check_ending(uri: str) -> None:
    if not uri.endswith(ENDING):
        raise InvalidData(
            f"{redacted(uri)!r} does not end in {ENDING}; predictions are written as Parquet", HERE
        )


@contextmanager
def _writable(uri: str) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        if is_full(error):
            raise DiskFull(f"there is no space left for {uri!r}") from error
        raise InvalidData(f"{uri!r} cannot be written: {error}", HERE) from error


def _to_bucket(predictions: Path, path: str, access: DataAccess, run_id: str) -> str:
    """Through an object of another name: one that is broken off may appear with what it has."""
    draft = f"{path}.{run_id}.tmp"
    with _writable(S3 + path):
        filesystem = filesystem_for(access, PATIENCE_SECONDS)
        try:
            with predictions.open("rb") as file, filesystem.open_output_stream(draft) as stream:
                shutil.copyfileobj(file, stream, COPIED_BYTES)
            filesystem.move(draft, path)
        except BaseException:
            with suppress(OSError):
                filesystem.delete_file(draft)
            raise
    return S3 + path
