"""A data URI to the place it names."""

from collections.abc import Iterator
from contextlib import contextmanager

from trainyard.datasets.location import Location
from trainyard.datasets.roots import below_roots
from trainyard.datasets.s3 import in_bucket
from trainyard.datasets.web import WebFile, at_address
from trainyard.errors import InvalidData
from trainyard.settings import DataAccess

AT_SUBMIT_SECONDS = 5.0
IN_A_RUN_SECONDS = 60.0


def locate(uri: str, access: DataAccess, pointer: str = "/data/uri", patience_seconds: float = AT_SUBMIT_SECONDS) -> Location | WebFile:
    """The place that `uri` names: a path below a data root, s3://bucket/key, or http(s)://host/path.

    Raises `InvalidData` at `pointer` for anything else, and for what cannot be found or may not be read.
    """
    scheme, separator, _ = uri.partition("://")
    if not separator:
        return below_roots(uri, access, pointer)
    if scheme == "s3":
        return in_bucket(uri, access, pointer, patience_seconds)
    if scheme in {"http", "https"}:
        return at_address(uri, access.http_hosts, pointer, patience_seconds)
    raise InvalidData(f"{uri!r} starts with {scheme + '://'!r}; give a path below a data root, s3:// or https://", pointer)


@contextmanager
def opened(uri: str, access: DataAccess, pointer: str = "/data/uri") -> Iterator[Location]:
    """The place that `uri` names, ready to be read in full; a file from the web is fetched first."""
    location = locate(uri, access, pointer, IN_A_RUN_SECONDS)
    if isinstance(location, WebFile):
        with location.fetched() as copy:
            yield copy
    else:
        yield location
