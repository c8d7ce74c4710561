"""How many calls that change something one token may make: a bound for what runs wild, not a schedule."""

from starlette.types import ASGIApp, Receive, Scope, Send

from trainyard.api.audit import READING
from trainyard.api.problems import answer
from trainyard.api.slowing import Slowing
from trainyard.errors import TooManyCalls


class Pace:
    """Answers with 429 what comes faster than `a_minute`; as many may come at once.

    There is a line for each name that is known, so wrong tokens make none. Calls without a token do not count: those
    between services, and of a service that asks for none, which listens on loopback alone.
    """

    def __init__(self, app: ASGIApp, a_minute: int) -> None:
        self.app = app
        self._a_minute = a_minute
        self._lines: dict[str, Slowing] = {}

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass the call on, or refuse it."""
        caller = scope.get("state", {}).get("caller")
        changes = scope["type"] == "http" and scope["method"] not in READING
        if caller is not None and changes and self._line(caller.name).turn() is None:
            refusal = TooManyCalls(f"more than {self._a_minute} calls a minute change something")
            await answer(refusal)(scope, receive, send)
            return
        await self.app(scope, receive, send)

    def _line(self, name: str) -> Slowing:
        if name not in self._lines:
            self._lines[name] = Slowing(
                burst=self._a_minute, a_second=self._a_minute / 60, longest_seconds=0.0
            )
        return self._lines[name]
