"""Files over http(s), from allowed hosts alone, also after a redirect; by fsspec and aiohttp."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from tempfile import TemporaryDirectory
from typing import Any
from urllib.parse import urljoin, urlsplit

from trainyard.datasets.location import Location, readable
from trainyard.errors import InvalidData

CHUNK_BYTES = 1 << 20


@dataclass(frozen=True)
class WebFile:
    """A file at an http(s) address whose host is allowed. It is read from its start; it cannot seek."""

    uri: str
    pointer: str
    hosts: tuple[str, ...]
    patience_seconds: float
    files: None = None

    @property
    def path(self) -> str:
        """The path in the address, whose ending tells the format."""
        return urlsplit(self.uri).path

    def head(self, limit: int) -> tuple[bytes, bool]:
        """The first `limit` bytes, and whether that is all."""
        with self._stream(total_seconds=self.patience_seconds) as stream:
            data = b""
            while len(data) <= limit and (part := stream.read(limit + 1 - len(data))):
                data += part
        return data[:limit], len(data) <= limit

    @contextmanager
    def fetched(self) -> Iterator[Location]:
        """The file on local disk, for as long as the context lasts."""
        from pyarrow.fs import LocalFileSystem

        with TemporaryDirectory(prefix="trainyard-") as folder:
            copy = Path(folder) / (PurePosixPath(self.path).name or "data")
            with self._stream(total_seconds=None) as stream, copy.open("wb") as target:
                while part := stream.read(CHUNK_BYTES):
                    target.write(part)
            yield Location(self.uri, self.pointer, LocalFileSystem(), str(copy))

    @contextmanager
    def _stream(self, *, total_seconds: float | None) -> Iterator[Any]:
        from aiohttp import ClientError, ClientTimeout, TraceConfig
        from fsspec.implementations.http import HTTPFileSystem

        trace = TraceConfig()
        trace.on_request_redirect.append(self._check_redirect)
        timeout = ClientTimeout(total=total_seconds, sock_connect=self.patience_seconds, sock_read=self.patience_seconds)
        web = HTTPFileSystem(client_kwargs={"timeout": timeout, "trace_configs": [trace]}, skip_instance_cache=True)
        try:
            # A size and no block size: one plain GET, without a HEAD before it that would wait as long again.
            with readable(self.uri, self.pointer), web.open(self.uri, block_size=0, size=1) as stream:
                yield stream
        except ClientError as error:
            raise InvalidData(f"{self.uri!r} cannot be read: {error or type(error).__name__}", self.pointer) from error

    async def _check_redirect(self, _session: Any, _context: Any, redirect: Any) -> None:
        target = urljoin(str(redirect.url), redirect.response.headers.get("Location", ""))
        if not allowed(target, self.hosts):
            raise InvalidData(f"{self.uri!r} redirects to {target!r}, whose host is not allowed{_which(self.hosts)}", self.pointer)


def at_address(uri: str, hosts: tuple[str, ...], pointer: str, patience_seconds: float) -> WebFile:
    """The file at `uri`. Raises `InvalidData` when its host is not one of `hosts`, or a password is in it."""
    if not allowed(uri, hosts):
        raise InvalidData(f"the host of {uri!r} is not allowed{_which(hosts)}", pointer)
    if "@" in urlsplit(uri).netloc:
        raise InvalidData("an address must not hold a user or password", pointer)
    return WebFile(uri, pointer, hosts, patience_seconds)


def allowed(uri: str, hosts: tuple[str, ...]) -> bool:
    """Whether `uri` is http(s) and its host, with or without its port, is one of `hosts`."""
    try:
        parts = urlsplit(uri)
        names = {parts.hostname, f"{parts.hostname}:{parts.port}"}
    except ValueError:
        return False
    return parts.scheme in {"http", "https"} and "\\" not in uri and bool(names & set(hosts))


def _which(hosts: tuple[str, ...]) -> str:
    return f"; allowed are {', '.join(hosts)}" if hosts else "; TRAINYARD_HTTP_HOSTS names the allowed ones, and it is empty"
