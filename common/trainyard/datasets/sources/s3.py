"""Objects in S3 and in servers that speak it, by pyarrow; keys and region come from AWS_* variables."""

import os
from collections.abc import Iterator
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
        if info.type == FileType.File:
            return Location(shown, pointer, filesystem, path)
        if not all_files:
            return _looked_at(Location(shown, pointer, filesystem, path))
        return _listed(Location(shown, pointer, filesystem, path))


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
    files = [
        _relative(each.path, folder) for each in found if each.type == FileType.File and each.size
    ]
    if len(files) > MOST_ENTRIES:
        raise InvalidData(
            f"{folder.uri!r} holds {len(files):,} objects, and at most {MOST_ENTRIES:,} are read; name the folder of one table, or join its objects into fewer",
            folder.pointer,
        )
    return Location(folder.uri, folder.pointer, folder.filesystem, folder.path, _sorted(files))


def _looked_at(folder: Location) -> Location:
    """The folder with the first files of a walk through some of its folders."""
    files = list(islice(_some_files(folder), FILES_AT_SUBMIT + 1))
    return Location(
        folder.uri,
        folder.pointer,
        folder.filesystem,
        folder.path,
        _sorted(files[:FILES_AT_SUBMIT]),
        all_files=False,
    )


def _some_files(folder: Location) -> Iterator[str]:
    from pyarrow.fs import FileSelector, FileType

    waiting = [folder.path]
    for _ in range(LISTED_AT_SUBMIT):
        if not waiting:
            return
        found = folder.filesystem.get_file_info(FileSelector(waiting.pop()))
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
        "region": os.environ.get("AWS_REGION")
        or os.environ.get("AWS_DEFAULT_REGION")
        or "us-east-1",
        "connect_timeout": patience_seconds,
        "request_timeout": patience_seconds,
        "retry_strategy": AwsStandardS3RetryStrategy(
            max_attempts=1 if patience_seconds < 10 else 3
        ),
        "background_writes": False,
    }
    if access.s3_endpoint:
        address = urlsplit(
            access.s3_endpoint if "://" in access.s3_endpoint else f"https://{access.s3_endpoint}"
        )
        arguments |= {"scheme": address.scheme, "endpoint_override": address.netloc}
    return S3FileSystem(**arguments)
