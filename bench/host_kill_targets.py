"""What `make bench-host-kills` takes away: processes on three hosts and on the service's, and the lines between them.

What ended is started again, as a restart policy of each host would; a line that was cut passes packets again later.
"""

import os
import random
import signal
import sys
import time
from collections import Counter
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

import httpx
import psutil

HERE = Path(__file__).resolve().parent
sys.path.insert(0, str(HERE.parent / "tests"))

from hosts_cluster import Lab  # noqa: E402 - tests/ is on the path only now

SHARES = {"rank": 17, "ray": 8, "service": 8, "link": 7, "line": 6, "head": 4}
"""How many of 50 are of this kind."""
CUT_SECONDS = (2.0, 25.0)
PAUSE_SECONDS = 0.2


def kinds(count: int, chance: random.Random) -> list[str]:
    """So many kinds, in an order of chance, in these shares as nearly as it goes; of few there is one of each at least."""
    whole = [kind for kind, share in SHARES.items() for _ in range(share)]
    rest = chance.sample(whole * (count // len(whole) + 1), max(0, count - len(SHARES)))
    chosen = [*SHARES, *rest][:count]
    chance.shuffle(chosen)
    return chosen


class HostTargets:
    """The service, its head, three hosts, and the wires between them."""

    def __init__(self, lab: Lab, chance: random.Random) -> None:
        self._lab, self._chance = lab, chance
        self.done: Counter[str] = Counter()
        self.ended_by_themselves: Counter[str] = Counter()
        self._mend: list[tuple[float, Callable[[], None]]] = []
        self._expected: set[str] = set()

    def take_away(self, kind: str) -> bool:
        """Kill or cut one of this kind. False where there was none."""
        return {
            "rank": self._kill_a_rank,
            "ray": self._kill_ray,
            "service": self._kill_the_service,
            "head": self._kill_the_head,
            "link": self._cut_a_link,
            "line": self._cut_a_line,
        }[kind]()

    def keep_for(self, seconds: float) -> None:
        """Start again what ended, and mend what is due, for so long."""
        until = time.monotonic() + seconds
        while True:
            self.keep()
            if time.monotonic() >= until:
                return
            time.sleep(PAUSE_SECONDS)

    def keep(self) -> None:
        """Start again what ended, and mend what is due."""
        for due, mend in list(self._mend):
            if time.monotonic() > due:
                mend()
                self._mend.remove((due, mend))
        if not self._has_a_head:
            self._again("head")
            self._lab.ground.lead()
        for name, joining in list(self._lab.joining.items()):
            if joining.poll() is not None:
                self._again(name)
                self._lab.join(name)
        service = self._lab.yard.service
        if not service.running:
            self._again("service")
            service.start()

    @property
    def whole(self) -> bool:
        """Whether nothing is cut, and the service has the slots of all hosts."""
        if self._mend:
            return False
        with suppress(httpx.HTTPError, KeyError):
            return self._lab.slots == 2 * len(self._lab.hosts)
        return False

    @property
    def _has_a_head(self) -> bool:
        head = self._lab.ground.head
        return head is not None and head.poll() is None

    def _again(self, what: str) -> None:
        self.ended_by_themselves[what] += what not in self._expected
        self._expected.discard(what)

    def _kill_a_rank(self) -> bool:
        """Any process of a run, with what it has written so far."""
        there = self._lab.pids()
        if there:
            _kill(self._chance.choice(there))
        return bool(there)

    def _kill_ray(self) -> bool:
        """The daemon that makes a host a part of the cluster."""
        name = self._chance.choice([*self._lab.hosts])
        self._expected.add(name)
        return self._lab.kill_ray(name)

    def _kill_the_head(self) -> bool:
        """The head's whole session, as its container would end."""
        head = self._lab.ground.head
        if head is None or not self._has_a_head:
            return False
        self._expected.add("head")
        with suppress(ProcessLookupError):
            for pid in [*self._lab.in_front("gcs_server"), *_below(head.pid)]:
                _kill(pid)
            head.kill()
        head.wait()
        return True

    def _kill_the_service(self) -> bool:
        self._expected.add("service")
        self._lab.yard.service.kill()
        return True

    def _cut_a_link(self) -> bool:
        """Between two hosts that both reach the service."""
        one, other = self._chance.sample([*self._lab.hosts.values()], 2)
        one.cut_from(other)
        self._later(lambda: one.mend_to(other))
        return True

    def _cut_a_line(self) -> bool:
        """Between a host and all others."""
        name = self._chance.choice([*self._lab.hosts])
        host = self._lab.hosts[name]
        host.cut()
        self._expected.add(name)  # Ray ends its node once it is back, where that took long
        self._later(host.mend)
        return True

    def _later(self, mend: Callable[[], None]) -> None:
        self._mend.append((time.monotonic() + self._chance.uniform(*CUT_SECONDS), mend))


def _below(pid: int) -> list[int]:
    """The processes that this one has started, and those have."""
    with suppress(psutil.Error):
        return [each.pid for each in psutil.Process(pid).children(recursive=True)]
    return []


def _kill(pid: int) -> None:
    with suppress(ProcessLookupError):
        os.kill(pid, signal.SIGKILL)
