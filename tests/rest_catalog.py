"""An Iceberg REST catalog, read only, over a catalog of pyiceberg's: `python rest_catalog.py PORT SQL_URI WAREHOUSE TOKEN [NAME=VALUE …]`.

It answers what a reader asks by the REST catalog's specification: its configuration, and a table's metadata,
with the properties that are given, such as the keys of a store, for whoever reads the table.
"""

import sys
from typing import Any

import uvicorn
from fastapi import FastAPI
from fastapi.responses import JSONResponse
from pyiceberg.catalog import load_catalog
from pyiceberg.exceptions import NoSuchTableError

PREFIX = "here"
SEPARATOR = "\x1f"
"""Between the parts of a namespace."""


def application(catalog: Any, token: str, config: dict[str, str]) -> FastAPI:
    """The server."""
    app = FastAPI()

    @app.middleware("http")
    async def let_in(request: Any, call_next: Any) -> Any:
        open_to_all = request.url.path == "/health"
        if not open_to_all and request.headers.get("authorization") != f"Bearer {token}":
            return _error(401, "NotAuthorizedException", "not authorized")
        return await call_next(request)

    @app.get("/health")
    def health() -> str:
        return "well"

    @app.get("/v1/config")
    def configuration(warehouse: str | None = None) -> dict[str, Any]:
        return {"defaults": {}, "overrides": {"prefix": PREFIX}}

    @app.get(f"/v1/{PREFIX}/namespaces/{{namespace}}/tables/{{name}}")
    def table(namespace: str, name: str) -> Any:
        try:
            found = catalog.load_table((*namespace.split(SEPARATOR), name))
        except NoSuchTableError as error:
            return _error(404, "NoSuchTableException", str(error))
        metadata = found.metadata.model_dump(mode="json", by_alias=True, exclude_none=True)
        return {
            "metadata-location": found.metadata_location,
            "metadata": metadata,
            "config": config,
        }

    return app


def _error(status: int, kind: str, message: str) -> JSONResponse:
    body = {"error": {"message": message, "type": kind, "code": status}}
    return JSONResponse(body, status_code=status)


def main() -> None:
    """Serve until ended."""
    port, uri, warehouse, token, *config = sys.argv[1:]
    properties = dict(each.split("=", 1) for each in config)
    catalog = load_catalog("made", type="sql", uri=uri, warehouse=warehouse, **properties)
    app = application(catalog, token, properties)
    uvicorn.run(app, host="127.0.0.1", port=int(port), log_level="warning")


if __name__ == "__main__":
    main()
