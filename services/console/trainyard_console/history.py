"""The runs of all services, newest first, by pages: each service is asked page by page, as far as it is needed."""

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass

from trainyard.client import AsyncTrainyardClient
from trainyard.contract import Run, RunStatus

RUNS_A_PAGE = 50
LEAST_ASKED = 10
"""At once: a search costs MLflow as much as some ten runs in its answer."""
Listed = tuple[str, Run]


@dataclass(frozen=True)
class Wanted:
    """Which runs are listed: those of all that is said here."""

    status: RunStatus | None = None
    model: str | None = None
    experiment: str | None = None


ALL = Wanted()


class Source:
    """The runs of one service that were fetched and not shown yet."""

    def __init__(self, service: str, client: AsyncTrainyardClient, wanted: Wanted) -> None:
        self.service = service
        self.runs: list[Run] = []
        self._client = client
        self._wanted = wanted
        self._cursor: str | None = None
        self._is_over = False

    @property
    def has_more(self) -> bool:
        """Whether there is a run that was not shown yet."""
        return bool(self.runs) or not self._is_over

    async def fill(self, count: int) -> None:
        """Have a run at hand, if there is one; so many are asked for. Raises `TrainyardError`."""
        while not (self.runs or self._is_over):
            page = await self._client.list(
                status=self._wanted.status,
                model=self._wanted.model,
                experiment=self._wanted.experiment,
                limit=count,
                cursor=self._cursor,
            )
            self.runs, self._cursor = list(page.runs), page.cursor
            self._is_over = page.cursor is None


class History:
    """Pages of runs, in order of their submits. A service that does not answer is left out from there on."""

    def __init__(self, clients: Mapping[str, AsyncTrainyardClient], wanted: Wanted = ALL) -> None:
        self._sources = [Source(name, client, wanted) for name, client in clients.items()]
        self._pages: list[list[Listed]] = []
        self._ahead: asyncio.Task[list[Listed]] | None = None
        self._turn = asyncio.Lock()
        self.silent: list[str] = []
        """Services that did not answer."""
        self.place = -1

    @property
    def page(self) -> list[Listed]:
        """The page that is shown."""
        return self._pages[self.place] if self._pages else []

    @property
    def has_older(self) -> bool:
        """Whether there is a page after this one."""
        return self.place + 1 < len(self._pages) or self._has_more

    @property
    def _has_more(self) -> bool:
        """Whether there is a page that was not shown yet."""
        return self._ahead is not None or any(source.has_more for source in self._sources)

    async def older(self) -> None:
        """Go to the next page, if there is one; two calls at once go two pages."""
        async with self._turn:
            if self._pages and not self.has_older:
                return
            if self.place + 1 == len(self._pages):
                ahead, self._ahead = self._ahead, None
                self._pages.append(await (ahead or self._fetched()))
            self.place += 1

    def look_ahead(self) -> None:
        """Fetch the page that was not shown yet while somebody reads: MLflow takes a while to find one among many runs."""
        if self._ahead is None and self._has_more:
            self._ahead = asyncio.create_task(self._fetched())

    def newer(self) -> None:
        """Go back a page."""
        self.place = max(0, self.place - 1)

    async def _fetched(self) -> list[Listed]:
        page: list[Listed] = []
        await self._fill(-(-RUNS_A_PAGE // max(1, len(self._sources))))
        while len(page) < RUNS_A_PAGE and (heads := [each for each in self._sources if each.runs]):
            newest = max(heads, key=lambda each: each.runs[0].submitted_at)
            page.append((newest.service, newest.runs.pop(0)))
            if not newest.runs and len(page) < RUNS_A_PAGE:
                await self._fill(max(LEAST_ASKED, RUNS_A_PAGE - len(page)))
        return page

    async def _fill(self, count: int) -> None:
        filled = await asyncio.gather(
            *(each.fill(count) for each in self._sources), return_exceptions=True
        )
        for source, error in zip(tuple(self._sources), filled, strict=True):
            if isinstance(error, BaseException):
                self._sources.remove(source)
                self.silent.append(source.service)
