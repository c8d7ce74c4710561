"""Every error as application/problem+json (RFC 9457), in one place."""

import math
from collections.abc import Sequence
from http import HTTPStatus
from typing import Any

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from starlette.exceptions import HTTPException
from starlette.responses import Response
from starlette.routing import BaseRoute, Match

from trainyard.contract import FieldError, Problem
from trainyard.errors import RequestError, Unauthorized
from trainyard.field_errors import MOST_NAMED, invalid, pointer, sentence

Responses = dict[int | str, dict[str, Any]]
MEDIA_TYPE = "application/problem+json"
MEANINGS = {
    400: "The body is not JSON",
    401: "The token is missing or wrong",
    403: "The caller's role is not enough, and `detail` names the one that is needed; or Host or Origin are foreign",
    404: "There is no such thing, or not yet",
    409: "The run left nothing to promote, or another version holds the alias than the one it was judged against",
    413: "The body is over the limit",
    422: "Fields cannot be right; every one is named",
    429: "The queue is full, or this token makes too many calls, or too many wrong ones have come; ask again after Retry-After seconds",
    503: "A part the service depends on is away; ask again after Retry-After seconds",
}
LONGEST_DETAIL = 4_000
"""Characters; enough for three of the longest pointers with their sentences."""
RETRY_AFTER = {"Retry-After": {"description": "Seconds", "schema": {"type": "integer"}}}


def documented(*statuses: int) -> Responses:
    """The `responses` of a route that may answer with these problems."""
    schema = {"$ref": "#/components/schemas/Problem"}
    return {
        status: {"description": MEANINGS[status], "content": {MEDIA_TYPE: {"schema": schema}}}
        | ({"headers": RETRY_AFTER} if status in {429, 503} else {})
        for status in sorted({*statuses, *({403} if 401 in statuses else ())})
    }


def answer(error: RequestError) -> Response:
    """The response for an error; at most 50 fields are named in it."""
    headers = {}
    if error.retry_after_seconds is not None:
        headers["Retry-After"] = str(math.ceil(error.retry_after_seconds))
    if isinstance(error, Unauthorized):
        headers["WWW-Authenticate"] = 'Bearer realm="trainyard"'
    return _response(_bounded(error.problem()), headers)


def install(app: FastAPI, routes: Sequence[BaseRoute]) -> None:
    """Let an application with these routes answer every error as a problem."""
    app.add_exception_handler(RequestError, _on_request_error)
    app.add_exception_handler(RequestValidationError, _on_validation_error)

    async def on_http_exception(request: Request, error: Exception) -> Response:
        assert isinstance(error, HTTPException)
        return _on_http_exception(request, error, _methods(request, routes))

    app.add_exception_handler(HTTPException, on_http_exception)
    app.add_exception_handler(Exception, _on_bug)


def _bounded(problem: Problem) -> Problem:
    """The problem, of a length that a caller can read, whoever made it."""
    detail, errors = problem.detail[:LONGEST_DETAIL], problem.errors
    if len(errors) > MOST_NAMED:
        detail += f"; `errors` lists {MOST_NAMED} of the {len(errors)}"
    return problem.model_copy(update={"detail": detail, "errors": errors[:MOST_NAMED]})


def _response(problem: Problem, headers: dict[str, str]) -> Response:
    return Response(problem.model_dump_json(), problem.status, headers, MEDIA_TYPE)


async def _on_request_error(_: Request, error: Exception) -> Response:
    assert isinstance(error, RequestError)
    return answer(error)


async def _on_validation_error(_: Request, error: Exception) -> Response:
    """A bad query parameter or header, named as /query/limit or /header/idempotency-key."""
    assert isinstance(error, RequestValidationError)
    errors = [
        FieldError(pointer=pointer(each["loc"]), detail=sentence(each)) for each in error.errors()
    ]
    return answer(invalid(errors))


def _on_http_exception(request: Request, error: HTTPException, methods: set[str]) -> Response:
    """What the router itself refuses: an unknown path, a method that a path does not have."""
    title = HTTPStatus(error.status_code).phrase
    path = request.url.path[:LONGEST_DETAIL]
    detail = {
        404: f"there is nothing at {path}; /openapi.json lists what there is",
        405: f"{request.method[:20]} does not apply to {path}",
    }.get(error.status_code, str(error.detail))
    headers = dict(error.headers or {})
    if error.status_code == HTTPStatus.METHOD_NOT_ALLOWED:
        headers["Allow"] = ", ".join(sorted(methods))
    kind = title.lower().replace(" ", "-")
    return _response(
        Problem(type=kind, title=title, status=error.status_code, detail=detail), headers
    )


def _methods(request: Request, routes: Sequence[BaseRoute]) -> set[str]:
    """All methods of the path; the router itself names those of the first route only."""
    here = (route for route in routes if route.matches(request.scope)[0] is not Match.NONE)
    return {method for route in here for method in getattr(route, "methods", None) or ()}


async def _on_bug(_: Request, __: Exception) -> Response:
    """A bug of ours. Starlette raises it again after the answer, and the server logs it."""
    detail = "the service failed to answer; its log says why"
    return _response(
        Problem(type="internal", title="Internal error", status=500, detail=detail), {}
    )
