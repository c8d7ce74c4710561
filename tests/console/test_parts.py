"""The console's parts that need no browser: watching, paging, the fields of a form."""

import asyncio
import time
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from nicegui import Client, core, ui
from starlette.responses import Response
from trainyard.api.slowing import Slowing
from trainyard.contract import (
    Amount,
    Capacity,
    Links,
    Placement,
    Run,
    RunPage,
    RunStatus,
    TeamUsage,
    UsageReport,
    YardState,
)
from trainyard.errors import TrainyardError, Unauthorized, Unavailable
from trainyard_console import watch as watching
from trainyard_console.cells import ComboBox
from trainyard_console.facts import hosts
from trainyard_console.history import RUNS_A_PAGE, History
from trainyard_console.logs import LOG_LINES, Logs
from trainyard_console.sessions import COOKIE, Session
from trainyard_console.sessions import Sessions as RealSessions
from trainyard_console.settings import Settings
from trainyard_console.sign_in import SignIn
from trainyard_console.usage import summed
from trainyard_console.watch import Watch

pytestmark = pytest.mark.anyio
NOON = datetime(2026, 11, 28, 12, tzinfo=UTC)


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


def run(service: str, n: int) -> Run:
    """The n-th run of a service, one a minute."""
    run_id = f"{service}-{n}"
    return Run(
        run_id=run_id,
        status=RunStatus.FINISHED,
        version=1,
        model="m",
        service=service,
        experiment="e",
        experiment_id="0",
        run_name=run_id,
        submitted_at=NOON + timedelta(minutes=n),
        links=Links(self="/", logs="/", mlflow="http://mlflow"),
    )


class Service:
    """What a console asks of a service: the yard, held until it changes, and pages of runs."""

    def __init__(self, name: str, runs: int = 0) -> None:
        self.runs = [run(name, n) for n in reversed(range(runs))]
        self.version = 1
        self.running: list[Run] = []
        self.capacities = self.listed = self.given = 0
        self.asking = self.most_at_once = self.asked = 0
        self.error: Exception | None = None
        self.changed = asyncio.Event()

    async def capacity(self) -> Capacity:
        self.capacities += 1
        nothing = Amount(total=0, used=0, waited_for=0)
        amounts = dict.fromkeys(("slots", "cpus", "gpus", "memory_mb"), nothing)
        return Capacity(service="s", running=[], waiting=[], **amounts)

    async def yard(
        self, *, wait_seconds: float | None = None, since: int | None = None
    ) -> YardState:
        self.asked += 1
        self.asking += 1
        self.most_at_once = max(self.most_at_once, self.asking)
        try:
            if self.error:
                raise self.error
            if wait_seconds and since == self.version:
                await self.changed.wait()
            if self.error:
                raise self.error
        finally:
            self.asking -= 1
        lists = {"running": self.running, "waiting": [], "ended": []}
        return YardState(version=self.version, service="s", slots=1, queue_limit=1, **lists)

    def change(self) -> None:
        self.version += 1
        self.changed.set()
        self.changed = asyncio.Event()

    async def list(self, *, limit: int, cursor: str | None, **wanted: object) -> RunPage:
        assert not any(wanted.values())
        self.listed += 1
        if self.error:
            raise self.error
        start = int(cursor or 0)
        more = start + limit < len(self.runs)
        self.given += min(limit, len(self.runs) - start)
        return RunPage(
            runs=self.runs[start : start + limit], cursor=str(start + limit) if more else None
        )


class Hanging(Service):
    """Answers nothing until it is let go."""

    def __init__(self, name: str) -> None:
        super().__init__(name)
        self.let_go = asyncio.Event()

    async def yard(
        self, *, wait_seconds: float | None = None, since: int | None = None
    ) -> YardState:
        await self.let_go.wait()
        return await super().yard(wait_seconds=wait_seconds, since=since)


async def settled(condition) -> None:
    async with asyncio.timeout(10):
        while not condition():  # noqa: ASYNC110 - of parts that know no events
            await asyncio.sleep(0.01)


async def test_twenty_pages_cost_a_service_one_long_poll_and_all_hear_of_each_change():
    service = Service("s")
    watch = Watch("s", service)
    heard = [0] * 20

    def listener(n: int):
        def hear() -> None:
            heard[n] += 1

        return hear

    listeners = [listener(n) for n in range(20)]
    for each in listeners:
        watch.listen(each)
    await watch.answered()
    await settled(lambda: service.asking == 1)
    asked = service.asked
    assert heard == [2] * 20  # the yard, and who has what
    before = time.monotonic()
    service.change()
    await settled(lambda: heard == [3] * 20)
    assert time.monotonic() - before <= 0.5
    await settled(lambda: service.asking == 1)
    assert service.most_at_once == 1
    assert service.asked == asked + 1
    assert watch.state
    assert watch.state.version == 2
    for each in listeners:
        watch.leave(each)
    service.change()
    await settled(lambda: service.asking == 0)
    await asyncio.sleep(2 * watching.PACE_SECONDS)  # that nothing is asked shows in time alone
    assert service.asked == asked + 1
    assert heard == [3] * 20


async def test_who_has_what_is_asked_again_where_a_run_began_or_ended_and_not_where_one_goes_on():
    service = Service("s")
    watch = Watch("s", service)
    watch.listen(lambda: None)
    await settled(lambda: service.asking == 1)
    assert service.capacities == 1
    service.change()
    await settled(lambda: watch.state.version == 2 and service.asking == 1)
    assert service.capacities == 1
    service.running = [run("s", 1)]
    service.change()
    await settled(lambda: service.capacities == 2 and service.asking == 1)


def test_where_a_run_is_on_other_hosts_is_told_of_each_worker():
    places = [
        Placement(rank=n, host=f"h{n}", address=f"10.0.0.{n}", node="ab" * 16) for n in (0, 1)
    ]
    placed = run("s", 1).model_copy(update={"placement": places})
    assert hosts(placed) == {
        "worker 0": "h0 (10.0.0.0, node abababababab)",
        "worker 1": "h1 (10.0.0.1, node abababababab)",
    }
    assert hosts(run("s", 1)) == {}


def used(service: str, month: str, team: str | None, runs: int) -> UsageReport:
    hours = dict.fromkeys(("queue_seconds", "run_seconds", "cpu_seconds", "gpu_seconds"), 1800.0)
    each = TeamUsage(month=month, team=team, runs=runs, finished=1, not_seen=0, **hours)
    return UsageReport(service=service, usage=[each])


def test_what_a_team_used_at_several_services_is_summed_newest_month_first():
    reports = [
        used("a", "2026-10", "growth", 1),
        used("a", "2026-11", "risk", 2_000),
        used("b", "2026-11", "growth", 3),
        used("b", "2026-11", "risk", 4),
    ]
    assert [row[:5] for row in summed(reports)] == [
        ("2026-11", "growth", "3", "1", "0.50"),
        ("2026-11", "risk", "2,004", "2", "1.00"),
        ("2026-10", "growth", "1", "1", "0.50"),
    ]


async def test_a_service_that_is_away_keeps_its_last_word_and_is_asked_again(monkeypatch):
    monkeypatch.setattr(watching, "PAUSE_SECONDS", 0.01)
    service = Service("s")
    watch = Watch("s", service)
    watch.listen(lambda: None)
    await watch.answered()
    service.error = Unavailable("MLflow is away")
    service.change()
    await settled(lambda: watch.problem is service.error)
    assert watch.state
    assert watch.state.version == 1
    assert not watch.refused
    service.error = None
    await settled(lambda: watch.problem is None)
    assert watch.state.version == 2
    service.error = Unauthorized()
    service.change()
    await settled(lambda: watch.refused)


class Printing:
    """A run's log as a service sends it, line by line, to as many as ask."""

    def __init__(self) -> None:
        self.lines: list[asyncio.Queue[str | Exception]] = []

    async def follow_logs(self, run_id: str, *, tail: int) -> AsyncIterator[str]:
        assert (run_id, tail) == ("r", LOG_LINES)
        lines: asyncio.Queue[str | Exception] = asyncio.Queue()
        self.lines.append(lines)
        try:
            while True:
                line = await lines.get()
                if isinstance(line, Exception):
                    raise line
                yield line
        finally:
            self.lines.remove(lines)


async def test_twenty_pages_follow_a_runs_log_once_and_each_has_all_of_its_lines():
    service = Printing()
    logs, pages = Logs(service), [[] for _ in range(20)]
    readers = [page.append for page in pages]
    for reader in readers[:19]:
        logs.read("r", reader)
    await settled(lambda: len(service.lines) == 1)
    service.lines[0].put_nowait("one")
    await settled(lambda: pages[:19] == [["one"]] * 19)
    logs.read("r", readers[19])
    service.lines[0].put_nowait("two")
    await settled(lambda: pages == [["one", "two"]] * 20)
    assert len(service.lines) == 1
    for reader in readers:
        logs.leave("r", reader)
    await settled(lambda: service.lines == [])


async def test_a_log_that_broke_off_is_asked_for_anew_by_the_next_page_and_stays_on_the_others():
    service = Printing()
    logs, before, after = Logs(service), [], []
    logs.read("r", before.append)
    await settled(lambda: len(service.lines) == 1)
    service.lines[0].put_nowait(Unavailable("it stops"))
    await settled(lambda: before == ["(the log cannot be followed: it stops)"])
    logs.read("r", after.append)
    await settled(lambda: len(service.lines) == 1)
    logs.leave("r", before.append)
    service.lines[0].put_nowait("one")
    await settled(lambda: after == ["one"])
    assert len(before) == 1


async def test_a_page_that_needs_a_service_has_the_first_that_answers_and_is_not_held_by_one_that_hangs():
    services = {"hangs": Hanging("hangs"), "away": Service("away"), "slow": Hanging("slow")}
    services["away"].error = Unavailable("MLflow is away")
    watches = {name: Watch(name, service) for name, service in services.items()}
    session = Session("a session", watches, signed_in=False)
    for each in watches.values():
        each.listen(lambda: None)
    assert await session.first_that_answers(0.05) is None
    asking = asyncio.create_task(session.first_that_answers(60))
    services["slow"].let_go.set()
    async with asyncio.timeout(10):
        assert await asking is watches["slow"]
        assert await session.first_that_answers(60) is watches["slow"]


async def test_ten_thousand_runs_of_two_services_come_in_pages_newest_first():
    services = {name: Service(name, 5_000) for name in ("a", "b")}
    history = History(services)
    seen = []
    await history.older()
    while True:
        seen += history.page
        assert len(history.page) <= RUNS_A_PAGE
        if not history.has_older:
            break
        await history.older()
    times = [each.submitted_at for _, each in seen]
    assert times == sorted(times, reverse=True)
    assert {each.run_id for _, each in seen} == {
        f"{name}-{n}" for name in services for n in range(5_000)
    }
    last = history.page
    history.newer()
    assert history.has_older
    assert history.page != last
    await history.older()
    assert history.page == last


async def test_the_next_page_is_fetched_while_somebody_reads_and_two_clicks_at_once_go_two_pages():
    service = Service("s", 120)
    history = History({"s": service})
    await history.older()
    history.look_ahead()
    await settled(lambda: service.listed == 2)
    await asyncio.gather(history.older(), history.older())
    assert [each.run_id for _, each in history.page] == [f"s-{n}" for n in reversed(range(20))]
    assert not history.has_older
    history.look_ahead()
    await history.older()
    assert service.listed == 3
    history.newer()
    assert len(history.page) == RUNS_A_PAGE


async def test_a_page_asks_for_the_runs_that_it_shows_and_a_service_that_is_away_is_named():
    services = {"here": Service("here", 60), "away": Service("away", 60)}
    services["away"].error = Unavailable()
    history = History(services)
    await history.older()
    assert [name for name, _ in history.page] == ["here"] * RUNS_A_PAGE
    assert history.silent == ["away"]
    assert services["here"].given == RUNS_A_PAGE
    await history.older()
    assert len(history.page) == 10
    assert not history.has_older


async def test_a_field_tells_of_a_choice_and_not_of_what_a_form_fills_in():
    told: list[str | None] = []

    async def settled() -> None:
        told.append(field.value)

    core.loop = asyncio.get_running_loop()
    with Client(ui.page("/parts")):
        field = ComboBox("Path", settled)
    field.set_value("a.csv")
    assert told == []
    await field._choose("b.csv")
    assert told == ["b.csv"]


class Sessions:
    """Takes one token."""

    def __init__(self) -> None:
        self.begun: list[str] = []

    async def accepts(self, token: str) -> bool:
        return token == "right"

    async def sign_in(self, token: str, _response: object) -> None:
        self.begun.append(token)


async def test_of_many_wrong_tokens_most_are_turned_away_and_a_right_one_never_is():
    sessions = Sessions()
    slowing = Slowing(burst=2, a_second=0.001, longest_seconds=0.0)
    sign_in = SignIn(sessions, slowing)
    answers = [await sign_in.sign_in(token) for token in ("a", "b", "right", "c", "right", "d")]
    assert [each.headers["location"] for each in answers] == [
        "/sign-in?failed=wrong",
        "/sign-in?failed=wrong",
        "/",
        "/sign-in?failed=many",
        "/",
        "/sign-in?failed=many",
    ]
    assert sessions.begun == ["right", "right"]


class Open:
    """A service that asks for no token."""

    async def send(self, _call: object) -> dict[str, str]:
        return {}

    async def version(self) -> dict[str, str]:
        return {}


class Asking:
    """Whose request it is, by its cookies."""

    def __init__(self, **cookies: str) -> None:
        self.cookies = cookies


def sessions_at(host: str, home: Path) -> RealSessions:
    return RealSessions(
        Settings(host=host, work_dir=home, services=(("open", "http://127.0.0.1:1"),))
    )


async def test_beyond_loopback_nobody_gets_in_by_a_service_that_asks_for_no_token(tmp_path):
    near, far = sessions_at("127.0.0.1", tmp_path), sessions_at("0.0.0.0", tmp_path)
    for sessions in (near, far):
        sessions.nobody.watches["open"].client = Open()
    assert near.of(Asking()) is near.nobody
    assert far.of(Asking()) is None
    assert await near.accepts("any")
    with pytest.raises(TrainyardError, match="open asks for no token"):
        await far.accepts("any")


async def test_a_session_is_its_owners_until_it_ends_and_no_other_consoles(tmp_path):
    sessions, stranger = (
        sessions_at("0.0.0.0", tmp_path / "a"),
        sessions_at("0.0.0.0", tmp_path / "b"),
    )
    response = Response()
    await sessions.sign_in("a token", response)
    cookie = response.headers["set-cookie"].partition("=")[2].partition(";")[0]
    asking = Asking(**{COOKIE: cookie})
    session = sessions.of(asking)
    assert session.signed_in
    assert "token" not in response.headers["set-cookie"]
    assert stranger.of(asking) is None
    session.ends_at = 0
    assert sessions.of(asking) is None


def test_the_secret_of_the_sessions_is_made_once_and_for_its_owner_alone(tmp_path):
    settings = Settings(work_dir=tmp_path / "work")
    made = settings.secret()
    assert len(made) == 64
    assert settings.secret() == made
    assert (tmp_path / "work/session.secret").stat().st_mode & 0o777 == 0o600
