"""What a process that was forked for one request does: look at its params and data, within limits, and say what is wrong."""

import os
import signal
from collections.abc import Callable
from contextlib import suppress
from typing import NoReturn, TypeVar

from pydantic import ValidationError
from pydantic_core import to_json

from trainyard.contract import (
    BuiltinData,
    FieldError,
    PreviewRequest,
    RunRequest,
    ScoreRequest,
    TrainRequest,
)
from trainyard.datasets.loading import inspect
from trainyard.datasets.previewing import preview
from trainyard.errors import InvalidData
from trainyard.field_errors import BadFields, bad_fields, readable
from trainyard.launcher.limits import limit
from trainyard.launcher.messages import Check, Checked, as_line
from trainyard.suggestions import suggestion
from trainyard.trainer import Trainer
from trainyard.worker.champion import CannotScore
from trainyard.worker.evaluation import METRICS
from trainyard.worker.scoring_look import ModelUnavailable, described, inspect_scored
from trainyard.worker.search.metric import wrong_metric
from trainyard.worker.search.space import wrong_sampler, wrong_space
from trainyard.worker.whole import whole_for
from trainyard.worker.workers import wrong_workers

T = TypeVar("T")
LONGEST_TEXT = 500
PARAMS, DATA, MODEL = "/params", "/data", "/model_uri"


def look_and_leave(order: Check, trainer: Trainer | None, pipe: int) -> NoReturn:
    """Write where it is at each step, and in the end what is wrong, to the pipe; then leave."""
    try:
        signal.pthread_sigmask(signal.SIG_UNBLOCK, {signal.SIGTERM})
        limit(memory_mb=order.memory_mb, seconds=order.seconds)
        with os.fdopen(pipe, "wb", buffering=0) as answer:
            found = looked_at(order, trainer, lambda step: answer.write(f"{step}\n".encode()))
            write_all(answer.fileno(), as_line(found))
    finally:
        os._exit(0)


def shipped(request: RunRequest | PreviewRequest) -> bool:
    """Whether the data is scikit-learn's own, which no caller has written."""
    return isinstance(request.data, BuiltinData)


def looked_at(
    order: Check, trainer: Trainer | None, reached: Callable[[str], object] = lambda _: None
) -> Checked:
    """What is wrong with a request. `reached` is called with each part of it before the part is looked at.

    Only a request of which nothing but the values of its params comes from outside may be looked at in the fork
    server itself.
    """
    request = order.request
    if isinstance(request, PreviewRequest):
        reached(DATA)
        data, seen = _looked_at_data(order, lambda: preview(request.data, order.access))
        return Checked(number=order.number, errors=tuple(data), preview=seen)
    if isinstance(request, ScoreRequest):
        return _looked_at_scoring(order, request, reached)
    if trainer is None:
        raise TypeError(f"{request.model!r} is not here")
    reached(PARAMS)
    params, needs_whole = _looked_at_params(order, request, trainer)
    alone = wrong_workers(request, trainer)
    reached(DATA)
    data, version = _looked_at_data(
        order,
        lambda: inspect(
            request.data,
            task=trainer.task,
            kinds=trainer.data,
            access=order.access,
            split=request.split,
            needs_whole=needs_whole,
        ),
    )
    errors = (
        *params.errors,
        *alone,
        *data,
        *_wrong_metric(request, trainer),
        *_wrong_search(request, trainer),
    )
    return Checked(number=order.number, errors=errors, more=params.more, data_version=version)


def _looked_at_scoring(
    order: Check, request: ScoreRequest, reached: Callable[[str], object]
) -> Checked:
    """What is wrong with the model or the data of a scoring; or that MLflow does not answer now."""
    reached(MODEL)
    try:
        about = described(request.model_uri)
    except ModelUnavailable as error:
        return Checked(number=order.number, errors=(), away=readable(str(error)))
    except CannotScore as error:
        return Checked(number=order.number, errors=(FieldError(pointer=MODEL, detail=str(error)),))
    except MemoryError:
        return Checked(number=order.number, errors=(_too_large(MODEL, order),))
    except BaseException as error:  # noqa: BLE001 - clients of stores and readers of damaged files raise what they like
        why = f"the model cannot be looked at: {_said(error)}"
        return Checked(number=order.number, errors=(FieldError(pointer=MODEL, detail=why),))
    reached(DATA)
    errors, version = _looked_at_data(order, lambda: inspect_scored(request, about, order.access))
    return Checked(number=order.number, errors=tuple(errors), data_version=version)


def _looked_at_params(
    order: Check, request: TrainRequest, trainer: Trainer
) -> tuple[BadFields, str | None]:
    """What is wrong with the params, and why a training with them needs the whole table in memory, if it does."""
    unknown = whole_for(request, trainer, None)
    try:
        params = trainer.params.model_validate_json(to_json(request.params))
        return BadFields((), 0), whole_for(request, trainer, params)
    except ValidationError as error:
        return bad_fields(error, trainer.params, request.params, below=PARAMS), unknown
    except MemoryError:
        return BadFields((_too_large(PARAMS, order),), 0), unknown
    except BaseException as error:  # noqa: BLE001 - a team's validator may raise anything
        said = f"the check of {request.model!r} itself failed on these params: {_said(error)}"
        return BadFields((FieldError(pointer=PARAMS, detail=said),), 0), unknown


def _looked_at_data(order: Check, look: Callable[[], T]) -> tuple[list[FieldError], T | None]:
    """What is wrong with the data, and what the look gives where nothing is."""
    try:
        return [], look()
    except InvalidData as error:
        return [FieldError(pointer=error.pointer, detail=readable(error.detail))], None
    except MemoryError:
        return [_too_large(DATA, order)], None
    except BaseException as error:  # noqa: BLE001 - readers of damaged files raise what they like
        why = f"the data cannot be read: {_said(error)}"
        return [FieldError(pointer=DATA, detail=why)], None


def _wrong_metric(request: TrainRequest, trainer: Trainer) -> list[FieldError]:
    """A promotion by what the model never reports would never promote anything."""
    register = request.register_
    if register is None or register.promote is None:
        return []
    metric, known = register.promote.metric, [f"test_{name}" for name in METRICS[trainer.task]]
    if metric in known:
        return []
    hint = suggestion(metric, known, otherwise="its metrics are")
    detail = f"{request.model!r} never reports {metric!r}; {hint}"
    return [FieldError(pointer="/register/promote/metric", detail=detail)]


def _wrong_search(request: TrainRequest, trainer: Trainer) -> list[FieldError]:
    if request.search is None:
        return []
    try:
        return [
            *wrong_space(request, trainer),
            *wrong_metric(request, trainer.task),
            *wrong_sampler(request.search),
        ]
    except Exception as error:  # noqa: BLE001 - a team's own space may be anything
        said = f"the space of {request.model!r} itself cannot be read: {_said(error)}"
        return [FieldError(pointer="/search/space", detail=said)]


def _too_large(pointer: str, order: Check) -> FieldError:
    return FieldError(
        pointer=pointer, detail=f"looking at this took more than {order.memory_mb} MB of memory"
    )


def _said(error: BaseException) -> str:
    text = type(error).__name__
    with suppress(Exception):
        text = readable(f"{text}: {error}")
    return text[:LONGEST_TEXT]


def write_all(pipe: int, text: bytes) -> None:
    """Write all of it, however little the pipe takes at once."""
    left = memoryview(text)
    while left:
        left = left[os.write(pipe, left) :]
