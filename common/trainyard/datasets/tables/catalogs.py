"""Catalogs of Iceberg tables as pyiceberg opens them, but that a server which does not answer is given up."""

from collections.abc import Mapping
from functools import partial
from typing import Any

NAME = "name"
"""The property of a catalog that calls itself otherwise than the operator does: SQL catalogs keep tables by it."""
WEB = ("http://", "https://")
POSTGRES = "postgresql"


def opened_catalog(name: str, properties: Mapping[str, str], patience_seconds: float) -> Any:
    """A `pyiceberg.catalog.Catalog`; it and the store of its files get so many seconds for an answer.

    Raises what pyiceberg does, ImportError where that is not there.
    """
    from pyiceberg.catalog import load_catalog

    seconds = f"{patience_seconds:.0f}"
    own = {"s3.connect-timeout": seconds, "s3.request-timeout": seconds, NAME: name, **properties}
    name, uri = own.pop(NAME), own.get("uri", "")
    if uri.startswith(WEB) and own.get("type", "rest") == "rest" and "py-catalog-impl" not in own:
        return _rest(name, own, patience_seconds)
    if uri.startswith(POSTGRES) and "connect_timeout" not in uri:
        own["uri"] = f"{uri}{'&' if '?' in uri else '?'}connect_timeout={seconds}"
    return load_catalog(name, **own)


def _rest(name: str, properties: Mapping[str, str], patience_seconds: float) -> Any:
    """pyiceberg's, which would wait for ever: it gives requests no time-out and has no property for one."""
    from pyiceberg.catalog.rest import RestCatalog

    class PatientRestCatalog(RestCatalog):
        def _create_session(self) -> Any:
            session = super()._create_session()
            session.request = partial(session.request, timeout=patience_seconds)  # type: ignore[method-assign]
            return session

    return PatientRestCatalog(name, **properties)
