"""Objects in S3 and in servers that speak it, by pyarrow; keys and region come from AWS_* variables."""

import os
from typing import Any
from urllib.parse import urlsplit

from trainyard.datasets.location import Location, readable
from trainyard.errors import InvalidData
from trainyard.settings import DataAccess


def in_bucket(uri: str, access: DataAccess, pointer: str, patience_seconds: float) -> Location:
    """The object, or the objects below the prefix, that `s3://bucket/key` names.

    Raises `InvalidData` for a malformed address, a missing object, refused keys, or no answer in time.
    """
    from pyarrow.fs import FileSelector, FileType

    path = uri.removeprefix("s3://").rstrip("/")
    bucket, _, key = path.partition("/")
    if not bucket or not key or any(part in {"", ".", ".."} for part in path.split("/")):
        raise InvalidData(f"{uri!r} is not an address of the form s3://bucket/key", pointer)
    with readable(uri, pointer):
        filesystem = _filesystem(access, patience_seconds)
        info = filesystem.get_file_info(path)
        if info.type == FileType.NotFound:
            raise InvalidData(f"{uri!r} does not exist", pointer)
        if info.type == FileType.File:
            return Location(uri, pointer, filesystem, path)
        found = filesystem.get_file_info(FileSelector(path, recursive=True))
    files = sorted(each.path.removeprefix(path + "/") for each in found if each.type == FileType.File)
    return Location(uri, pointer, filesystem, path, tuple(files))


def _filesystem(access: DataAccess, patience_seconds: float) -> Any:
    from pyarrow.fs import AwsStandardS3RetryStrategy, S3FileSystem

    arguments: dict[str, Any] = {
        "region": os.environ.get("AWS_REGION") or os.environ.get("AWS_DEFAULT_REGION") or "us-east-1",
        "connect_timeout": patience_seconds,
        "request_timeout": patience_seconds,
        "retry_strategy": AwsStandardS3RetryStrategy(max_attempts=1 if patience_seconds < 10 else 3),  # noqa: PLR2004 - who is in a hurry asks once
        "background_writes": False,
    }
    if access.s3_endpoint:
        address = urlsplit(access.s3_endpoint if "://" in access.s3_endpoint else f"https://{access.s3_endpoint}")
        arguments |= {"scheme": address.scheme, "endpoint_override": address.netloc}
    return S3FileSystem(**arguments)
