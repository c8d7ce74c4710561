"""Hosts for the tests of the engine: network namespaces on a bridge of this machine, each with processes of its own."""

import os
import shutil
import signal
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from servers import Server

SUBNET = "10.77.{net}"
BRIDGE = "bridge"
NOBODYS_CARD = "02:00:00:00:00:01"


def ip(*arguments: str) -> None:
    """Run `ip`, and say what it says where it fails."""
    done = subprocess.run(["ip", *arguments], capture_output=True, text=True, check=False)
    if done.returncode:
        raise RuntimeError(f"ip {' '.join(arguments)}: {done.stderr}")


def why_not() -> str:
    """Why there can be no namespaces here; empty where there can."""
    if shutil.which("ip") is None:
        return "there is no `ip`"
    probe = f"ty{os.getpid() % 100_000}x"
    try:
        ip("netns", "add", probe)
    except RuntimeError as error:
        return str(error)
    ip("netns", "del", probe)
    return ""


@dataclass
class Place:
    """A namespace with an address, and what was started in it."""

    name: str
    address: str
    switch: str
    port: str
    started: list["subprocess.Popen[bytes]"] = field(default_factory=list)

    def command(self, command: list[Any]) -> list[Any]:
        """The command, to be run here."""
        return ["ip", "netns", "exec", self.name, *command]

    def start(
        self, command: list[Any], environment: dict[str, str], log: Path
    ) -> "subprocess.Popen[bytes]":
        """Start it here, the leader of a session of its own."""
        with log.open("ab") as said:
            process = subprocess.Popen(
                self.command(command),
                env=os.environ | environment,
                stdin=subprocess.DEVNULL,
                stdout=said,
                stderr=said,
                start_new_session=True,
            )
        self.started.append(process)
        return process

    def pids(self) -> list[int]:
        """All processes that run here."""
        found = subprocess.run(
            ["ip", "netns", "pids", self.name], capture_output=True, text=True, check=False
        )
        return [int(each) for each in found.stdout.split()]

    def cut(self) -> None:
        """Drop every packet from and to this host from now on. Nothing is refused: they vanish."""
        ip("-n", self.switch, "link", "set", self.port, "nomaster")

    def cut_from(self, other: "Place") -> None:
        """Drop every packet from here to another host: they go to a card that nobody has."""
        lost = ["lladdr", NOBODYS_CARD, "dev", "eth0", "nud", "permanent"]
        ip("-n", self.name, "neigh", "replace", other.address, *lost)

    def mend_to(self, other: "Place") -> None:
        """Let them arrive again."""
        ip("-n", self.name, "neigh", "del", other.address, "dev", "eth0")

    def mend(self) -> None:
        """Let packets pass again."""
        ip("-n", self.switch, "link", "set", self.port, "master", BRIDGE)

    def kill(self) -> None:
        """End everything that runs here."""
        for pid in self.pids():
            try:
                os.kill(pid, signal.SIGKILL)
            except ProcessLookupError:
                continue
        for process in self.started:
            process.wait(30)


@dataclass
class ServerAt(Server):
    """A server on a host of the lab."""

    place: Place | None = None

    @property
    def url(self) -> str:
        assert self.place is not None
        return f"http://{self.place.address}:{self.port}"


@contextmanager
def places(*names: str) -> Iterator[list[Place]]:
    """So many hosts on one switch, which this machine is on too, without any way out.

    The switch is a bridge in a namespace of its own, where no firewall of this machine looks at what passes.
    """
    tag = f"ty{os.getpid() % 100_000}"
    net = SUBNET.format(net=os.getpid() % 250)
    switch, made = f"{tag}s", list[Place]()
    ip("netns", "add", switch)
    try:
        ip("-n", switch, "link", "add", BRIDGE, "type", "bridge")
        ip("-n", switch, "link", "set", BRIDGE, "up")
        _plug(switch, tag, f"{net}.254", None)
        for number, name in enumerate(names, start=1):
            place = f"{tag}{name}"
            ip("netns", "add", place)
            made.append(Place(place, f"{net}.{number}", switch, f"p{number}"))
            _plug(switch, f"p{number}", f"{net}.{number}", place)
        yield made
    finally:
        for each in made:
            each.kill()
            ip("netns", "del", each.name)
        ip("netns", "del", switch)


def _plug(switch: str, port: str, address: str, place: str | None) -> None:
    """A wire from a port of the switch to a host, or to this machine, where its end is named as the port is."""
    end, there = ("eth0", ["-n", place]) if place else (port, [])
    ip(*there, "link", "add", end, "type", "veth", "peer", "name", port, "netns", switch)
    ip("-n", switch, "link", "set", port, "master", BRIDGE, "up")
    ip(*there, "addr", "add", f"{address}/24", "dev", end)
    for device in (end, "lo"):
        ip(*there, "link", "set", device, "up")
