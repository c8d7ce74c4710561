"""What the tests of the launcher share: one fork server, which those that kill it leave to be started again.

They are one group to pytest-xdist (`tests/conftest.py`).
"""

import asyncio
from collections.abc import Awaitable, Callable, Iterator
from pathlib import Path
from typing import TypeVar

import pytest
from launcher_lab import CANNOT_SAY, EXITS, HARSH, InLab, Lab, opened, until
from servers import MODELS, START_SECONDS
from trainyard.rundir.folder import run_folders

T = TypeVar("T")


@pytest.fixture(scope="package")
def home(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """Holds the models, the runs and what may be trained on."""
    home = tmp_path_factory.mktemp("launcher")
    (home / "models").mkdir()
    models = {"ticking": MODELS, "harsh": HARSH, "exits": EXITS, "unsaid": CANNOT_SAY}
    for name, text in models.items():
        (home / f"models/{name}.py").write_text(text)
    yield home
    for folder in run_folders(home / "runs"):
        folder.close()


@pytest.fixture(scope="package")
def in_lab(home: Path) -> Iterator[InLab]:
    """Runs a test's coroutine beside a launcher that is warm; one for all of these tests."""
    with asyncio.Runner() as runner:
        lab = runner.run(opened(home))

        def run(test: Callable[[Lab], Awaitable[T]], check_seconds: float = 30.0) -> T:
            async def inside() -> T:
                lab.launcher._check_seconds = check_seconds
                await until(lab.launcher.warm, "the fork server", seconds=START_SECONDS)
                return await test(lab)

            return runner.run(inside())

        yield run
        runner.run(lab.launcher.stop())
