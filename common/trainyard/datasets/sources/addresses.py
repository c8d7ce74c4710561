"""From a data URI to the file or folder that it names."""

from collections.abc import Iterator
from contextlib import contextmanager

from trainyard.datasets.access import DataAccess
from trainyard.datasets.sources.http import WebFile, at_address
from trainyard.datasets.sources.local import below_roots
from trainyard.datasets.sources.location import Location
from trainyard.datasets.sources.redaction import redacted
from trainyard.datasets.sources.s3 import in_bucket
from trainyard.errors import InvalidData

AT_SUBMIT_SECONDS = 5.0
IN_A_RUN_SECONDS = 60.0


def locate(
    uri: str,
    access: DataAccess,
    pointer: str = "/data/uri",
    patience_seconds: float = AT_SUBMIT_SECONDS,
    *,
    all_files: bool = False,
) -> Location | WebFile:
    """The file or folder that `uri` names: a path below a data root, s3://bucket/key, or http(s)://host/path.

    Of a large S3 folder only some files are listed unless `all_files`. Raises `InvalidData` at `pointer` for
    any other address, and for what cannot be found or may not be read.
    """
    scheme, separator, _ = uri.partition("://")
    if not separator:
        return below_roots(uri, access, pointer)
    if scheme == "s3":
        return in_bucket(uri, access, pointer, patience_seconds, all_files=all_files)
    if scheme in {"http", "https"}:
        return at_address(uri, access.http_hosts, pointer, patience_seconds)
    raise InvalidData(
        f"{redacted(uri)!r} starts with {scheme + '://'!r}; give a path below a data root, s3:// or https://",
        pointer,
    )


@contextmanager
def opened(uri: str, access: DataAccess, pointer: str = "/data/uri") -> Iterator[Location]:
    """The file or folder that `uri` names, ready to be read in full; a file from the web is fetched first."""
    location = locate(uri, access, pointer, IN_A_RUN_SECONDS, all_files=True)
    if isinstance(location, WebFile):
        with location.fetched() as copy:
            yield copy
    else:
        yield location
