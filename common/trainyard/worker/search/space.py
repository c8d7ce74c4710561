"""The space of a search: which values each param may take, whether the model takes them, and how one point is drawn."""

import json
from collections.abc import Iterator, Mapping
from decimal import Decimal
from importlib.util import find_spec
from typing import Any, Protocol

from pydantic import BaseModel, ValidationError
from pydantic_core import to_json

from trainyard.contract import Dimension, FieldError, SamplerName, Search, Space, TrainRequest
from trainyard.field_errors import bad_fields, shown
from trainyard.suggestions import suggestion
from trainyard.trainer import Trainer
from trainyard.worker.search.first import same, wrong_starts

POINTER = "/search/space"
MOST_GRID_POINTS = 10_000
Params = dict[str, Any]
Dimensions = Mapping[str, Dimension]


class Suggests(Protocol):
    """What draws values: a trial of Optuna."""

    def suggest_int(self, name: str, low: int, high: int, *, step: int, log: bool) -> int: ...

    def suggest_float(
        self, name: str, low: float, high: float, *, step: float | None, log: bool
    ) -> float: ...

    def suggest_categorical(self, name: str, choices: list[Any]) -> Any: ...


def space_of(request: TrainRequest, trainer: Trainer) -> Dimensions:
    """The space that is searched, in an order in which each param follows those that its `when` names.

    The request's, or the model's own without the params that the request fixes; empty where there is neither.
    """
    search = request.search
    asked: Space | None = search.space if search else None
    if asked is None:
        own: Mapping[str, Any] = getattr(trainer, "search_space", {})
        asked = {
            name: Dimension.model_validate(each) if isinstance(each, dict) else each
            for name, each in own.items()
            if name not in request.params
        }
    return _in_order(
        {
            name: Dimension(choices=each) if isinstance(each, list) else each
            for name, each in asked.items()
        }
    )


def wrong_space(request: TrainRequest, trainer: Trainer) -> list[FieldError]:
    """What is wrong with the space and with the params to try first."""
    search = request.search
    if search is None:
        return []
    if search.space is None and not getattr(trainer, "search_space", {}):
        return [_error(POINTER, f"is required: {request.model!r} has no space of its own")]
    space = space_of(request, trainer)
    if not space:
        return [
            _error(POINTER, "nothing is left to search: params fixes all of the model's own space")
        ]
    errors = [
        error
        for name, each in space.items()
        for error in _wrong_dimension(name, each, space, request, trainer)
    ]
    errors += _wrong_grid(search.sampler, space, trainer)
    return [*errors, *wrong_starts(search, space)]


def wrong_sampler(search: Search) -> list[FieldError]:
    """A sampler that needs what is not installed here."""
    needed = {SamplerName.GP: "torch", SamplerName.CMAES: "cmaes"}.get(search.sampler)
    if needed is None or find_spec(needed) is not None:
        return []
    detail = (
        f"{search.sampler.value!r} needs {needed}, which this service does not have; take 'tpe'"
    )
    return [_error("/search/sampler", detail)]


def drawn(space: Dimensions, trial: Suggests, types: Mapping[str, type]) -> Params:
    """One point of the space. A param whose `when` does not hold is not in it."""
    found: Params = {}
    for name, each in space.items():
        if holds(each, found):
            found[name] = _drawn(name, each, trial, types[name])
    return found


def holds(dimension: Dimension, drawn_before: Mapping[str, Any]) -> bool:
    """Whether the param is searched where these were drawn."""
    return all(
        name in drawn_before and drawn_before[name] in values
        for name, values in (dimension.when or {}).items()
    )


def as_categories(choices: list[Any]) -> list[Any]:
    """Choices as Optuna can keep them: lists and objects as JSON."""
    return [as_category(each) for each in choices]


def as_category(value: Any) -> Any:
    """A choice as Optuna can keep it."""
    return json.dumps(value) if isinstance(value, list | dict) else value


def types_of(space: Dimensions, params: type[BaseModel]) -> dict[str, type]:
    """What each param of a range is in the model: int or float; `object` for one with choices."""
    return {
        name: object if each.choices is not None else _number_of(name, params) or float
        for name, each in space.items()
    }


def grid_of(space: Dimensions, types: Mapping[str, type]) -> dict[str, list[Any]] | None:
    """All the values of each param; None where one of them has no end of values."""
    found: dict[str, list[Any]] = {}
    for name, each in space.items():
        values = _values(each, types[name])
        if values is None:
            return None
        found[name] = values
    return found


def _drawn(name: str, dimension: Dimension, trial: Suggests, kind: type) -> Any:
    if dimension.choices is not None:
        picked = trial.suggest_categorical(name, as_categories(dimension.choices))
        return next(each for each in dimension.choices if same(as_category(each), picked))
    low, high, step = dimension.low, dimension.high, dimension.step
    if low is None or high is None:
        raise TypeError(f"{name} has no range")
    if kind is int:
        return trial.suggest_int(name, int(low), int(high), step=int(step or 1), log=dimension.log)
    return trial.suggest_float(name, float(low), float(high), step=step, log=dimension.log)


def _wrong_dimension(
    name: str, dimension: Dimension, space: Dimensions, request: TrainRequest, trainer: Trainer
) -> Iterator[FieldError]:
    at = f"{POINTER}/{name}"
    fields = trainer.params.model_fields
    if name not in fields:
        yield _error(at, f"{request.model!r} has no such param; {suggestion(name, fields)}")
        return
    if name in request.params:
        yield _error(
            at,
            f"params says {shown(request.params[name])} for it already; take it out of one of the two",
        )
        return
    yield from _wrong_condition(at, dimension, space)
    if dimension.choices is not None:
        for index, choice in enumerate(dimension.choices):
            place = f"{at}/choices/{index}" if _is_object(request, name) else f"{at}/{index}"
            yield from _refused(name, choice, place, request, trainer)
        return
    number = _number_of(name, trainer.params)
    if number is None:
        yield _error(at, "is no number in the model, so it has no range; list its choices")
        return
    for field in ("low", "high", "step"):
        value = getattr(dimension, field)
        if number is int and value is not None and not isinstance(value, int):
            yield _error(f"{at}/{field}", f"{value}: {name} is an integer; take one")
            return
    for field in ("low", "high"):
        yield from _refused(name, getattr(dimension, field), f"{at}/{field}", request, trainer)


def _is_object(request: TrainRequest, name: str) -> bool:
    space = request.search.space if request.search else None
    return space is not None and isinstance(space.get(name), Dimension)


def _refused(
    name: str, value: Any, at: str, request: TrainRequest, trainer: Trainer
) -> Iterator[FieldError]:
    """What the model says of the value, if it is about this param alone: params that do not fit each other fail their trial."""
    params = {**request.params, name: value}
    try:
        trainer.params.model_validate_json(to_json(params))
    except ValidationError as error:
        below = f"/{name}"
        for each in bad_fields(error, trainer.params, params).errors:
            if each.pointer == below or each.pointer.startswith(f"{below}/"):
                yield _error(at + each.pointer.removeprefix(below), each.detail)
    except Exception as error:  # noqa: BLE001 - a team's validator may raise anything
        yield _error(at, f"{shown(value)}: the model's check failed: {type(error).__name__}")


def _wrong_condition(at: str, dimension: Dimension, space: Dimensions) -> Iterator[FieldError]:
    for other, values in (dimension.when or {}).items():
        place = f"{at}/when/{other}"
        if other not in space:
            yield _error(place, f"is not in the space; {suggestion(other, space)}")
        elif space[other].choices is None:
            yield _error(place, "has a range; only a param with choices can be a condition")
        elif any(value not in (space[other].choices or ()) for value in values):
            wrong = next(value for value in values if value not in (space[other].choices or ()))
            yield _error(
                place, f"{shown(wrong)} is none of its choices, {shown(space[other].choices)}"
            )


def _wrong_grid(sampler: SamplerName, space: Dimensions, trainer: Trainer) -> Iterator[FieldError]:
    if sampler is not SamplerName.GRID:
        return
    points, types = 1, types_of(space, trainer.params)
    for name, each in space.items():
        if each.when:
            yield _error(f"{POINTER}/{name}/when", "has no meaning on a grid; take another sampler")
            continue
        values = _values(each, types[name])
        if values is None:
            yield _error(f"{POINTER}/{name}", "a grid needs choices, a step, or integers")
            continue
        points *= len(values)
    if points > MOST_GRID_POINTS:
        yield _error(
            POINTER, f"the grid has {points:,} points; at most {MOST_GRID_POINTS:,} are possible"
        )


def _values(dimension: Dimension, kind: type) -> list[Any] | None:
    if dimension.choices is not None:
        return as_categories(dimension.choices)
    low, high = dimension.low, dimension.high
    step = dimension.step or (1 if kind is int else None)
    if low is None or high is None or step is None or dimension.log:
        return None
    count = int((high - low) / step + 1e-9) + 1
    first, width = Decimal(str(low)), Decimal(str(step))  # 0.1 + 2 * 0.1 is 0.3 here
    return [kind(first + index * width) for index in range(min(count, MOST_GRID_POINTS + 1))]


def _number_of(name: str, params: type[BaseModel]) -> type | None:
    """Int or float where the param may be one; None where it may not."""
    about = params.model_json_schema()["properties"].get(name, {})
    kinds = {each.get("type") for each in (about, *about.get("anyOf", ()))}
    return float if "number" in kinds else int if "integer" in kinds else None


def _in_order(space: dict[str, Dimension]) -> Dimensions:
    """Each param after those that its `when` names; those in a circle keep their place, and are never drawn."""
    ordered: dict[str, Dimension] = {}

    def visit(name: str, above: tuple[str, ...]) -> None:
        if name in ordered or name in above:
            return
        for other in space[name].when or {}:
            if other in space:
                visit(other, (*above, name))
        ordered[name] = space[name]

    for name in space:
        visit(name, ())
    return ordered


def _error(pointer: str, detail: str) -> FieldError:
    return FieldError(pointer=pointer, detail=detail)
