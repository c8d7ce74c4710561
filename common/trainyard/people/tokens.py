"""The file of `TRAINYARD_TOKENS_FILE`: who may do what, by the hash of a token.

A token is 256 random bits, so a plain SHA-256 of it tells nothing, and looking it up by its hash leaks no time.
"""

import hashlib
import os
import secrets
import tempfile
from collections import Counter
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated, Self

from pydantic import Field, StringConstraints, ValidationError, model_validator

from trainyard.contract import PersonName, Role, TeamName, Wire
from trainyard.errors import ServiceError

PREFIX = "ty_"
"""By which a token is known where it should not be, such as in a repository."""
RANDOM_BYTES = 32
OWNER_ALONE = 0o600
Digest = Annotated[str, StringConstraints(pattern=r"^[0-9a-f]{64}$")]


class Token(Wire):
    """Somebody's token, which the file does not hold."""

    name: PersonName
    team: TeamName | None = None
    role: Role
    sha256: Digest
    made: datetime


class Tokens(Wire):
    """What the file holds."""

    services: Digest = Field(default_factory=lambda: secrets.token_hex(RANDOM_BYTES))
    """By what services that share the file know each other, where they have no token of their own."""
    tokens: list[Token] = Field(default_factory=list)

    @model_validator(mode="after")
    def _one_token_a_name(self) -> Self:
        names = Counter(each.name for each in self.tokens)
        hashes = Counter(each.sha256 for each in self.tokens)
        for twice in [each for each, count in (names + hashes).items() if count > 1]:
            message = f"{twice!r} is there twice; each name has one token, and each token one name"
            raise ValueError(message)
        return self

    def with_token(self, name: str, *, role: Role, team: str | None) -> tuple["Tokens", str]:
        """The file with one token more, and that token, which is nowhere else. Raises `ServiceError`."""
        if name in {each.name for each in self.tokens}:
            raise ServiceError(f"{name!r} has a token; `trainyard token revoke {name}` first")
        token = PREFIX + secrets.token_urlsafe(RANDOM_BYTES)
        try:
            made = Token(
                name=name, team=team, role=role, sha256=sha256(token.encode()), made=_now()
            )
        except ValidationError as error:
            raise ServiceError(_why(error)) from error
        return self.model_copy(update={"tokens": [*self.tokens, made]}), token

    def without(self, name: str) -> "Tokens":
        """The file without the token of this name. Raises `ServiceError` where there is none."""
        left = [each for each in self.tokens if each.name != name]
        if len(left) == len(self.tokens):
            known = ", ".join(each.name for each in self.tokens) or "nobody"
            raise ServiceError(f"{name!r} has no token; these have: {known}")
        return self.model_copy(update={"tokens": left})


def sha256(token: bytes) -> str:
    """What the file has of a token."""
    return hashlib.sha256(token).hexdigest()


def read_tokens(file: Path) -> Tokens:
    """What the file holds. Raises `ServiceError`, which names the file."""
    try:
        return Tokens.model_validate_json(file.read_bytes())
    except OSError as error:
        raise ServiceError(
            f"the tokens (TRAINYARD_TOKENS_FILE) cannot be read: {error}; `trainyard token add` makes the file"
        ) from error
    except ValidationError as error:
        raise ServiceError(
            f"{file} (TRAINYARD_TOKENS_FILE) is no file of tokens: {_why(error)}"
        ) from error


def write_tokens(file: Path, tokens: Tokens) -> None:
    """Replace the file at once, with the rights that it has; a new one is its owner's alone. Raises `ServiceError`."""
    try:
        mode = file.stat().st_mode & 0o777 if file.exists() else OWNER_ALONE
        file.parent.mkdir(parents=True, exist_ok=True)
        descriptor, name = tempfile.mkstemp(prefix=f".{file.name}.", dir=file.parent)
        written = Path(name)
        try:
            with os.fdopen(descriptor, "w") as out:
                out.write(tokens.model_dump_json(indent=2) + "\n")
                out.flush()
                os.fsync(out.fileno())
            written.chmod(mode)
            written.replace(file)
        finally:
            written.unlink(missing_ok=True)
    except OSError as error:
        raise ServiceError(f"{file} cannot be written: {error}") from error


def _why(error: ValidationError) -> str:
    first = error.errors()[0]
    place = "".join(f"/{part}" for part in first["loc"])
    return f"{place} {first['msg']}".strip()


def _now() -> datetime:
    return datetime.now(UTC).replace(microsecond=0)
