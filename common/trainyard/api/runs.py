"""The routes of runs: train, score, look, wait, cancel."""

from typing import Annotated

from fastapi import APIRouter, Header, Query, Request
from pydantic import BaseModel, ConfigDict, Field
from starlette.responses import Response, StreamingResponse

from trainyard.api import audit, logs
from trainyard.api.body import read_score_request, read_train_request, read_word
from trainyard.api.dependencies import Context, RunId, TheCaller, TheContext, TheSupervisor
from trainyard.api.prefer import LONGEST_WAIT_SECONDS, preferred_wait
from trainyard.api.problems import Responses, documented
from trainyard.api.roles import caller_of, check_register, signed
from trainyard.contract import (
    Curves,
    ModelAsked,
    Name,
    Promotion,
    Registered,
    Run,
    RunPage,
    RunRequest,
    RunStatus,
    ScoreRequest,
    TrainRequest,
    TrialPage,
)
from trainyard.errors import NotEnded

router = APIRouter(tags=["runs"])
TEXT = "text/plain; charset=utf-8"

IdempotencyKey = Annotated[
    str | None,
    Header(
        pattern=r"^[\x20-\x7e]{1,255}$",
        description="The same key and body answer with the same run; see `on_existing`",
    ),
]
Prefer = Annotated[
    str | None, Header(description="`wait=N`: answer when the run ended or N seconds passed, to 60")
]
Wait = Annotated[
    float | None,
    Query(
        ge=0,
        le=LONGEST_WAIT_SECONDS,
        allow_inf_nan=False,
        description="Hold the answer for so many seconds, or until the run ends",
    ),
]
Since = Annotated[
    int | None,
    Query(ge=0, lt=2**53, description="With `wait`: until the run's version is above this one"),
]
Tail = Annotated[int | None, Query(ge=1, le=100_000, description="Only so many last lines")]


class Paged(BaseModel):
    """How much a page holds, and which it is."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    limit: int = Field(50, ge=1, le=200)
    cursor: str | None = Field(None, max_length=2000)


class Wanted(Paged):
    """Which runs a page holds."""

    status: RunStatus | None = None
    model: ModelAsked | None = None
    experiment: Name | None = None


REQUEST: Responses = {
    200: {"model": TrainRequest | ScoreRequest, "description": "What was asked for"}
}
RUN: Responses = {200: {"model": Run, "description": "The run"}}
SUBMIT: Responses = {
    200: {"model": Run, "description": "The run that this Idempotency-Key has already"},
    202: {"model": Run, "description": "Accepted; `Location` is the run"},
}
CANCEL: Responses = {
    200: {"model": Run, "description": "The run as it had ended"},
    202: {"model": Run, "description": "The run, which is being stopped"},
}
LOGS: Responses = {
    200: {"content": {"text/plain": {"schema": {"type": "string"}}}, "description": "The log"}
}


@router.post(
    "/train",
    status_code=202,
    response_class=Response,
    responses=SUBMIT | documented(400, 401, 404, 413, 422, 429, 503),
)
async def train(
    request: Request,
    context: TheContext,
    idempotency_key: IdempotencyKey = None,
    prefer: Prefer = None,
) -> Response:
    """Train a model."""
    del prefer  # documented by the signature; a request may carry several
    wanted = await read_train_request(request, context.settings.max_body_bytes)
    return await _submitted(request, context, wanted, idempotency_key)


@router.post(
    "/score",
    status_code=202,
    response_class=Response,
    responses=SUBMIT | documented(400, 401, 413, 422, 429, 503),
)
async def score(
    request: Request,
    context: TheContext,
    idempotency_key: IdempotencyKey = None,
    prefer: Prefer = None,
) -> Response:
    """Score rows with a model. The run is looked at, waited for and cancelled below /train, as every run."""
    del prefer
    wanted = await read_score_request(request, context.settings.max_body_bytes)
    return await _submitted(request, context, wanted, idempotency_key)


async def _submitted(
    request: Request, context: Context, wanted: RunRequest, key: str | None
) -> Response:
    """The run that answers a submit, at once or as `Prefer` asks."""
    caller = caller_of(request)
    audit.note(request, about=f"{wanted.kind} {wanted.model} in {wanted.experiment}")
    check_register(caller, wanted)
    run, accepted = await context.supervisor.submit(wanted, key, caller)
    audit.note(request, run_id=run.run_id)
    headers = {"Location": f"/train/{run.run_id}"}
    seconds = preferred_wait(request.headers.getlist("prefer"))
    if seconds is not None:
        headers["Preference-Applied"] = f"wait={seconds}"
        if not run.status.ended:
            run = await context.hold(context.supervisor.wait(run.run_id, seconds, None)) or run
    return _answer(run, 202 if accepted else 200, headers)


@router.get("/train", responses=documented(401, 422, 503))
async def list_runs(supervisor: TheSupervisor, wanted: Annotated[Wanted, Query()]) -> RunPage:
    """A page of this service's runs, newest first."""
    return await supervisor.page(
        status=wanted.status,
        model=wanted.model,
        experiment=wanted.experiment,
        limit=wanted.limit,
        cursor=wanted.cursor,
    )


@router.get(
    "/train/{run_id}", response_class=Response, responses=RUN | documented(401, 404, 422, 503)
)
async def get_run(
    run_id: RunId, context: TheContext, wait: Wait = None, since: Since = None
) -> Response:
    """A run as it stands, at once or when it changed."""
    run = await _waited(context, run_id, wait, since) if wait else None
    content = context.supervisor.live_json(run_id)  # made once for all who ask
    if content is None:
        return _answer(run or await context.supervisor.get(run_id))
    return Response(content, media_type="application/json")


@router.get(
    "/train/{run_id}/outcome",
    response_class=Response,
    responses=RUN | documented(401, 404, 422, 503),
)
async def get_outcome(run_id: RunId, supervisor: TheSupervisor) -> Response:
    """A run as it ended, however it ended; 404 while it is under way."""
    run = await supervisor.get(run_id)
    if not run.status.ended:
        raise NotEnded(f"the run {run_id} is {run.status}")
    return _answer(run)


@router.get(
    "/train/{run_id}/logs",
    response_class=StreamingResponse,
    responses=LOGS | documented(401, 404, 422, 503),
)
async def get_logs(
    run_id: RunId, context: TheContext, tail: Tail = None, follow: bool = False
) -> Response:
    """A run's log, whole or its tail; with `follow` until the run ends."""
    run = await context.supervisor.get(run_id)
    path = context.supervisor.log_path(run_id)
    if path is None and run.status.ended:
        text = await context.supervisor.log_text(run_id)
        return Response(logs.last_lines(text, tail), media_type=TEXT)
    if follow and not run.status.ended:
        return StreamingResponse(logs.follow(context, run_id, tail), media_type=TEXT)
    return StreamingResponse(logs.read(path, tail), media_type=TEXT)


@router.get("/train/{run_id}/curves", responses=documented(401, 404, 422, 503))
async def get_curves(run_id: RunId, supervisor: TheSupervisor) -> Curves:
    """What a run measured, round by round."""
    return await supervisor.curves(run_id)


@router.get("/train/{run_id}/trials", responses=documented(401, 404, 422, 503))
async def get_trials(
    run_id: RunId, supervisor: TheSupervisor, page: Annotated[Paged, Query()]
) -> TrialPage:
    """A page of the trials that a run's search has ended, the best first."""
    return await supervisor.trials(run_id, limit=page.limit, cursor=page.cursor)


@router.get(
    "/train/{run_id}/request",
    response_class=Response,
    responses=REQUEST | documented(401, 404, 422, 503),
)
async def get_request(run_id: RunId, supervisor: TheSupervisor) -> Response:
    """What was asked for, to be asked again; without what gives access to its data."""
    wanted = await supervisor.request(run_id)
    content = wanted.model_dump_json(by_alias=True, exclude_defaults=True)
    return Response(content, media_type="application/json")


@router.delete(
    "/train/{run_id}",
    response_class=Response,
    responses=CANCEL | documented(401, 404, 422, 429, 503),
)
async def cancel_run(run_id: RunId, supervisor: TheSupervisor, caller: TheCaller) -> Response:
    """Cancel a run."""
    run, was_under_way = await supervisor.cancel(run_id, caller)
    return _answer(run, 202 if was_under_way else 200)


@router.post(
    "/train/{run_id}/promotion", responses=documented(400, 401, 404, 409, 413, 422, 429, 503)
)
async def promote_run(
    run_id: RunId, request: Request, context: TheContext, caller: TheCaller
) -> Registered:
    """Decide about a run that was judged: by its own rule, or by a person who rejects it."""
    word = await read_word(request, context.settings.max_body_bytes, Promotion)
    audit.note(request, about="asked to promote it" if word.approved else "rejected it")
    registered = await context.supervisor.promote(run_id, signed(word, caller))
    audit.note(request, about=registered.decision)
    return registered


async def _waited(context: Context, run_id: str, seconds: float, since: int | None) -> Run:
    run = await context.hold(context.supervisor.wait(run_id, seconds, since))
    return run or await context.supervisor.get(run_id)


def _answer(run: Run, status: int = 200, headers: dict[str, str] | None = None) -> Response:
    return Response(run.model_dump_json(), status, headers, "application/json")
