"""Docker as a bench uses it: images and containers under names of its own, each ended by its id. Nothing is pruned."""

import os
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

HEALTHY_SECONDS = 180.0
BASE = os.environ.get("PYTHON_IMAGE", "python:3.11-slim-bookworm")
NAME = f"trainyard-bench-{os.getpid()}"


def docker(*arguments: Any, stdin: str | None = None) -> str:
    """What the command prints. Its complaints are raised."""
    command = ["docker", *map(str, arguments)]
    done = subprocess.run(command, input=stdin, capture_output=True, text=True, check=False)
    if done.returncode:
        raise RuntimeError(f"docker {arguments[0]}: {done.stderr.strip()[-4000:]}")
    return done.stdout.strip()


def build(context: Path, dockerfile: str) -> str:
    """The id of the image built from a Dockerfile in the context."""
    return docker(
        "build",
        "--quiet",
        f"--build-arg=PYTHON_IMAGE={BASE}",
        "--file",
        context / dockerfile,
        context,
    )


def size_mb(image: str) -> float:
    """In millions of bytes, as Docker counts them."""
    return int(docker("image", "inspect", "--format", "{{.Size}}", image)) / 1e6


def python(image: str, script: Path, *arguments: str) -> str:
    """What a script prints in a container of its own, without a network."""
    return docker(
        "run",
        "--rm",
        "--interactive",
        "--network=none",
        "--entrypoint=python",
        image,
        "-",
        *arguments,
        stdin=script.read_text(),
    )


@contextmanager
def network() -> Iterator[None]:
    """A network of the bench's own, called `NAME`; no port is published."""
    made = docker("network", "create", NAME)
    try:
        yield
    finally:
        docker("network", "rm", made)


def start(image: str, name: str, *command: str, **variables: str) -> str:
    """The id of a container in the bench's network, where it goes by its name."""
    given = [f"--env={key}={value}" for key, value in variables.items()]
    return docker(
        "run",
        "--detach",
        "--init",
        f"--network={NAME}",
        f"--network-alias={name}",
        *given,
        image,
        *command,
    )


def wait_until_healthy(container: str) -> None:
    """By the health check of its image, which is what `make rebuild-…` waits for."""
    deadline = time.monotonic() + HEALTHY_SECONDS
    while (
        state := docker(
            "inspect", "--format", "{{.State.Health.Status}} {{.State.Status}}", container
        )
    ) != "healthy running":
        if time.monotonic() > deadline or "exited" in state:
            raise RuntimeError(f"{state}: {docker('logs', '--tail=20', container)}")
        time.sleep(0.5)  # asking costs a process


def remove(container: str) -> None:
    """Stop it as Compose does, and take it away."""
    docker("stop", "--time=60", container)
    docker("rm", container)


def forget(image: str) -> None:
    """Take an image away unless it has a name or somebody uses it; its layers stay in the build cache."""
    with suppress(RuntimeError):
        if docker("image", "inspect", "--format", "{{.RepoTags}}", image) == "[]":
            docker("image", "rm", image)
