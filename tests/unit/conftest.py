"""Fixtures of the tests that start no program."""

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
import structlog

if TYPE_CHECKING:
    from lives import World


@pytest.fixture(autouse=True, scope="module")
def _a_work_directory_for_all(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """Applications over a supervisor in memory write their audit somewhere, and not beside the tests."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("TRAINYARD_WORK_DIR", str(tmp_path_factory.mktemp("work")))
        yield


@pytest.fixture
def world(tmp_path: Path) -> Iterator["World"]:
    """A work directory, a machine and an MLflow, for service after service."""
    from lives import World

    with structlog.testing.capture_logs():
        world = World(tmp_path)
        yield world
        world.close()
