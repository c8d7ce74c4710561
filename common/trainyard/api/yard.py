"""The route of all that a service has in hand."""

from typing import Annotated

from fastapi import APIRouter, Query
from starlette.responses import Response

from trainyard.api.dependencies import TheContext
from trainyard.api.problems import Responses, documented
from trainyard.api.runs import Wait
from trainyard.contract import YardState

router = APIRouter(tags=["runs"])
SinceAnother = Annotated[
    int | None,
    Query(ge=0, lt=2**53, description="With `wait`: until the version is another than this one"),
]
YARD: Responses = {200: {"model": YardState, "description": "What runs, waits and ended last"}}


@router.get("/yard", response_class=Response, responses=YARD | documented(401, 422))
async def get_yard(context: TheContext, wait: Wait = None, since: SinceAnother = None) -> Response:
    """All that this service has in hand, at once or when it changed: one call follows every run."""
    yard = context.supervisor.yard
    found = await context.hold(yard(wait or 0, since)) if wait else None
    return Response(found or await yard(0, None), media_type="application/json")
