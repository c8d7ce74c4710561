"""Pages of runs, newest first, that neither repeat nor skip one: MLflow counts from the newest, and others are submitted meanwhile."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from mlflow.entities import Run
from mlflow.store.entities.paged_list import PagedList


@dataclass(frozen=True)
class PageEnd:
    """Where a page ended: the next one has what began no later, but for what was shown. `PageEnd()` is before the first page."""

    start_time: int | None = None
    """Of the last run, in milliseconds since 1970."""
    shown: tuple[str, ...] = ()
    """The runs of that very millisecond that were on a page."""

    def __str__(self) -> str:
        return ":".join((str(self.start_time), *self.shown))

    @classmethod
    def read(cls, text: str) -> "PageEnd":
        """From what `str` makes of it."""
        start_time, *shown = text.split(":")
        return cls(int(start_time), tuple(shown))

    def next_page(
        self, search: Callable[..., PagedList[Run]], limit: int
    ) -> tuple[Sequence[Run], "PageEnd | None"]:
        """The page after this, by what searches for a condition with a `limit`, and its end; None where it is the last."""
        condition = "" if self.start_time is None else f"attributes.start_time <= {self.start_time}"
        found = search(condition, limit=limit + len(self.shown))
        unseen = [each for each in found if each.info.run_id not in self.shown]
        page = unseen[:limit]
        if not page or not (found.token or len(unseen) > limit):
            return page, None
        last = page[-1].info.start_time
        ids = tuple(each.info.run_id for each in page if each.info.start_time == last)
        return page, PageEnd(last, (*(self.shown if last == self.start_time else ()), *ids))
