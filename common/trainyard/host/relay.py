"""What a rank on this host gives to all others, and is told, on its way to the service and back; see `protocol.Meeting`."""

from collections.abc import Callable
from contextlib import suppress

from trainyard.launcher.messages import Gather, Gathered


class Relay:
    """All of it is kept: a later service asks for it again, and so does a rank whose line broke. Used on the event loop alone."""

    def __init__(self, on_given: Callable[[], None]) -> None:
        self._on_given = on_given
        self._given: dict[str, Gather] = {}
        self._answers: dict[str, Gathered] = {}
        self._say: Callable[[Gathered], None] = lambda _: None

    def seat(self, rank: int, say: Callable[[Gathered], None]) -> None:  # noqa: ARG002
        """Where the one rank that it is for hears the answers."""
        self._say = say

    def take(self, rank: int, given: Gather) -> None:  # noqa: ARG002
        """The rank gives its text, or asks again."""
        answer = self._answers.get(given.key)
        if answer:
            self.tell(answer)
        elif given.key not in self._given:
            self._given[given.key] = given
            self._on_given()

    def tell(self, answer: Gathered) -> None:
        """Tell the rank what all have given."""
        self._answers[answer.key] = answer
        with suppress(RuntimeError):  # its line is being closed
            self._say(answer)

    def beyond(self, count: int) -> tuple[Gather, ...]:
        """What the rank gave after the first so many."""
        return tuple(self._given.values())[count:]
