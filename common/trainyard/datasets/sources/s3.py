"""Objects in S3 and in servers that speak it, by pyarrow; keys and region come from AWS_* variables."""

import os
from collections.abc import Iterator
from dataclasses import replace
from itertools import islice
from typing import Any
from urllib.parse import urlsplit

from trainyard.datasets.access import DataAccess
from trainyard.datasets.sources.location import Location, readable
from trainyard.datasets.sources.redaction import redacted
from trainyard.datasets.sources.walking import MOST_ENTRIES
from trainyard.errors import InvalidData

LISTED_AT_SUBMIT = 20
"""Folders that are listed for a look at submit; each costs a request, and one more for each 1000 objects in it."""
FILES_AT_SUBMIT = 100
DELTA_LOG = "_delta_log"
"""The folder of a Delta table that tells which of its files count."""


def in_bucket(
    uri: str, access: DataAccess, pointer: str, patience_seconds: float, *, all_files: bool
) -> Location:
    """The object, or the objects below the prefix, that `s3://bucket/key` names.

    Without `all_files` the first files that come are enough. Raises `InvalidData` for a malformed address, a
    bucket that is not allowed, a missing object, refused keys, too many objects, or no answer in time.
    """
    from pyarrow.fs import FileType

    shown = redacted(uri)
    path = bucket_path(uri, pointer, access.s3_buckets)
    with readable(shown, pointer):
        filesystem = filesystem_for(access, patience_seconds)
        info = filesystem.get_file_info(path)
        if info.type == FileType.NotFound:
            raise InvalidData(f"{shown!r} does not exist", pointer)
        options = _options_for(access, patience_seconds)
        found = Location(shown, pointer, filesystem, path, options=options)
        if info.type == FileType.File:
            return found
        return _listed(found) if all_files else _looked_at(found)


def bucket_path(uri: str, pointer: str, buckets: tuple[str, ...] = ()) -> str:
    """`bucket/key`, checked; of one of `buckets` where some are named. Raises `InvalidData`."""
    path = uri.removeprefix("s3://").rstrip("/")
    bucket, _, key = path.partition("/")
    if not bucket or not key or any(part in {"", ".", ".."} for part in path.split("/")):
        raise InvalidData(
            f"{redacted(uri)!r} is not an address of the form s3://bucket/key", pointer
        )
    if "@" in bucket:
        raise InvalidData("an address must not hold a user or password", pointer)
    if buckets and bucket not in buckets:
        raise InvalidData(
            f"the bucket {bucket!r} is not allowed; TRAINYARD_S3_BUCKETS allows {', '.join(buckets)}",
            pointer,
        )
    return path


def _listed(folder: Location) -> Location:
    """The folder with all its files; S3 lists the objects below a prefix, in any folder, 1000 a request."""
    from pyarrow.fs import FileSelector, FileType

    found = folder.filesystem.get_file_info(FileSelector(folder.path, recursive=True))
    every = [each for each in found if each.type == FileType.File]
    files = [_relative(each.path, folder) for each in every if each.size]
    empty = [_relative(each.path, folder) for each in every if not each.size]
    if len(files) > MOST_ENTRIES:
        raise InvalidData(
            f"{folder.uri!r} holds {len(files):,} objects, and at most {MOST_ENTRIES:,} are read; name the folder of one table, or join its objects into fewer",
            folder.pointer,
        )
    return replace(folder, files=_sorted(files), empty=_sorted(empty))


def _looked_at(folder: Location) -> Location:
    """The folder with the first files of a walk through some of its folders, and of a Delta table's log."""
    log = islice(_some_files(folder, f"{folder.path}/{DELTA_LOG}"), 1)
    files = dict.fromkeys([*log, *islice(_some_files(folder, folder.path), FILES_AT_SUBMIT)])
    return replace(folder, files=_sorted([*files]), all_files=False)


def _some_files(folder: Location, start: str) -> Iterator[str]:
    """Files of the folder, from a walk that begins at `start`, which need not be there."""
    from pyarrow.fs import FileSelector, FileType

    waiting = [start]
    for _ in range(LISTED_AT_SUBMIT):
        if not waiting:
            return
        below = FileSelector(waiting.pop(), allow_not_found=True)
        found = folder.filesystem.get_file_info(below)
        found.sort(key=lambda each: each.path)
        yield from (
            _relative(each.path, folder)
            for each in found
            if each.type == FileType.File and each.size
        )
        waiting.extend(each.path for each in reversed(found) if each.type == FileType.Directory)


def _relative(path: str, folder: Location) -> str:
    return path.removeprefix(folder.path + "/")


def _sorted(files: list[str]) -> tuple[str, ...]:
    return tuple(sorted(files))


def filesystem_for(access: DataAccess, patience_seconds: float) -> Any:
    """S3, or the server that speaks it. A remote that does not answer in so many seconds is given up."""
    from pyarrow.fs import AwsStandardS3RetryStrategy, S3FileSystem

    arguments: dict[str, Any] = {
        "region": _region(),
        "connect_timeout": patience_seconds,
        "request_timeout": patience_seconds,
        "retry_strategy": AwsStandardS3RetryStrategy(
            max_attempts=1 if patience_seconds < 10 else 3
        ),
        "background_writes": False,
    }
    if access.s3_endpoint:
        address = urlsplit(_endpoint(access.s3_endpoint))
        arguments |= {"scheme": address.scheme, "endpoint_override": address.netloc}
    return S3FileSystem(**arguments)


def _options_for(access: DataAccess, patience_seconds: float) -> dict[str, str]:
    """The same for `object_store`."""
    seconds = f"{patience_seconds:.0f}s"
    options = {
        "aws_region": _region(),
        "timeout": seconds,
        "connect_timeout": seconds,
        "max_retries": "0" if patience_seconds < 10 else "2",
    }
    if access.s3_endpoint:
        endpoint = _endpoint(access.s3_endpoint)
        plain = str(endpoint.startswith("http://")).lower()
        options |= {"aws_endpoint": endpoint, "aws_allow_http": plain}
    return options


def _region() -> str:
    return os.environ.get("AWS_REGION") or os.environ.get("AWS_DEFAULT_REGION") or "us-east-1"


def _endpoint(address: str) -> str:
    return address if "://" in address else f"https://{address}"
