"""Files over http(s) by httpx, from allowed hosts alone, also after a redirect.

asyncio gives each request one time limit in all: for finding the host, for redirects, and for a server that
sends a byte a second. Bodies are read as they come, never unpacked: a small one may unpack to gigabytes.
"""

import asyncio
import logging
import ssl
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath
from tempfile import TemporaryDirectory
from typing import BinaryIO
from urllib.parse import urlsplit

import httpx

from trainyard.datasets.sources.location import Location, readable
from trainyard.datasets.sources.redaction import redacted
from trainyard.errors import InvalidData

MOST_REDIRECTS = 5
CHUNK_BYTES = 1 << 16


@dataclass(frozen=True)
class WebFile:
    """A file at an http(s) address whose host is allowed. It is read from its start; it cannot seek."""

    address: str = field(repr=False)
    """With its query, which may hold a signature: never to be shown."""
    pointer: str
    hosts: tuple[str, ...]
    patience_seconds: float
    files: None = None

    @property
    def uri(self) -> str:
        """The address as it may be shown."""
        return redacted(self.address)

    @property
    def path(self) -> str:
        """The path in the address, whose ending tells the format."""
        return urlsplit(self.address).path

    def head(self, limit: int) -> tuple[bytes, bool]:
        """The first `limit` bytes, and whether that is all."""
        with readable(self.uri, self.pointer):
            data = asyncio.run(self._first_bytes(limit + 1))
        return data[:limit], len(data) <= limit

    @contextmanager
    def fetched(self) -> Iterator[Location]:
        """The file on local disk, for as long as the context lasts."""
        from pyarrow.fs import LocalFileSystem

        with TemporaryDirectory(prefix="trainyard-") as folder:
            copy = Path(folder) / (PurePosixPath(self.path).name or "data")
            with readable(self.uri, self.pointer), copy.open("wb") as target:
                asyncio.run(self._copy_into(target))
            yield Location(self.uri, self.pointer, LocalFileSystem(), str(copy))

    async def _first_bytes(self, limit: int) -> bytes:
        data = bytearray()
        async with asyncio.timeout(self.patience_seconds), self._body() as parts:
            async for part in parts:
                data += part
                if len(data) >= limit:
                    break
        return bytes(data[:limit])

    async def _copy_into(self, target: BinaryIO) -> None:
        async with self._body() as parts:
            async for part in parts:
                target.write(part)

    @asynccontextmanager
    async def _body(self) -> AsyncIterator[AsyncIterator[bytes]]:
        """The parts of the answer's body. Raises `InvalidData`, or an OSError for `readable`."""
        client = _client(self.patience_seconds, self._check)
        try:
            async with client, client.stream("GET", self.address) as answer:
                _check_status(answer.status_code, self.uri, self.pointer)
                yield answer.aiter_raw(CHUNK_BYTES)
        except httpx.TimeoutException as error:
            raise TimeoutError from error
        except (httpx.HTTPError, httpx.InvalidURL) as error:
            raise OSError(str(error) or type(error).__name__) from error

    async def _check(self, request: httpx.Request) -> None:
        """Called with the first request and with each that follows a redirect."""
        if request.url.scheme == "http" and self.address.lower().startswith("https:"):
            raise InvalidData(
                f"{self.uri!r} redirects from https to plain http; name the file's own address",
                self.pointer,
            )
        if not allowed(request.url, self.hosts) or request.url.userinfo:
            raise InvalidData(
                f"{self.uri!r} redirects to {redacted(str(request.url))!r}, whose host is not allowed{_which(self.hosts)}",
                self.pointer,
            )


def at_address(uri: str, hosts: tuple[str, ...], pointer: str, patience_seconds: float) -> WebFile:
    """The file at `uri`. Raises `InvalidData` when its host is not one of `hosts`, or a password is in it."""
    try:
        address = httpx.URL(uri)
    except (httpx.InvalidURL, ValueError) as error:
        raise InvalidData(f"{redacted(uri)!r} is not an http(s) address", pointer) from error
    if "\\" in uri or not allowed(address, hosts):
        raise InvalidData(f"the host of {redacted(uri)!r} is not allowed{_which(hosts)}", pointer)
    if address.userinfo:
        raise InvalidData("an address must not hold a user or password", pointer)
    return WebFile(uri, pointer, hosts, patience_seconds)


def allowed(address: httpx.URL, hosts: tuple[str, ...]) -> bool:
    """Whether it is http(s) and its host, with or without its port, is one of `hosts`."""
    standard = {"http": 80, "https": 443}.get(address.scheme)
    names = {address.host, f"{address.host}:{address.port or standard}"}
    return standard is not None and bool(names & set(hosts))


class _Redacting(logging.Filter):
    """httpx logs the address of each request; this takes queries and passwords out of it."""

    def filter(self, record: logging.LogRecord) -> bool:
        if isinstance(record.args, tuple):
            record.args = tuple(
                redacted(str(each)) if isinstance(each, httpx.URL) else each for each in record.args
            )
        return True


_REDACTING = _Redacting()


def _client(
    patience_seconds: float, check: Callable[[httpx.Request], Awaitable[None]]
) -> httpx.AsyncClient:
    """A client that takes nothing from the environment: no proxy, and no password from a .netrc file."""
    logging.getLogger("httpx").addFilter(_REDACTING)
    return httpx.AsyncClient(
        timeout=patience_seconds,
        headers={"Accept-Encoding": "identity"},
        follow_redirects=True,
        max_redirects=MOST_REDIRECTS,
        event_hooks={"request": [check]},
        verify=ssl.create_default_context(),
        trust_env=False,
    )


def _check_status(status: int, uri: str, pointer: str) -> None:
    if status in {httpx.codes.NOT_FOUND, httpx.codes.GONE}:
        raise InvalidData(f"{uri!r} does not exist", pointer)
    if status != httpx.codes.OK:
        reason = httpx.codes.get_reason_phrase(status)
        raise InvalidData(f"{uri!r} cannot be read: the server answers {status} {reason}", pointer)


def _which(hosts: tuple[str, ...]) -> str:
    if hosts:
        return f"; allowed are {', '.join(hosts)}"
    return "; TRAINYARD_HTTP_HOSTS names the allowed ones, and it is empty"
