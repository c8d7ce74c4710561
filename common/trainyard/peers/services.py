"""Which services there are, and how they know each other."""

import hashlib
import hmac
from dataclasses import dataclass, field

DECISIONS, PREDICTIONS = "/decisions", "/predictions"
PATHS = frozenset({DECISIONS, PREDICTIONS})
"""What services ask each other."""


@dataclass(frozen=True)
class Peers:
    """The services of `TRAINYARD_SERVICES`, their addresses by name, in the order in which they are named there."""

    own: str
    """The name of this service."""
    urls: dict[str, str] = field(default_factory=dict)
    secret: str | None = None
    """What `peer_secret` makes of the token that all of them have."""

    @property
    def decider(self) -> str | None:
        """The service that decides for all: the first one; None where this service does, or knows no others."""
        first = next(iter(self.urls), self.own)
        return None if first == self.own else first

    def others(self, first: str | None = None) -> list[str]:
        """The other services' names, `first` before the rest."""
        names = [name for name in self.urls if name != self.own]
        return sorted(names, key=lambda name: name != first)


def peer_secret(token: str | None) -> str | None:
    """What opens the calls of `PATHS` and no others, so that a run's process can be given it, and need not see the token."""
    if token is None:
        return None
    return hmac.new(token.encode(), b"trainyard between services", hashlib.sha256).hexdigest()
