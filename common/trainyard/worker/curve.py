"""What is kept of a metric that is measured again and again: enough to draw it, however often that is."""

MOST_POINTS = 2000


class Curve:
    """The points (step, value) of a metric: the first, the last, and between them some at even distances."""

    def __init__(self) -> None:
        self._kept: list[tuple[int, float]] = []
        self._last: tuple[int, float] | None = None
        self._count = 0
        self._every = 1

    def add(self, step: int, value: float) -> None:
        """Take the newest point."""
        self._last = step, value
        if self._count % self._every == 0:
            self._kept.append(self._last)
        if len(self._kept) == MOST_POINTS:
            del self._kept[1::2]
            self._every *= 2
        self._count += 1

    @property
    def points(self) -> list[tuple[int, float]]:
        """At most `MOST_POINTS`, in order; the last one is the newest."""
        if self._last is None or self._kept[-1] == self._last:
            return list(self._kept)
        return [*self._kept, self._last]
