"""Programs of other environments, which answer a test in one line of JSON, their last."""

import json
import subprocess
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any


def answer_of(
    command: Sequence[str | Path], *, timeout: float, env: Mapping[str, str] | None = None
) -> dict[str, Any]:
    """What the program answers; fails the test, with what it said, where that failed."""
    done = subprocess.run(
        command, env=env, capture_output=True, text=True, timeout=timeout, check=False
    )
    assert done.returncode == 0, done.stderr
    return dict(json.loads(done.stdout.splitlines()[-1]))
