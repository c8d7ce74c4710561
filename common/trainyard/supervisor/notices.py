"""Telling addresses of runs, as their requests ask: kept on disk until they have heard it.

A message is one of Standard Webhooks 1.0 (standardwebhooks.com): JSON with `type`, `timestamp` and `data`, under an id
that stays the same however often it is sent, with an HMAC-SHA256 of id, time and body.
"""

import asyncio
import base64
import hmac
import json
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime, timedelta
from functools import partial
from http import HTTPStatus
from pathlib import Path
from urllib.parse import urlsplit

import httpx
import structlog
from tenacity import AsyncRetrying, RetryError, retry_if_result
from tenacity.wait import wait_random_exponential

from trainyard.contract import Notify, Run, RunRequest, RunStatus, waiting_seconds
from trainyard.datasets.sources.http import allowed
from trainyard.errors import Invalid
from trainyard.rundir.folder import RunFolder, run_folders
from trainyard.rundir.records import Notice
from trainyard.supervisor.blocking import Blocking
from trainyard.supervisor.live_run import LiveRun
from trainyard.supervisor.mlflow_status import Spawn

LAST_WORDS_SECONDS = 2.0
FIRST_PAUSE_SECONDS, LONGEST_PAUSE_SECONDS = 1.0, 3600.0
PATIENCE = timedelta(days=3)
ANSWER_SECONDS = 10.0
MOST_AT_ONCE = 8
BY_STATUS = {
    RunStatus.FINISHED: "finished",
    RunStatus.FAILED: "failed",
    RunStatus.KILLED: "cancelled",
}
log = structlog.get_logger()


def check_hosts(rules: Sequence[Notify], hosts: tuple[str, ...]) -> None:
    """Raises `Invalid` for the first address that is not on one of the hosts."""
    for place, rule in enumerate(rules):
        if not _may_be_told(rule.url, hosts):
            host = urlsplit(rule.url).hostname
            known = f"TRAINYARD_NOTIFY_HOSTS has {', '.join(hosts) or 'none'}"
            raise Invalid.field(
                f"/notify/{place}/url", f"the host {host!r} may not be told of runs; {known}"
            )


class Notices:
    """What is to be told, and the telling. Nothing that goes wrong here reaches a run.

    A notice is written into the run's folder before the run's end is told to anybody, and sent until it was taken, was
    no longer wanted (410), or three days have passed. Where a service dies between the two, the next one sends it again
    under the same id.
    """

    def __init__(
        self, key: bytes | None, hosts: tuple[str, ...], blocking: Blocking, spawn: Spawn
    ) -> None:
        self._key = key
        self._hosts = hosts
        self._blocking = blocking
        self._spawn = spawn
        self._http = _http() if key else None
        self._under_way: set[asyncio.Task[None]] = set()

    def watch(self, live: LiveRun) -> None:
        """See how long the run waits, where somebody wants to know."""
        events = {event for rule in live.submission.request.notify for event in rule.on}
        for event in events:
            if seconds := waiting_seconds(event):
                self._spawn(self._when_it_has_waited(live, event, seconds))

    async def ended(self, live: LiveRun, run: Run) -> None:
        """The run is about to be shown as ended, as `run` says."""
        events = [BY_STATUS[run.status]]
        if run.registered and run.registered.promoted:
            events.append("promoted")
        for event in events:
            await self.tell(live.submission.request, live.folder, event, run, after=live)

    async def promoted(self, folder: RunFolder, run: Run) -> None:
        """The run's version has taken the alias because somebody asked for it."""
        submission = await self._blocking.once_it_can(folder.submission)
        if submission is None:
            log.warning("whom to tell of a promotion went with its run's folder", run_id=run.run_id)
            return
        await self.tell(submission.request, folder, "promoted", run)

    async def tell(
        self,
        request: RunRequest,
        folder: RunFolder,
        event: str,
        run: Run,
        after: LiveRun | None = None,
    ) -> None:
        """Keep a notice for each address that wants to know, and send it, unless it was kept before.

        It is sent once `after` is shown as ended, where that is said: who is told may ask at once.
        """
        for place, rule in enumerate(request.notify):
            if event in rule.on:
                notice = _notice(run, event, place, rule.url)
                try:
                    new = await self._blocking.run(partial(folder.keep_notice, notice))
                except OSError:
                    log.exception("a notice cannot be kept", run_id=run.run_id, notice=notice.id)
                    new = True
                if new:
                    task = self._spawn(self._deliver(folder, notice, after))
                    self._under_way.add(task)
                    task.add_done_callback(self._under_way.discard)

    async def take_up(self, runs_dir: Path) -> None:
        """Send what an earlier service could not."""
        for folder, notice in await self._blocking.run(lambda: list(_unsettled(runs_dir))):
            self._spawn(self._deliver(folder, notice))

    async def last_words(self) -> None:
        """Give what is under way a moment: a service that trains one run alone has no next one, which would send it."""
        if self._under_way:
            await asyncio.wait(self._under_way, timeout=LAST_WORDS_SECONDS)

    async def close(self) -> None:
        """Send no more."""
        if self._http is not None:
            await self._http.aclose()

    async def _when_it_has_waited(self, live: LiveRun, event: str, seconds: int) -> None:
        due = live.submission.submitted_at + timedelta(seconds=seconds)
        run = live.run
        while run.started_at is None and not run.status.ended:
            left = (due - datetime.now(UTC)).total_seconds()
            if left <= 0:
                await self.tell(live.submission.request, live.folder, event, run)
                return
            run = await live.wait(left, run.version)

    async def _deliver(
        self, folder: RunFolder, notice: Notice, after: LiveRun | None = None
    ) -> None:
        """Send it until it is settled, and note that it is."""
        while after is not None and not after.run.status.ended:
            await after.wait(LONGEST_PAUSE_SECONDS, None)
        after = None  # it need not be held for as long as nobody answers
        tries = AsyncRetrying(
            retry=retry_if_result(lambda settled: not settled),
            wait=wait_random_exponential(FIRST_PAUSE_SECONDS, LONGEST_PAUSE_SECONDS),
            stop=lambda _: datetime.now(UTC) - notice.at > PATIENCE,
        )
        try:
            await tries(self._sent, notice)
        except RetryError:
            log.warning("a notice is given up after three days", notice=notice.id)
        try:
            await self._blocking.run(partial(folder.settle_notice, notice))
        except OSError:
            log.exception("a notice cannot be noted as sent", notice=notice.id)

    async def _sent(self, notice: Notice) -> bool:
        """Whether it needs no other try: it was taken, or is not wanted any more."""
        if self._key is None or self._http is None:  # gone since the run was accepted
            return False
        if not _may_be_told(notice.url, self._hosts):  # nor is its host named any more
            log.warning("a notice is for a host that may not be told any more", notice=notice.id)
            return True
        body = notice.body.encode()
        headers = {
            "content-type": "application/json",
            **signed(notice.id, body, self._key, datetime.now(UTC)),
        }
        try:
            answer = await self._http.post(notice.url, content=body, headers=headers)
        except Exception as error:  # noqa: BLE001 - whatever keeps it from being sent, it is sent again
            log.info("a notice was not taken", notice=notice.id, why=repr(error))
            return False
        if not answer.is_success:
            log.info("a notice was not taken", notice=notice.id, why=answer.status_code)
        return answer.is_success or answer.status_code == HTTPStatus.GONE


def _http() -> httpx.AsyncClient:
    """One for all messages: making one holds up the event loop longer than sending. No connection outlives its message."""
    return httpx.AsyncClient(
        timeout=httpx.Timeout(ANSWER_SECONDS, pool=None),
        limits=httpx.Limits(max_connections=MOST_AT_ONCE, max_keepalive_connections=0),
    )


def _may_be_told(url: str, hosts: tuple[str, ...]) -> bool:
    try:
        return allowed(httpx.URL(url), hosts)
    except (httpx.InvalidURL, UnicodeError):  # a name that no host can have
        return False


def _unsettled(runs_dir: Path) -> Iterator[tuple[RunFolder, Notice]]:
    for folder in run_folders(runs_dir):
        for notice in folder.unsettled_notices():
            yield folder, notice


def _notice(run: Run, event: str, place: int, url: str) -> Notice:
    now = datetime.now(UTC)
    kind = event.partition(":")[0]
    content = {
        "type": f"run.{kind}",
        "timestamp": now.isoformat(),
        "data": run.model_dump(mode="json"),
    }
    return Notice(
        id=f"{run.run_id}-{place}-{event.replace(':', '-')}",
        url=url,
        body=json.dumps(content),
        at=now,
    )


def signed(notice_id: str, body: bytes, key: bytes, at: datetime) -> dict[str, str]:
    """The headers of Standard Webhooks for a message that is sent at this time."""
    seconds = str(int(at.timestamp()))
    signature = hmac.digest(key, b".".join((notice_id.encode(), seconds.encode(), body)), "sha256")
    return {
        "webhook-id": notice_id,
        "webhook-timestamp": seconds,
        "webhook-signature": f"v1,{base64.b64encode(signature).decode()}",
    }
