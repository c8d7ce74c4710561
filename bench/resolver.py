"""What uv's resolver makes of requirements, for the Python of the images; nothing is installed."""

import os
import re
import subprocess
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
UV = ROOT / ".venvs/uv/bin/uv"
PLATFORM = ("--python-version", "3.11", "--python-platform", "x86_64-manylinux_2_28")


@dataclass(frozen=True)
class Resolution:
    """The versions by their package, or, where there are none, the resolver's own words."""

    pins: dict[str, str]
    words: str


def resolve(requirements: Sequence[str]) -> Resolution:
    """The newest that go together; none, with the reason, where none do."""
    done = _compile("-", stdin="\n".join(requirements))
    return Resolution(
        pins_in(done.stdout), "\n".join(line.rstrip() for line in done.stderr.strip().splitlines())
    )


def lock(source: Path, output: Path, *options: str) -> None:
    """Lock with hashes; what `output` says already stays where it can."""
    done = _compile(
        str(source),
        "--generate-hashes",
        "--no-emit-package=trainyard",
        f"--output-file={output}",
        *options,
    )
    if done.returncode:
        raise RuntimeError(done.stderr)


def pins_in(text: str) -> dict[str, str]:
    """The versions that a lock names, by their package."""
    return dict(
        re.findall(r"^([a-z0-9][a-z0-9._-]*)(?:\[[^]]*\])?==([^\s;\\]+)", text, re.MULTILINE)
    )


def _compile(*arguments: str, stdin: str = "") -> subprocess.CompletedProcess[str]:
    # Local wheels must not leak into what is resolved, as in scripts/lock.sh.
    environment = {key: value for key, value in os.environ.items() if key != "UV_FIND_LINKS"}
    command: list[str | Path] = [
        UV,
        "pip",
        "compile",
        "--quiet",
        "--no-header",
        "--no-annotate",
        *PLATFORM,
        *arguments,
    ]
    return subprocess.run(
        command, input=stdin, capture_output=True, text=True, check=False, env=environment
    )
