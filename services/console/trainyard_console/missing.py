"""The page for an address that there is nothing at."""

from http import HTTPStatus

from fastapi import FastAPI, Request
from fastapi.exception_handlers import http_exception_handler
from nicegui import Client, ui
from starlette.exceptions import HTTPException
from starlette.responses import Response

from trainyard_console.frame import dressed, words


def install(app: FastAPI) -> None:
    """Answer with it in the place of NiceGUI's own, which has no heading and no way back."""

    @app.exception_handler(HTTPStatus.NOT_FOUND)
    async def _missing(request: Request, error: HTTPException) -> Response:
        if request.scope.get("endpoint") is not None:
            return await http_exception_handler(request, error)  # a file of a page's
        with Client(ui.page(""), request=request) as client:
            _show(request.url.path)
        return client.build_response(request, HTTPStatus.NOT_FOUND)


def _show(path: str) -> None:
    dressed("No such page")
    with ui.element("div").classes("body"):
        words("h1", "No such page")
        words("p", f"There is nothing at {path[:200]}.")
        ui.link("To the yard", "/")
