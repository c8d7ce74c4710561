"""Pydantic's errors, but never a hundred thousand of them.

Pydantic gives out all of its errors or none, and a megabyte of zeros where names should be has 500,000:
listing them takes seconds in which nothing else runs. Their number costs nothing. So where they are
many, those of a shortened value are listed, and counted are those of the whole.
"""

from collections.abc import Iterator
from functools import cache
from itertools import islice
from typing import Any

from pydantic import BaseModel, ValidationError
from pydantic_core import to_json

from trainyard.field_errors.places import ABSENT

MANY = 1_000
"""Errors that are listed as they are; and entries that stay of an object or array in a shortened value."""


def first_errors(
    error: ValidationError, model: type[BaseModel], value: Any, *, most: int
) -> list[Any]:
    """At most so many errors of a `value` that should have been a `model`; of all, where it is `ABSENT`.

    None where there are more than `MANY` and all of them lie behind the first `MANY` entries of a list.
    """
    if error.error_count() <= MANY or value is ABSENT:
        return error.errors(include_url=False)[:most]
    try:
        model.model_validate_json(to_json(_shortened(value, _field_names(model))))
    except ValidationError as fewer:
        return fewer.errors(include_url=False)[:most]
    return []


def _shortened(value: Any, names: frozenset[str]) -> Any:
    """The value with the first entries of each object and array, and with every known field."""
    if isinstance(value, dict):
        first = set(islice(value, MANY))
        return {
            key: _shortened(each, names)
            for key, each in value.items()
            if key in first or key in names
        }
    if isinstance(value, list):
        return [_shortened(each, names) for each in value[:MANY]]
    return value


@cache
def _field_names(model: type[BaseModel]) -> frozenset[str]:
    """The names of all fields of the model and of the models in it."""
    return frozenset(_properties(model.model_json_schema()))


def _properties(schema: Any) -> Iterator[str]:
    if isinstance(schema, dict):
        properties = schema.get("properties")
        yield from properties if isinstance(properties, dict) else ()
    children = schema.values() if isinstance(schema, dict) else schema
    for each in children if isinstance(schema, dict | list) else ():
        yield from _properties(each)
