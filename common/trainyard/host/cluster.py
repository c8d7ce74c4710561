"""Nodes of a Ray cluster, started by Ray's own command: one that a host joins with, and one that a service's bridge needs.

Nothing is reported to anybody, there is no dashboard, and who connects needs the cluster's token.
"""

import json
import os
import signal
import socket
import subprocess
import sys
from collections.abc import Mapping, Sequence
from contextlib import suppress
from typing import Self

from trainyard.errors import ServiceError
from trainyard.launcher.ray_environment import RAY_ENVIRONMENT
from trainyard.with_parent import end_with_parent

NAMESPACE = "trainyard"
OBJECT_STORE_BYTES = 80_000_000
"""About the least that Ray takes: nothing large goes through its store."""
STOP_SECONDS = 10.0


def resource_of(instance: str) -> str:
    """The resource that a node has which was joined under the service's name."""
    return f"trainyard:{instance}"


def own_address(head: str, named: str) -> str:
    """This host's address as the cluster's head sees it, or as it is named.

    Raises `ServiceError` where there is no way to the head, which is host:port.
    """
    if named:
        return named
    host, _, port = head.rpartition(":")
    try:
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
            probe.connect((host, int(port)))  # sends nothing: it asks which way it would go
            return str(probe.getsockname()[0])
    except (OSError, ValueError) as error:
        raise ServiceError(
            f"there is no way to the cluster at RAY_ADDRESS {head!r} ({error}): it is host:port of the"
            " head; TRAINYARD_NODE_ADDRESS says which address this host has there"
        ) from error


def joining(head: str, address: str, resources: Mapping[str, int], cpus: int) -> list[str]:
    """Ray's command that makes a node, and stays with it."""
    return [
        *(sys.executable, "-m", "ray.scripts.scripts", "start", "--block"),
        f"--address={head}",
        f"--node-ip-address={address}",
        f"--num-cpus={cpus}",
        f"--resources={json.dumps(resources)}",
        f"--object-store-memory={OBJECT_STORE_BYTES}",
        "--include-log-monitor=false",
        "--disable-usage-stats",
    ]


def heading(address: str, port: int, extra: Sequence[str] = ()) -> list[str]:
    """Ray's command that makes the head of a cluster, and stays with it. Its monitor is for who has Ray start hosts."""
    scales = any(word.startswith("--autoscaling-config") for word in extra)
    return [
        *(sys.executable, "-m", "ray.scripts.scripts", "start", "--block", "--head"),
        f"--node-ip-address={address}",
        f"--port={port}",
        "--num-cpus=0",
        f"--object-store-memory={OBJECT_STORE_BYTES}",
        "--include-dashboard=false",
        "--include-log-monitor=false",
        "--disable-usage-stats",
        *([] if scales else ["--no-monitor"]),
        *extra,
    ]


def environment() -> dict[str, str]:
    """Of a process of Ray's."""
    return RAY_ENVIRONMENT | dict(os.environ)


def become(command: Sequence[str]) -> None:
    """Be this process of Ray's from now on."""
    os.execve(command[0], list(command), environment())  # noqa: S606 - our own interpreter


def _ends_with_its_parent() -> None:
    """A bridge that is killed leaves no node behind."""
    end_with_parent(signal.SIGTERM)


class Raylet:
    """A node that runs nothing: a driver needs one on its own host."""

    def __init__(self, process: subprocess.Popen[bytes]) -> None:
        self._process = process

    @classmethod
    def start(cls, head: str, address: str) -> Self:
        """Start it."""
        process = subprocess.Popen(  # noqa: S603 - our own interpreter
            joining(head, address, {}, cpus=0),
            env=environment() | {"PYTHONUNBUFFERED": "1"},
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            start_new_session=True,
            preexec_fn=_ends_with_its_parent,  # noqa: PLW1509 - the bridge has one thread yet
        )
        return cls(process)

    def wait(self) -> None:
        """Wait until it is part of the cluster. Raises `ServiceError` with what Ray says where it will not be."""
        assert self._process.stdout is not None
        said = b""
        for line in self._process.stdout:
            said += line
            if b"runtime started" in line.lower():
                return
        raise ServiceError(f"Ray's node did not start: {said.decode(errors='replace')[-2000:]}")

    def stop(self) -> None:
        """End it, and wait until it is gone."""
        self._process.terminate()
        with suppress(subprocess.TimeoutExpired):
            self._process.wait(STOP_SECONDS)
        self._process.kill()
