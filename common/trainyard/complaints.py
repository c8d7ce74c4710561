"""Pydantic's complaints as JSON pointers and sentences that a caller can act on."""

import difflib
from collections.abc import Iterator, Sequence
from typing import Any, get_args

from pydantic import BaseModel, ValidationError

from trainyard.contract import FieldError

LONGEST_VALUE = 80


def complaints(error: ValidationError, model: type[BaseModel]) -> list[FieldError]:
    """Every bad field of a request that should have been a `model`."""
    return [_complaint(each, model) for each in error.errors(include_url=False)]


def pointer(parts: Sequence[int | str]) -> str:
    """A JSON pointer (RFC 6901)."""
    return "".join("/" + readable(str(part)).replace("~", "~0").replace("/", "~1") for part in parts)


def sentence(each: Any) -> str:
    """What is wrong with the value, and what would be right."""
    if each["type"] == "missing":
        return "is required"
    message = str(each["msg"]).removeprefix("Value error, ")
    return f"{shown(each['input'])}: {message[:1].lower()}{message[1:]}"


def shown(value: object) -> str:
    """The value as a caller may read it, shortened."""
    text = readable(repr(value))
    return text if len(text) <= LONGEST_VALUE else text[: LONGEST_VALUE - 3] + "..."


def readable(text: str) -> str:
    """The text without lone surrogates, which no answer can hold."""
    return text.encode("utf-8", "backslashreplace").decode()


def _complaint(each: Any, model: type[BaseModel]) -> FieldError:
    parts, holder = _follow(each["loc"], model)
    match each["type"]:
        case "extra_forbidden":
            text = _unknown(str(each["loc"][-1]), holder)
        case "union_tag_not_found" | "union_tag_invalid":
            tag, ctx = each["ctx"].get("tag"), each["ctx"]
            parts.append(ctx["discriminator"].strip("'"))
            right = f"one of {ctx['expected_tags']}" if "expected_tags" in ctx else _tags(model, each)
            text = f"is required: {right}" if tag is None else f"{shown(tag)}: should be {right}"
        case _:
            text = sentence(each)
    return FieldError(pointer=pointer(parts), detail=text)


def _unknown(name: str, holder: type[BaseModel] | None) -> str:
    known = list(_fields(holder)) if holder else []
    near = difflib.get_close_matches(name, known, n=1)
    if near:
        return f"unknown field; did you mean {near[0]!r}?"
    return f"unknown field; known are {', '.join(known)}" if known else "unknown field; remove it"


def _follow(
    location: Sequence[int | str], model: type[BaseModel]
) -> tuple[list[int | str], type[BaseModel] | None]:
    """The location without pydantic's own marks, and the model that its last part is a field of."""
    parts: list[int | str] = []
    holder: type[BaseModel] | None = model
    choices: list[type[BaseModel]] = []
    for part in location:
        if part == "[key]":
            continue
        if len(choices) > 1:
            holder, choices = _tagged(choices, part), []
            continue
        if choices:
            holder, choices = choices[0], []
        parts.append(part)
        found = _fields(holder).get(str(part)) if holder else None
        choices = list(_models(found)) if found is not None else []
    return parts, holder


def _fields(model: type[BaseModel]) -> dict[str, Any]:
    return {field.alias or name: field.annotation for name, field in model.model_fields.items()}


def _models(annotation: Any) -> Iterator[type[BaseModel]]:
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        yield annotation
    else:
        for argument in get_args(annotation):
            yield from _models(argument)


def _tagged(choices: list[type[BaseModel]], tag: int | str) -> type[BaseModel] | None:
    return next((choice for choice in choices if tag in _own_tags(choice)), None)


def _own_tags(choice: type[BaseModel]) -> tuple[Any, ...]:
    field = choice.model_fields.get("source")
    return get_args(field.annotation) if field else ()


def _tags(model: type[BaseModel], each: Any) -> str:
    choices = _models(_fields(model).get(str(each["loc"][-1])))
    tags = [repr(tag) for choice in choices for tag in _own_tags(choice)]
    return f"one of {', '.join(tags)}"
