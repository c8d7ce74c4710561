"""Whose token is it? The one token's, or somebody's of the file, which is read again when it changes."""

from pathlib import Path

import structlog

from trainyard.contract import SERVICE_TOKEN, Caller, Role
from trainyard.errors import ServiceError
from trainyard.people.tokens import read_tokens, sha256

log = structlog.get_logger()
Mark = tuple[int, int, int]


class KnownPeople:
    """Answers from memory, after one look at the file's time, size and place.

    A file that cannot be read, or is half written, changes nothing until it is mended: the log says so. At the start
    it is an error, which `Settings` finds.
    """

    def __init__(self, token: str | None, file: Path | None) -> None:
        self._file = file
        self._mark: Mark | None = None
        self._one: dict[str, Caller] = {}
        if token is not None:
            digest = sha256(token.encode())
            self._one = {digest: Caller(name=SERVICE_TOKEN, role=Role.ADMIN)}
        self._of_file: dict[str, Caller] = {}

    def caller(self, token: bytes) -> Caller | None:
        """Whose token this is, now; None for nobody's."""
        if self._file is not None:
            self._look(self._file)
        digest = sha256(token)
        return self._one.get(digest) or self._of_file.get(digest)

    def _look(self, file: Path) -> None:
        mark = _mark(file)
        if mark == self._mark:
            return
        self._mark = mark
        try:
            found = read_tokens(file)
        except ServiceError as error:
            log.error("the tokens stay as they were read last", why=error.detail)  # noqa: TRY400 - the sentence says it all
            return
        self._of_file = {
            each.sha256: Caller(name=each.name, team=each.team, role=each.role)
            for each in found.tokens
        }
        log.info("read the tokens", file=str(file), people=len(self._of_file))


def _mark(file: Path) -> Mark | None:
    try:
        found = file.stat()
    except OSError:
        return None
    return found.st_mtime_ns, found.st_size, found.st_ino
