"""A walk through a folder that ends: after so many entries it gives up, whatever lies below."""

import os
from collections.abc import Iterator
from itertools import islice
from pathlib import Path

MOST_ENTRIES = 100_000


class TooManyEntries(Exception):
    """The folder holds more files and folders than a walk looks at."""


def walk(
    root: Path, *, skip_unreadable: bool = False
) -> Iterator[tuple[Path, list[str], list[str]]]:
    """As `os.walk`: each folder with the sorted names of its folders and files; take folders out to pass them by.

    Links to folders are passed by, as are names that are not UTF-8, which no request can spell. Raises
    `TooManyEntries` after `MOST_ENTRIES` files and folders, and OSError for a folder that cannot be listed
    unless `skip_unreadable`.
    """
    left = MOST_ENTRIES
    waiting = [root]
    while waiting:
        folder = waiting.pop()
        try:
            with os.scandir(folder) as entries:
                found = list(islice(entries, left + 1))
        except OSError:
            if skip_unreadable:
                continue
            raise
        left -= len(found)
        if left < 0:
            raise TooManyEntries
        named = [each for each in found if is_utf8(each.name)]
        folders = sorted(each.name for each in named if each.is_dir(follow_symlinks=False))
        files = sorted(each.name for each in named if each.is_file())
        yield folder, folders, files
        waiting.extend(folder / name for name in reversed(folders))


def is_utf8(name: str) -> bool:
    """Whether a file's name is text; Python keeps other bytes in it as lone surrogates."""
    try:
        name.encode()
    except UnicodeEncodeError:
        return False
    return True
