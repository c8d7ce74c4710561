"""The service's own log: one JSON object a line, or coloured text where a person watches a terminal."""

import logging
import sys
from typing import Any

import structlog
from structlog.typing import EventDict, Processor


def configure(*, level: int = logging.INFO) -> None:
    """Send structlog's and every other library's lines to stderr in one form. Call it once, at start."""
    shared: list[Processor] = [
        structlog.contextvars.merge_contextvars,
        structlog.stdlib.add_log_level,
        structlog.stdlib.add_logger_name,
        structlog.processors.TimeStamper(fmt="iso", utc=True),
        structlog.stdlib.ExtraAdder(),
    ]
    structlog.configure(
        processors=[*shared[:-1], structlog.stdlib.ProcessorFormatter.wrap_for_formatter],
        logger_factory=structlog.stdlib.LoggerFactory(),
        cache_logger_on_first_use=True,
    )
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(
        structlog.stdlib.ProcessorFormatter(foreign_pre_chain=shared, processors=_rendering())
    )
    root = logging.getLogger()
    root.handlers = [handler]
    root.setLevel(level)
    logging.getLogger("httpx").setLevel(logging.WARNING)  # a line a request is no news


def _rendering() -> list[Processor]:
    clean = [structlog.stdlib.ProcessorFormatter.remove_processors_meta, _without_colours]
    if sys.stderr.isatty():
        return [*clean, structlog.dev.ConsoleRenderer()]
    return [*clean, structlog.processors.format_exc_info, structlog.processors.JSONRenderer()]


def _without_colours(_: Any, __: str, event: EventDict) -> EventDict:
    """Drop the second, coloured copy of the message that Uvicorn adds to each line."""
    event.pop("color_message", None)
    return event
