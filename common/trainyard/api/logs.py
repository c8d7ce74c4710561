"""Reading a training.log: whole, its last lines, or as it grows."""

import asyncio
import os
from collections.abc import AsyncIterator
from pathlib import Path
from typing import BinaryIO

from trainyard.api.dependencies import Context
from trainyard.api.prefer import LONGEST_WAIT_SECONDS
from trainyard.contract import Run

BLOCK_BYTES = 65_536
LOOK_AGAIN_SECONDS = 0.2


def last_lines(text: str, count: int | None) -> str:
    """The last `count` lines, or all of them for None."""
    return text if count is None else "".join(text.splitlines(keepends=True)[-count:])


async def read(path: Path | None, tail: int | None) -> AsyncIterator[bytes]:
    """The log as it is now; nothing where there is none yet."""
    if path is None:
        return
    with await asyncio.to_thread(_open, path, tail) as file:
        while block := await asyncio.to_thread(file.read, BLOCK_BYTES):
            yield block


async def follow(context: Context, run_id: str, tail: int | None) -> AsyncIterator[bytes]:
    """The log from its start or tail on, until the run has ended or the service stops."""
    over = asyncio.ensure_future(context.hold(_ended(context, run_id)))
    file: BinaryIO | None = None
    try:
        while True:
            last_look = over.done()
            path = None if file else context.supervisor.log_path(run_id)
            if path is not None:
                file = await asyncio.to_thread(_open, path, tail)
            block = await asyncio.to_thread(file.read, BLOCK_BYTES) if file else b""
            if block:
                yield block
            elif last_look:
                await (
                    over
                )  # raises what kept the end from being seen, so that the answer breaks off
                return
            else:
                await asyncio.wait({over}, timeout=LOOK_AGAIN_SECONDS)
    finally:
        over.cancel()
        if file:
            file.close()


async def _ended(context: Context, run_id: str) -> Run:
    while True:
        run = await context.supervisor.wait(run_id, LONGEST_WAIT_SECONDS, None)
        if run.status.ended:
            return run


def _open(path: Path, tail: int | None) -> BinaryIO:
    """The log, open at the first byte to send."""
    file = path.open("rb")
    if tail is not None:
        file.seek(offset_of_last_lines(file, tail))
    return file


def offset_of_last_lines(file: BinaryIO, count: int, *, block_bytes: int = BLOCK_BYTES) -> int:
    """Where the last `count` lines start, found from the end without reading what is before them."""
    position = file.seek(0, os.SEEK_END)
    wanted = count + _ends_with_a_line_break(file, position)
    while position > 0:
        start = max(0, position - block_bytes)
        file.seek(start)
        block = file.read(position - start)
        breaks = block.count(b"\n")
        if breaks >= wanted:
            at = len(block)
            for _ in range(wanted):
                at = block.rindex(b"\n", 0, at)
            return start + at + 1
        wanted -= breaks
        position = start
    return 0


def _ends_with_a_line_break(file: BinaryIO, size: int) -> bool:
    file.seek(max(0, size - 1))
    return file.read(1) == b"\n"
