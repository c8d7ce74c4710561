"""The body of a POST: read up to a limit, parsed and validated in one go, every bad field named."""

import asyncio
import math
from collections import deque
from collections.abc import Iterator
from itertools import islice
from typing import Any, TypeVar

from fastapi import Request
from pydantic import BaseModel, ValidationError
from pydantic_core import from_json
from starlette.requests import ClientDisconnect

from trainyard.contract import (
    FieldError,
    PreviewRequest,
    Promotion,
    Rollback,
    ScoreRequest,
    TrainRequest,
)
from trainyard.errors import Invalid, Malformed, TooLarge
from trainyard.field_errors import MOST_NAMED, BadFields, bad_fields, invalid, pointer, shown
from trainyard.peers.question import Question
from trainyard.registry.turn import Turn

Body = TypeVar("Body", bound=BaseModel)
Word = TypeVar("Word", Promotion, Rollback)
Parts = tuple[int | str, ...]
SMALL_BYTES = 16_384
"""Up to this a body is parsed at once, in a millisecond; a longer one in a thread, so that others are answered."""


async def read_train_request(request: Request, max_bytes: int) -> TrainRequest:
    """The request in the body. Raises `TooLarge`, `Malformed` or `Invalid`."""
    body = await _read(request, max_bytes)
    if len(body) <= SMALL_BYTES:
        return parse_train_request(body)
    return await asyncio.to_thread(parse_train_request, body)


async def read_score_request(request: Request, max_bytes: int) -> ScoreRequest:
    """The request in the body. Raises `TooLarge`, `Malformed` or `Invalid`."""
    body = await _read(request, max_bytes)
    return await asyncio.to_thread(_parsed, body, ScoreRequest)


async def read_preview_request(request: Request, max_bytes: int) -> PreviewRequest:
    """The request in the body. Raises `TooLarge`, `Malformed` or `Invalid`."""
    return await asyncio.to_thread(_parsed, await _read(request, max_bytes), PreviewRequest)


async def read_word(request: Request, max_bytes: int, kind: type[Word]) -> Word:
    """What is asked about a version's alias; no body asks for the defaults. Raises `TooLarge`, `Malformed` or `Invalid`."""
    body = await _read(request, min(max_bytes, SMALL_BYTES))
    return _parsed(body, kind) if body.strip() else kind()


async def read_turn(request: Request, max_bytes: int) -> Turn:
    """What another service asks to have decided. Raises `TooLarge`, `Malformed` or `Invalid`."""
    return _parsed(await _read(request, max_bytes), Turn)


async def read_question(request: Request, max_bytes: int) -> Question:
    """What another service asks to have predicted. Raises `TooLarge`, `Malformed` or `Invalid`."""
    return _parsed(await _read(request, max_bytes), Question)


def parse_train_request(body: bytes) -> TrainRequest:
    """The request in these bytes. Raises `Malformed`, or `Invalid` with the bad fields."""
    return _parsed(body, TrainRequest)


def _parsed(body: bytes, model: type[Body]) -> Body:
    """What is in these bytes.

    One call of pydantic parses and validates. A value that is parsed already it cannot validate as
    strictly as JSON: its strict mode refuses the strings of an enum and arrays for tuples, which JSON
    has nothing better for, and its lax mode takes "42" for a number. So only a body that is refused is
    parsed a second time, to say what is wrong with it.
    """
    try:
        parsed = model.model_validate_json(body)
    except ValidationError as error:
        raise _refusal(body, model, error) from error
    if any(_unusable(parsed.model_dump(by_alias=True))):
        raise _refusal(body, model, None)
    return parsed


def _refusal(
    body: bytes, model: type[BaseModel], error: ValidationError | None
) -> Malformed | Invalid:
    try:
        value = from_json(body, allow_inf_nan=False)
    except ValueError as broken:
        return Malformed(f"the body is not JSON: {broken}")
    found = bad_fields(error, model, value) if error else BadFields(())
    places = _unusable(value)
    unusable = [_named(parts, each) for parts, each in islice(places, MOST_NAMED)]
    return invalid([*found.errors, *unusable], found.more + sum(1 for _ in places))


async def _read(request: Request, max_bytes: int) -> bytes:
    """The body. Its declared length may be wrong, so what arrives is counted too."""
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


def _unusable(value: Any) -> Iterator[tuple[Parts, Any]]:
    """Where JSON says what neither MLflow nor a file system can hold: a NUL character, an infinite number."""
    waiting: deque[tuple[Parts, Any]] = deque(
        [((), value)] if isinstance(value, dict | list) else ()
    )
    while waiting:
        parts, holder = waiting.popleft()
        entries = holder.items() if isinstance(holder, dict) else enumerate(holder)
        for part, each in entries:
            if isinstance(part, str) and "\0" in part:
                yield (*parts, part), part
            if isinstance(each, dict | list):
                waiting.append(((*parts, part), each))
            elif (isinstance(each, str) and "\0" in each) or (
                isinstance(each, float) and not math.isfinite(each)
            ):
                yield (*parts, part), each


def _named(parts: Parts, value: str | float) -> FieldError:
    detail = (
        f"{shown(value)}: holds a NUL character; remove it"
        if isinstance(value, str)
        else "too large for a floating-point number"
    )
    return FieldError(pointer=pointer(parts), detail=detail)
