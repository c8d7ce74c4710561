"""Who is to be told of a run, and when."""

import re
from typing import Annotated
from urllib.parse import urlsplit

from pydantic import AfterValidator, Field, StringConstraints

from trainyard.contract.wire import Wire

MOST_ADDRESSES, MOST_EVENTS = 5, 10
MOST_WAITING_SECONDS = 7 * 24 * 3600
WAITING = re.compile(r"waiting_over:(?P<seconds>[1-9][0-9]{0,5})")
EVENTS = ("finished", "failed", "cancelled", "promoted")


def _an_address(url: str) -> str:
    """An address of the web, without a user or password."""
    try:
        address = urlsplit(url)
        whole = address.scheme in {"http", "https"} and address.hostname and address.port != 0
    except ValueError:
        whole = None
    if not whole or not url.isprintable():
        message = "is no address; write http://HOST/PATH or https://HOST/PATH"
        raise ValueError(message)
    if "@" in address.netloc or "\\" in url:
        message = "an address must not hold a user or password; messages are signed instead"
        raise ValueError(message)
    return url


def _an_event(event: str) -> str:
    """Something that happens to a run."""
    if event not in EVENTS and waiting_seconds(event) is None:
        message = (
            f"{event!r} is no event; it is {', '.join(EVENTS)}, or waiting_over:SECONDS, of at most"
            f" {MOST_WAITING_SECONDS:,} seconds"
        )
        raise ValueError(message)
    return event


def waiting_seconds(event: str) -> int | None:
    """After how many seconds in the queue this event happens; None for another event."""
    found = WAITING.fullmatch(event)
    seconds = int(found["seconds"]) if found else None
    return seconds if seconds and seconds <= MOST_WAITING_SECONDS else None


class Notify(Wire):
    """An address that is told of a run, by a signed POST for each of these events."""

    url: Annotated[
        str, StringConstraints(min_length=1, max_length=2000), AfterValidator(_an_address)
    ] = Field(
        examples=["https://hooks.example.com/trainings"],
        description="On a host of `TRAINYARD_NOTIFY_HOSTS`",
    )
    on: list[Annotated[str, StringConstraints(max_length=50), AfterValidator(_an_event)]] = Field(
        min_length=1,
        max_length=MOST_EVENTS,
        examples=[["failed", "waiting_over:600"]],
        description="`finished`, `failed`, `cancelled`, `promoted`, or `waiting_over:SECONDS`: it has not started so long after the submit",
    )
