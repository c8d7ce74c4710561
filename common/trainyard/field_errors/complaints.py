"""The bad fields of a request, each by its pointer and a sentence, and the refusal made of them."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from pydantic import BaseModel, ValidationError

from trainyard.contract import FieldError
from trainyard.errors import Invalid
from trainyard.field_errors.bounds import first_errors
from trainyard.field_errors.places import (
    ABSENT,
    Parts,
    Place,
    fields,
    place_of,
    place_of_missing,
    tags,
)
from trainyard.field_errors.sentences import none_of_the_types, pointer, sentence, shown
from trainyard.suggestions import suggestion

MOST_NAMED = 50
"""Fields that one answer names; of the others it says how many there are."""
MOST_IN_DETAIL = 3
"""Fields that an answer's one sentence names."""
MOST_SUGGESTIONS = 5
"""Unknown fields that are told the nearest known name, which costs the most."""


@dataclass(frozen=True)
class BadFields:
    """The first fields that are wrong, and how many errors more there are."""

    errors: tuple[FieldError, ...]
    more: int = 0


def bad_fields(
    error: ValidationError, model: type[BaseModel], value: Any = ABSENT, *, below: str = ""
) -> BadFields:
    """What is wrong with a `value` that should have been a `model`; it lies at the pointer `below`.

    With the value, pointers name only what is in it. Without it, one into a field that may have several
    types also holds the name of a type.
    """
    raw = first_errors(error, model, value, most=MOST_NAMED)
    found = [
        FieldError(pointer=below + pointer(parts), detail=text)
        for parts, text in _complaints(raw, model, value)
    ]
    return BadFields(tuple(found), error.error_count() - len(raw))


def complaints(
    error: ValidationError, model: type[BaseModel], value: Any = ABSENT
) -> list[FieldError]:
    """The first bad fields alone, for callers that do not count the others."""
    return list(bad_fields(error, model, value).errors)


def invalid(errors: Sequence[FieldError], more: int = 0) -> Invalid:
    """The refusal for these fields, and for so many more that are not among them."""
    listed, total = errors[:MOST_NAMED], len(errors) + more
    said = [f"{each.pointer or 'the body'}: {each.detail}" for each in listed[:MOST_IN_DETAIL]]
    if total > len(said):
        said.append(f"and {total - len(said)} more" if said else f"{total} fields are wrong")
    if total > len(listed):
        said.append(f"`errors` lists {len(listed)} of the {total}")
    return Invalid("; ".join(said), listed)


def _complaints(
    raw: Sequence[Any], model: type[BaseModel], value: Any
) -> Iterator[tuple[Parts, str]]:
    """One complaint a field, although pydantic has an error for each type that a value may have."""
    places = [_place(each, model, value) for each in raw]
    tried = _tried(raw, places)
    unknown = 0
    for each, place in zip(raw, places, strict=True):
        errors = [each] if place.union is None else tried.pop(place.parts, [])
        if len(errors) == 1:
            unknown += errors[0]["type"] == "extra_forbidden"
            yield _complaint(errors[0], place, model, hint=unknown <= MOST_SUGGESTIONS)
        elif errors:
            yield place.parts, none_of_the_types(errors)


def _complaint(each: Any, place: Place, model: type[BaseModel], *, hint: bool) -> tuple[Parts, str]:
    match each["type"]:
        case "extra_forbidden":
            return place.parts, _unknown(str(each["loc"][-1]), place, hint=hint)
        case "union_tag_not_found" | "union_tag_invalid":
            return (*place.parts, each["ctx"]["discriminator"].strip("'")), _wrong_tag(each, model)
    return place.parts, sentence(each)


def _place(each: Any, model: type[BaseModel], value: Any) -> Place:
    find = place_of_missing if each["type"] == "missing" else place_of
    return find(each["loc"], model, value)


def _tried(raw: Sequence[Any], places: Sequence[Place]) -> dict[Parts, list[Any]]:
    """The errors of each value that may have several types.

    Where something in the value is wrong, its type was the one that was meant, and the errors of the
    other types are left out; so is that one of them does not know a field that another knows.
    """
    tried: dict[Parts, list[Any]] = {}
    for each, place in zip(raw, places, strict=True):
        if place.union is not None:
            tried.setdefault(place.parts, []).append(each)
    for place in places:
        if place.union is not None and place.parts != place.union:
            tried.pop(place.union, None)
    return {
        parts: [each for each in errors if each["type"] != "extra_forbidden"] or errors[:1]
        for parts, errors in tried.items()
    }


def _unknown(name: str, place: Place, *, hint: bool) -> str:
    if not hint:
        return "unknown field"
    known = fields(place.holder) if place.holder else ()
    return f"unknown field; {suggestion(name, known) or 'remove it'}"


def _wrong_tag(each: Any, model: type[BaseModel]) -> str:
    tag, expected = each["ctx"].get("tag"), each["ctx"].get("expected_tags")
    if expected is None:
        expected = ", ".join(map(repr, tags(model, str(each["loc"][-1]))))
    right = f"one of {expected}"
    return f"is required: {right}" if tag is None else f"{shown(tag)}: should be {right}"
