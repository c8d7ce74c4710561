"""Who calls, and what they may do."""

from enum import StrEnum
from typing import Annotated

from pydantic import AfterValidator, StringConstraints

from trainyard.contract.wire import Wire

SERVICE_TOKEN = "trainyard"  # noqa: S105 - a name
"""Whoever has the service's one token is called so: nobody knows who it is."""


class Role(StrEnum):
    """What a token opens; each role may do all that those before it may."""

    READ = "read"
    TRAIN = "train"
    PROMOTE = "promote"
    ADMIN = "admin"

    def includes(self, needed: "Role") -> bool:
        """Whether who has this role may do what `needed` is needed for."""
        roles = list(Role)
        return roles.index(self) >= roles.index(needed)


def _of_a_person(name: str) -> str:
    if name == SERVICE_TOKEN:
        message = f"{name!r} is what the service's one token is called; take another name"
        raise ValueError(message)
    return name


TeamName = Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9][A-Za-z0-9._@-]{0,63}$")]
"""Letters, digits, dots, dashes, underscores and @: it stands in tags, in filters and in sentences as it is."""
PersonName = Annotated[TeamName, AfterValidator(_of_a_person)]


class Caller(Wire):
    """Whose token came with a call."""

    name: str
    team: str | None = None
    role: Role

    @property
    def is_a_person(self) -> bool:
        """Whether the token is somebody's own."""
        return self.name != SERVICE_TOKEN
