"""Databases and catalogs that the operator has named in a file, with what opens them: no request ever has that."""

import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Literal
from urllib.parse import unquote, urlsplit

from pydantic import BaseModel, ConfigDict, ValidationError

from trainyard.datasets.access import DataAccess
from trainyard.datasets.sources.redaction import redacted
from trainyard.errors import InvalidData, ServiceError
from trainyard.suggestions import suggestion

DATA_ROOTS = "files"
"""The connection that needs no entry: DuckDB over the tables below the data roots."""
POSTGRES = ("postgresql://", "postgres://")
SQLITE = "sqlite:///"
SHOWN = frozenset({"type", "name", "warehouse"})
"""Properties of catalogs that are no secret."""


class Connections(BaseModel):
    """What the file says, by name."""

    model_config = ConfigDict(extra="forbid", frozen=True, hide_input_in_errors=True)

    sql: dict[str, str] = {}
    """URIs."""
    iceberg: dict[str, dict[str, str]] = {}
    """Properties, as pyiceberg takes them."""


def read_connections(path: Path) -> Connections:
    """The file's. Raises `ServiceError`, which shows nothing of the values."""
    try:
        found = Connections.model_validate(tomllib.loads(path.read_text("utf-8")))
    except (OSError, UnicodeDecodeError) as error:
        raise ServiceError(f"TRAINYARD_CONNECTIONS_FILE cannot be read: {error}") from error
    except tomllib.TOMLDecodeError as error:
        raise ServiceError(f"TRAINYARD_CONNECTIONS_FILE: {path} is not TOML: {error}") from error
    except ValidationError as error:
        where = ".".join(map(str, error.errors(include_input=False)[0]["loc"]))
        raise ServiceError(
            f'TRAINYARD_CONNECTIONS_FILE: {path} is wrong at {where}: it has tables [sql], of name = "URI", and [iceberg.NAME], of properties in quotes'
        ) from None
    for name, uri in found.sql.items():
        if why := _wrong(name, uri):
            raise ServiceError(f"TRAINYARD_CONNECTIONS_FILE: sql.{name} in {path} {why}")
    return found


def database(name: str, access: DataAccess) -> str:
    """The URI of a database. Raises `InvalidData` for one that has no name here."""
    uri: str = _named("sql", name, access, "/data/connection", built_in=[DATA_ROOTS])
    if uri.startswith(SQLITE) and access.connections_file is not None:
        folder = access.connections_file.parent
        return SQLITE + str(folder / uri.removeprefix(SQLITE))
    return uri


def catalog(name: str, access: DataAccess) -> Mapping[str, str]:
    """The properties of a catalog. Raises `InvalidData` for one that has no name here."""
    properties: Mapping[str, str] = _named("iceberg", name, access, "/data/catalog")
    return properties


def without_secrets(text: str, opened_by: str | Mapping[str, str]) -> str:
    """Any text, with `…` for what opens the database or catalog."""
    values = [opened_by] if isinstance(opened_by, str) else [*opened_by.values()]
    passwords = [urlsplit(each).password or "" for each in values if "://" in each]
    secret = {*values, *passwords, *map(unquote, passwords)}
    if not isinstance(opened_by, str):
        secret -= {value for name, value in opened_by.items() if name in SHOWN}
    for each in sorted(filter(None, secret), key=len, reverse=True):
        text = text.replace(each, "…")
    return text


def _named(
    kind: Literal["sql", "iceberg"],
    name: str,
    access: DataAccess,
    pointer: str,
    built_in: list[str] | None = None,
) -> Any:
    known: Mapping[str, Any] = {}
    if access.connections_file is not None:
        try:
            known = getattr(read_connections(access.connections_file), kind)
        except ServiceError as error:
            raise InvalidData(error.detail, pointer) from error
    if name not in known:
        names = [*known, *(built_in or [])]
        hint = (
            suggestion(name, names, otherwise="its names are")
            if names
            else "TRAINYARD_CONNECTIONS_FILE names none"
        )
        raise InvalidData(f"{name!r} is not known to this service; {hint}", pointer)
    return known[name]


def _wrong(name: str, uri: str) -> str | None:
    """What is wrong with an entry. An address whose password is not escaped could be shown in parts by what reads it otherwise."""
    if name == DATA_ROOTS:
        return "has the name of what is there anyway: DuckDB over the data roots"
    if uri.startswith(SQLITE):
        return None
    if not uri.startswith(POSTGRES):
        return f"starts with neither {POSTGRES[0]!r} nor {SQLITE!r}"
    try:
        well_formed = not redacted(uri).endswith("…") and "@" not in redacted(uri)
        urlsplit(uri).port  # noqa: B018 - raises for what is no number
    except ValueError:
        well_formed = False
    escape = "is no well-formed address; escape what is special in its password, such as %40 for @"
    return None if well_formed else escape
