"""What each team used in each month, at all services together."""

import asyncio
from collections import defaultdict
from collections.abc import Iterable
from operator import itemgetter

from trainyard.contract import TeamUsage, UsageReport
from trainyard.errors import TrainyardError

from trainyard_console.frame import Page, frame, words
from trainyard_console.tables import Table
from trainyard_console.watch import Watch

COLUMNS = ("Month", "Team", "Runs", "Finished", "Queue", "Slots", "Processors", "GPUs", "Not seen")
SUMMED = ("queue_seconds", "run_seconds", "cpu_seconds", "gpu_seconds")


async def usage_page(page: Page) -> None:
    """A row for each month and team, the newest first."""
    with frame(page, "Usage"):
        watches = page.session.watches.values()
        reports = await asyncio.gather(*map(_asked, watches))
        silent = [each.name for each, report in zip(watches, reports, strict=True) if not report]
        if silent:
            words("p", f"Without {' and '.join(silent)}.").classes("bad")
        rows = summed(each for each in reports if each)
        if not rows:
            words("p", "No run has ended yet.")
            return
        words("p", "By runs that have ended. Queue, slots, processors and GPUs are in hours.")
        Table("usage", COLUMNS).show(rows)


async def _asked(watch: Watch) -> UsageReport | None:
    """None of a service that does not answer, or refuses; the head of the page says why."""
    try:
        return await watch.client.usage()
    except TrainyardError:
        return None


def summed(reports: Iterable[UsageReport]) -> list[tuple[str, ...]]:
    """Of all services, as text: hours for seconds."""
    found: dict[tuple[str, str], list[TeamUsage]] = defaultdict(list)
    for report in reports:
        for each in report.usage:
            found[each.month, each.team or ""].append(each)
    newest_first = sorted(sorted(found, key=itemgetter(1)), key=itemgetter(0), reverse=True)
    return [(*key, *_cells(found[key])) for key in newest_first]


def _cells(parts: list[TeamUsage]) -> tuple[str, ...]:
    hours = (sum(getattr(each, name) for each in parts) / 3600 for name in SUMMED)
    not_seen = sum(each.not_seen for each in parts)
    return (
        f"{sum(each.runs for each in parts):,}",
        f"{sum(each.finished for each in parts):,}",
        *(f"{each:,.2f}" for each in hours),
        f"{not_seen:,}" if not_seen else "",
    )
