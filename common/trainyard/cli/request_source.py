"""A request out of a file and the command line's options."""

import json
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import typer
from pydantic_core import from_json

from trainyard.errors import Malformed

PACKED = ("", ".gz", ".bz2", ".zst")
TABLE_SUFFIXES = (
    *(".parquet", ".pq", ".zip"),
    *(text + packed for text in (".csv", ".tsv", ".txt") for packed in PACKED),
)


def request_of(  # noqa: PLR0913 - one option each
    source: str | None,
    *,
    model: str | None,
    data: str | None,
    target: str | None,
    params: list[str],
    register: str | None,
    search: Sequence[str] = (),
    trials: int | None = None,
    priority: str | None = None,
    workers: int | None = None,
) -> dict[str, Any]:
    """The request of the file, with what the options say in its place. The service validates it."""
    if source is None and not (model and data):
        raise typer.BadParameter("give a request file, or --model and --data")
    body = read_request(source) if source is not None else {}
    if model:
        body["model"] = model
    if data:
        body["data"] = _data(data, target)
    elif target:
        body["data"] = _part(body, "data") | {"target": target}
    if params:
        body["params"] = _part(body, "params") | dict(_param(each) for each in params)
    if register:
        body["register"] = _part(body, "register") | {"name": register}
    if priority:
        body["priority"] = priority
    if search or trials:
        body["search"] = searched(_part(body, "search"), search, trials)
    if workers:
        _divide(body, workers)
    return body


def _divide(body: dict[str, Any], workers: int) -> None:
    """Among so many processes; of a search each is to have a trial."""
    body["resources"] = _part(body, "resources") | {"workers": workers}
    if "search" in body:
        body["search"] = {"parallel": workers} | _part(body, "search")


def searched(
    asked: dict[str, Any], dimensions: Sequence[str], trials: int | None
) -> dict[str, Any]:
    """The search of the file, with what the options say in its place."""
    if dimensions:
        asked = asked | {"space": _part(asked, "space") | dict(map(_dimension, dimensions))}
    return asked | {"trials": trials} if trials else asked


def _dimension(text: str) -> tuple[str, Any]:
    """`name=low..high`, `name=low..high:log`, or `name=one,other`."""
    name, found, values = text.partition("=")
    if not (found and name and values):
        raise typer.BadParameter(
            f"--search {text}: should be NAME=LOW..HIGH, NAME=LOW..HIGH:log, or NAME=ONE,OTHER"
        )
    span, _, scale = values.partition(":")
    low, dots, high = span.partition("..")
    if not dots:
        return name, [_value(each) for each in values.split(",")]
    ends = _value(low), _value(high)
    if scale not in {"", "log"} or not all(
        isinstance(each, int | float) and not isinstance(each, bool) for each in ends
    ):
        raise typer.BadParameter(
            f"--search {text}: should be two numbers, as in {name}=3..10 or {name}=0.01..0.3:log"
        )
    return name, {"low": ends[0], "high": ends[1]} | ({"log": True} if scale else {})


def _value(text: str) -> Any:
    """JSON where it can be, else text."""
    try:
        return json.loads(text, parse_constant=lambda _: text)
    except ValueError:
        return text


def read_request(source: str) -> dict[str, Any]:
    """The JSON object that `source` is, or that the file holds, or standard input for `-`. Raises `Malformed`."""
    try:
        body = from_json(_text(source), allow_inf_nan=False)
    except (OSError, ValueError) as error:
        raise Malformed(f"{source} does not hold a request as JSON: {error}") from error
    if not isinstance(body, dict):
        raise Malformed(
            f"{source} holds a JSON {type(body).__name__}, where a request is an object"
        )
    return body


def _part(body: dict[str, Any], name: str) -> dict[str, Any]:
    found = body.get(name)
    return found if isinstance(found, dict) else {}


def seen_data(name: str) -> dict[str, Any]:
    """Data to look at: a builtin's name, a table, images, or JSON as in a request's `data`. Raises `Malformed`."""
    return scored_data(name, None)


def scored_data(name: str, target: str | None) -> dict[str, Any]:
    """Data to score: as for `seen_data`, and a table need not have a target. Raises `Malformed`."""
    if name.lstrip().startswith("{"):
        return read_request(name) | ({"target": target} if target else {})
    if target or not name.lower().endswith(TABLE_SUFFIXES):
        return _data(name, target)
    return {"source": "file", "uri": name}


def _data(name: str, target: str | None) -> dict[str, Any]:
    if target:
        return {"source": "file", "uri": name, "target": target}
    if name.lower().endswith(TABLE_SUFFIXES):
        raise typer.BadParameter(
            f"--data {name} is a table: name the column to predict with --target"
        )
    return (
        {"source": "images", "uri": name}
        if set(name) & set("/.:")
        else {"source": "builtin", "name": name}
    )


def _param(text: str) -> tuple[str, Any]:
    """`name=value`; the value is JSON where it can be, else text."""
    name, found, value = text.partition("=")
    if not (found and name):
        raise typer.BadParameter(f"-p {text}: should be NAME=VALUE, such as max_depth=6")
    return name, _value(value)


def _text(source: str) -> bytes:
    if source.lstrip().startswith("{"):
        return source.encode()
    return sys.stdin.buffer.read() if source == "-" else Path(source).read_bytes()
