"""The body of `POST /train`: read up to a limit, parsed once strictly, every bad field named."""

import math
from collections.abc import Iterator
from typing import Any

from fastapi import Request
from pydantic import ValidationError
from pydantic_core import from_json
from starlette.requests import ClientDisconnect

from trainyard.complaints import complaints, pointer, shown
from trainyard.contract import FieldError, TrainRequest
from trainyard.errors import Invalid, Malformed, TooLarge

NAMED_IN_DETAIL = 3


async def read_train_request(request: Request, max_bytes: int) -> TrainRequest:
    """The request in the body. Raises `TooLarge`, `Malformed` or `Invalid`."""
    return parse_train_request(await _read(request, max_bytes))


def parse_train_request(body: bytes) -> TrainRequest:
    """The request in these bytes. Raises `Malformed`, or `Invalid` with every bad field at once."""
    try:
        value = from_json(body, allow_inf_nan=False)
    except ValueError as error:
        raise Malformed(f"the body is not JSON: {error}") from error
    if not isinstance(value, dict):
        raise _invalid([FieldError(pointer="", detail=f"{shown(value)}: should be an object")])
    unusable = list(_unusable(value))
    try:
        request = TrainRequest.model_validate_json(body)
    except ValidationError as error:
        raise _invalid([*complaints(error, TrainRequest), *unusable]) from error
    if unusable:
        raise _invalid(unusable)
    return request


async def _read(request: Request, max_bytes: int) -> bytes:
    """The body. The declared length is only believed when it says that the body is too long."""
    declared = request.headers.get("content-length", "")
    if declared.isascii() and declared.isdigit() and int(declared[:18]) > max_bytes:
        raise _too_large(max_bytes)
    body = bytearray()
    try:
        async for chunk in request.stream():
            body += chunk
            if len(body) > max_bytes:
                raise _too_large(max_bytes)
    except ClientDisconnect as error:
        raise Malformed("the connection was closed before the body ended") from error
    return bytes(body)


def _too_large(max_bytes: int) -> TooLarge:
    return TooLarge(f"the body is over {max_bytes} bytes; large data belongs in a file, by its uri")


def _invalid(errors: list[FieldError]) -> Invalid:
    named = "; ".join(f"{each.pointer or 'the body'}: {each.detail}" for each in errors[:NAMED_IN_DETAIL])
    rest = len(errors) - NAMED_IN_DETAIL
    return Invalid(f"{named}; and {rest} more" if rest > 0 else named, errors)


def _unusable(value: Any, parts: tuple[int | str, ...] = ()) -> Iterator[FieldError]:
    """What JSON can say and neither MLflow nor a file system can hold. The parser bounds the depth."""
    match value:
        case float() if not math.isfinite(value):
            yield FieldError(pointer=pointer(parts), detail="too large for a floating-point number")
        case str() if "\0" in value:
            detail = f"{shown(value)}: holds a NUL character; remove it"
            yield FieldError(pointer=pointer(parts), detail=detail)
        case dict():
            for key, each in value.items():
                yield from _unusable(key, (*parts, key)) if "\0" in key else ()
                yield from _unusable(each, (*parts, key))
        case list():
            for position, each in enumerate(value):
                yield from _unusable(each, (*parts, position))
