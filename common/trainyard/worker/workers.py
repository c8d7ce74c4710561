"""Whether several processes can do together what a request asks for, and whether they begin with the same."""

import json
from contextlib import suppress

from trainyard.contract import FieldError, Search, TrainRequest
from trainyard.errors import InvalidData
from trainyard.trainer import Data, Trainer, is_distributed, needs_one_process
from trainyard.worker.meeting import START
from trainyard.world import World


def begun(world: World, data: Data) -> None:
    """All ranks are here, with the same data, and with rows for each. Raises `InvalidData`, `RanksDiffer`, `RankMissing`."""
    if world.alone:
        return
    if world.size > len(data.train):
        raise InvalidData(
            f"there are {len(data.train)} training rows, and {world.size} workers: each needs one at least; ask for fewer workers"
        )
    world.agree(START, data.digest, len(data.train), data.classes)


def wrong_workers(request: TrainRequest, trainer: Trainer) -> list[FieldError]:
    """Why not, if several are asked for."""
    if request.search is not None:
        return _idle(request.workers, request.search)
    why = _why_alone(request, trainer) if request.workers > 1 else None
    if why is None:
        return []
    detail = f"{request.workers} workers asked for, and {why}; ask for 1, or leave it out"
    return [FieldError(pointer="/resources/workers", detail=detail)]


def _idle(workers: int, search: Search) -> list[FieldError]:
    """A search's trials are trained in one process each, by whichever model: workers without a trial would have nothing to do."""
    if search.parallel >= workers:
        return []
    trials = (
        "1 trial at once is" if search.parallel == 1 else f"{search.parallel} trials at once are"
    )
    detail = f"{trials} too few for {workers} workers, each of which trains trials of its own; ask for {workers} at least, or for fewer workers"
    return [FieldError(pointer="/search/parallel", detail=detail)]


def _why_alone(request: TrainRequest, trainer: Trainer) -> str | None:
    if not is_distributed(trainer):
        return f"{request.model!r} trains in one process"
    with suppress(Exception):  # params that are wrong are told as such
        params = trainer.params.model_validate_json(json.dumps(request.params))
        return needs_one_process(trainer, params)
    return None
