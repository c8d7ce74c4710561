"""Whether a training needs its whole table in memory."""

from trainyard.contract import TrainRequest
from trainyard.trainer import WHOLE, Params, Trainer, needs_whole, shares_batches


def whole_for(request: TrainRequest, trainer: Trainer, params: Params | None) -> str | None:
    """Why it does, in words; None where it does not. `params`: the request's, None where they are not known."""
    if request.workers > 1 and not shares_batches(trainer):
        return "each of several workers of this model holds the whole table in memory"
    if request.search is not None:
        return "a search holds the whole table in memory"
    return WHOLE if params is None else needs_whole(trainer, params)
