"""A process with more open files than `select` has numbers for."""

import os
import resource
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

import pytest

MOST_OF_SELECT = 1024
"""select(2) takes no number of a file from here on."""


@contextmanager
def many_open_files() -> Iterator[None]:
    """As in a service that many follow: each connection is a file."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = MOST_OF_SELECT + 200
    if hard != resource.RLIM_INFINITY and hard < wanted:
        pytest.skip(f"at most {hard} files may be open here")
    resource.setrlimit(resource.RLIMIT_NOFILE, (max(soft, wanted), hard))
    try:
        with ExitStack() as files:
            while files.enter_context(Path(os.devnull).open()).fileno() < MOST_OF_SELECT:
                pass
            yield
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
