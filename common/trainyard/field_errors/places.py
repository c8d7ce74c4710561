"""Where in a request one of pydantic's errors is, and which model it broke.

Pydantic's locations hold more than the way through the request: where a value may have one of several
types, the name of the type that was tried (`literal['balanced']`, `dict[str,float]`), a tag where a
field such as `source` decides, and `[key]` after a name that is itself wrong. A pointer has none of it.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, get_args

from pydantic import BaseModel

Parts = tuple[int | str, ...]
ABSENT = object()
"""Stands for a request that is not at hand."""
KEY_MARK = "[key]"


@dataclass
class Place:
    """How far a location was followed."""

    value: Any
    """What lies there."""
    holder: type[BaseModel] | None
    """The model that the last part is a field of."""
    parts: Parts = ()
    """The names and positions that lead there in the request."""
    union: Parts | None = None
    """The way to the outermost value of which pydantic tried several types."""
    choices: tuple[type[BaseModel], ...] = ()
    """The models that the value may be."""


def place_of(location: Sequence[int | str], model: type[BaseModel], value: Any) -> Place:
    """Where an error of a `value` that should have been a `model` is; the value may be `ABSENT`."""
    place = Place(value, model)
    for part in location:
        chosen = _chosen(place.choices, part)
        if chosen is not None:
            if part == chosen.__name__ and place.union is None:
                place.union = place.parts
            place.holder, place.choices = chosen, ()
        elif _holds(place.value, part):
            _enter(place, part)
        elif part != KEY_MARK and place.union is None:
            place.union = place.parts
    return place


def place_of_missing(location: Sequence[int | str], model: type[BaseModel], value: Any) -> Place:
    """The same where the last part of the location names a field that the request lacks."""
    place = place_of(location[:-1], model, value)
    _enter(place, location[-1])
    return place


def fields(model: type[BaseModel]) -> Mapping[str, Any]:
    """The types of a model's fields, by their names in a request."""
    return {field.alias or name: field.annotation for name, field in model.model_fields.items()}


def tags(model: type[BaseModel], name: str) -> list[str]:
    """What may stand in `source` of the models that a field may hold."""
    return [tag for choice in _models(fields(model).get(name)) for tag in _own_tags(choice)]


def _enter(place: Place, part: int | str) -> None:
    if place.choices:
        place.holder = place.choices[0]
    place.parts += (part,)
    if place.value is not ABSENT:
        place.value = place.value[part] if _holds(place.value, part) else None
    found = fields(place.holder).get(str(part)) if place.holder else None
    place.choices = tuple(_models(found))


def _holds(value: Any, part: int | str) -> bool:
    """Whether the value has such an entry. Of one that is not at hand it is supposed."""
    match value:
        case dict():
            return part in value
        case list():
            return isinstance(part, int) and part < len(value)
    return value is ABSENT and part != KEY_MARK


def _models(annotation: Any) -> Iterator[type[BaseModel]]:
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        yield annotation
    else:
        for argument in get_args(annotation):
            yield from _models(argument)


def _chosen(choices: Sequence[type[BaseModel]], name: int | str) -> type[BaseModel] | None:
    """Which of several models pydantic's name stands for: one's tag, or its class."""
    several = choices if len(choices) > 1 else ()
    return next((each for each in several if name in {*_own_tags(each), each.__name__}), None)


def _own_tags(choice: type[BaseModel]) -> tuple[Any, ...]:
    field = choice.model_fields.get("source")
    return get_args(field.annotation) if field else ()
