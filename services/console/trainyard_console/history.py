"""The runs of all services, newest first, by pages: each service is asked page by page, as far as it is needed."""

import asyncio
from collections.abc import Mapping

from trainyard.client import AsyncTrainyardClient
from trainyard.contract import Run, RunStatus

RUNS_A_PAGE = 50
Listed = tuple[str, Run]


class Source:
    """The runs of one service that were fetched and not shown yet."""

    def __init__(
        self, service: str, client: AsyncTrainyardClient, status: RunStatus | None
    ) -> None:
        self.service = service
        self.runs: list[Run] = []
        self._client = client
        self._status = status
        self._cursor: str | None = None
        self._is_over = False

    async def fill(self) -> None:
        """Have a run at hand, if there is one. Raises `TrainyardError`."""
        while not (self.runs or self._is_over):
            page = await self._client.list(
                status=self._status, limit=RUNS_A_PAGE, cursor=self._cursor
            )
            self.runs, self._cursor = list(page.runs), page.cursor
            self._is_over = page.cursor is None


class History:
    """Pages of runs, in order of their submits. A service that does not answer is left out from there on."""

    def __init__(
        self, clients: Mapping[str, AsyncTrainyardClient], status: RunStatus | None = None
    ) -> None:
        self._sources = [Source(name, client, status) for name, client in clients.items()]
        self._pages: list[list[Listed]] = []
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
        more = any(source.runs for source in self._sources)
        return self.place + 1 < len(self._pages) or more

    async def older(self) -> None:
        """Go to the next page."""
        if self.place + 1 == len(self._pages):
            self._pages.append([])
            await self._fetch(self._pages[-1])
        self.place += 1

    def newer(self) -> None:
        """Go back a page."""
        self.place = max(0, self.place - 1)

    async def _fetch(self, page: list[Listed]) -> None:
        await self._fill()
        while len(page) < RUNS_A_PAGE and (heads := [each for each in self._sources if each.runs]):
            newest = max(heads, key=lambda each: each.runs[0].submitted_at)
            page.append((newest.service, newest.runs.pop(0)))
            if not newest.runs:
                await self._fill()

    async def _fill(self) -> None:
        filled = await asyncio.gather(
            *(each.fill() for each in self._sources), return_exceptions=True
        )
        for source, error in zip(tuple(self._sources), filled, strict=True):
            if isinstance(error, BaseException):
                self._sources.remove(source)
                self.silent.append(source.service)
