"""Whether a training needs its whole table in memory."""

from pydantic import ValidationError
from pydantic_core import to_json

from trainyard.contract import TrainRequest
from trainyard.trainer import WHOLE, Trainer, needs_whole


def whole_for(request: TrainRequest, trainer: Trainer) -> str | None:
    """Why it does, in words; None where it does not."""
    if request.search is not None:
        return "a search holds the whole table in memory"
    if request.register_ is not None and request.register_.promote is not None:
        return "a promotion is decided with the whole table in memory; register the model without promote"
    try:
        params = trainer.params.model_validate_json(to_json(request.params))
    except ValidationError:  # which the check of the params tells in its own words
        return WHOLE
    return needs_whole(trainer, params)
