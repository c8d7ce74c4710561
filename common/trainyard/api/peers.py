"""What services ask each other: to decide for all, and to score what the other cannot load. No part of the API for callers."""

import shutil
import tempfile
from dataclasses import asdict
from pathlib import Path

from fastapi import APIRouter, Request
from starlette.background import BackgroundTask
from starlette.responses import FileResponse, JSONResponse

from trainyard.api.body import read_question, read_turn
from trainyard.api.dependencies import TheContext
from trainyard.peers.predictions import ROWS_HEADER
from trainyard.peers.services import DECISIONS, PREDICTIONS

router = APIRouter(include_in_schema=False)


@router.post(DECISIONS)
async def decide(request: Request, context: TheContext) -> JSONResponse:
    """Decide about another service's version."""
    turn = await read_turn(request, context.settings.max_body_bytes)
    return JSONResponse(asdict(await context.supervisor.decide(turn)))


@router.post(PREDICTIONS)
async def predict(request: Request, context: TheContext) -> FileResponse:
    """Predict the test rows of another service's run, with a model that it cannot load."""
    question = await read_question(request, context.settings.max_body_bytes)
    folder = Path(tempfile.mkdtemp(prefix="trainyard-predictions-"))
    try:
        path = folder / "predictions.npy"
        rows = await context.supervisor.predict(question, path)
    except BaseException:
        shutil.rmtree(folder, ignore_errors=True)
        raise
    return FileResponse(
        path,
        headers={ROWS_HEADER: rows},
        media_type="application/octet-stream",
        background=BackgroundTask(shutil.rmtree, folder, ignore_errors=True),
    )
