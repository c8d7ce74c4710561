"""The processes that train one run together, as each of them sees it."""

import hashlib
import socket
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, TypeVar

from trainyard.errors import RanksDiffer

Rows = TypeVar("Rows")
Exchange = Callable[[str, str], Sequence[str]]


def _alone(_: str, value: str) -> Sequence[str]:
    return [value]


@dataclass(frozen=True)
class World:
    """This process's rank among those that train one run. `World()` is that of a process which trains alone.

    All ranks run the same code over the same data and call the same methods in the same order. Rank 0 reports, saves
    checkpoints, and is what the run leaves; what the others report goes nowhere.
    """

    rank: int = 0
    size: int = 1
    host: str = "127.0.0.1"
    """The address at which the other ranks reach this one."""
    timeout_seconds: float = 120.0
    """How long any collective of the framework may wait for the other ranks: to be handed to each of them."""
    exchange: Exchange = _alone
    """What a text is called and the text, to those of all ranks in their order; see `gather`."""

    @property
    def alone(self) -> bool:
        """Whether there is no other."""
        return self.size == 1

    @property
    def leads(self) -> bool:
        """Whether this is rank 0."""
        return self.rank == 0

    def gather(self, what: str, value: str) -> Sequence[str]:
        """Give a short text, and get those of all ranks in their order. Waits until all have given theirs.

        Raises `RankMissing` after `timeout_seconds`.
        """
        return self.exchange(what, value)

    def agree(self, what: str, *values: Any) -> str:
        """Make sure that all ranks have the same here; its digest, or nothing from one that is alone. Raises `RanksDiffer`.

        Bytes count as they are, and everything else as Python shows it.
        """
        if self.alone:
            return ""
        digest = hashlib.sha256()
        for value in values:
            digest.update(value if isinstance(value, bytes | bytearray) else repr(value).encode())
        mine = digest.hexdigest()
        found = self.gather(what, mine)
        others = [str(rank) for rank, each in enumerate(found) if each != found[0]]
        if others:
            raise RanksDiffer(
                f"{what} is another one in rank {', '.join(others)} than in rank 0, of {self.size}"
            )
        return mine

    def addresses(self) -> list[str]:
        """`host:port` of each rank, at which nobody listens yet, for a framework that is to be told them."""
        with socket.socket() as probe:
            probe.bind((self.host, 0))
            port = probe.getsockname()[1]
        return list(self.gather("the addresses", f"{self.host}:{port}"))

    def rows(self, rows: Rows) -> Rows:
        """This rank's share of the rows of a frame or an array: each `size`-th, from `rank` on; all where it is alone."""
        if self.alone:
            return rows
        table: Any = rows
        share: Rows = getattr(table, "iloc", table)[self.rank :: self.size]
        return share
