"""Both clients against a real server on loopback, whose supervisor is in memory."""

import asyncio
import socket
import subprocess
import sys
import time
from contextlib import asynccontextmanager

import pytest
from in_memory import serving
from trainyard.client import (
    AsyncTrainyardClient,
    ForeignAnswer,
    Refused,
    TrainyardClient,
    Unreachable,
)
from trainyard.client.calls import retry_after_seconds
from trainyard.client.client import Endpoint
from trainyard.contract import (
    Promotion,
    Registered,
    RunKind,
    RunStatus,
    ScoreRequest,
    TrainRequest,
)
from trainyard.errors import (
    CannotPromote,
    ChampionChanged,
    Invalid,
    KeyReused,
    NotEnded,
    QueueFull,
    Unauthorized,
    Unavailable,
    UnknownModel,
    UnknownRun,
)
from trainyard.testing import InMemoryRuns

pytestmark = pytest.mark.anyio
BODY = {"model": "xgboost_classifier", "data": {"source": "builtin", "name": "iris"}}
REQUEST = TrainRequest.model_validate(BODY)
NOBODY = "http://127.0.0.1:1"


@pytest.fixture
def anyio_backend():
    return "asyncio"


@pytest.fixture
def runs(tmp_path):
    return InMemoryRuns(tmp_path)


@asynccontextmanager
async def answering(status, body, media_type="text/html"):
    """Something else that listens: it answers everything with this; its address."""

    async def answer(reader, writer):
        await reader.readuntil(b"\r\n\r\n")
        head = f"HTTP/1.1 {status}\r\nContent-Type: {media_type}\r\nContent-Length: {len(body)}\r\n"
        writer.write(f"{head}Connection: close\r\n\r\n{body}".encode())
        await writer.drain()
        writer.close()

    async with await asyncio.start_server(answer, "127.0.0.1", 0) as server:
        yield f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"


@pytest.fixture(params=["sync", "async"])
def opened(request):
    """Opens a client whose calls are awaited, of either kind."""

    @asynccontextmanager
    async def open_client(url, **options):
        if request.param == "async":
            async with AsyncTrainyardClient(url, **options) as client:
                yield client
        else:
            with TrainyardClient(url, **options) as client:
                yield InThread(client)

    return open_client


class InThread:
    """The sync client with each call in a thread, so that it can share a loop with the server."""

    def __init__(self, client):
        self._client = client

    def __getattr__(self, name):
        method = getattr(self._client, name)
        return lambda *args, **options: asyncio.to_thread(method, *args, **options)

    async def follow_logs(self, run_id, **options):
        lines = self._client.follow_logs(run_id, **options)
        while (line := await asyncio.to_thread(next, lines, None)) is not None:
            yield line


async def end(runs, run_id, status=RunStatus.FINISHED):
    await runs.waiting.wait()
    await runs.change(run_id, status=status)


async def test_every_call_of_both_clients_reads_what_the_service_answers(runs, opened):
    async with serving(runs) as url, opened(url) as client:
        run = await client.submit(BODY, idempotency_key="k")
        assert await client.submit(REQUEST, idempotency_key="k") == run
        assert await client.get(run.run_id) == run
        assert (await client.list(status=RunStatus.SCHEDULED, limit=1)).runs == [run]
        assert (await client.list(model="another")).runs == []
        assert [each.name for each in await client.models()] == ["xgboost_classifier"]
        assert (await client.model("xgboost_classifier")).framework == "xgboost-cpu"
        assert "iris" in {each.name for each in await client.datasets()}
        assert (await client.version())["service"] == "example"
        assert (await client.cancel(run.run_id)).status == RunStatus.KILLED
        assert (await client.outcome(run.run_id)).status == RunStatus.KILLED


async def test_a_promotion_is_asked_for_or_rejected_and_its_refusals_have_classes(runs, opened):
    judged = Registered(name="flowers", version="2", decision="not decided yet")
    async with serving(runs) as url, opened(url) as client:
        run = await client.submit(BODY)
        with pytest.raises(CannotPromote):
            await client.promote(run.run_id)
        await runs.change(run.run_id, status=RunStatus.FINISHED, registered=judged)
        assert (await client.promote(run.run_id)).promoted is True
        answer = await client.promote(run.run_id, approved=False, by="anna", comment="holidays")
        assert (answer.promoted, answer.version) == (False, "2")
        runs.champion_changed = True
        with pytest.raises(ChampionChanged):
            await client.promote(run.run_id)
        with pytest.raises(Invalid) as raised:
            await client.promote(run.run_id, by=" ")
    assert [each.pointer for each in raised.value.errors] == ["/by"]
    rejected = Promotion(approved=False, by="anna", comment="holidays")
    assert runs.promotions == [(run.run_id, Promotion()), (run.run_id, rejected)]


async def test_a_request_that_was_built_in_python_arrives_as_it_was_meant(runs, opened):
    request = TrainRequest.model_validate(
        {**BODY, "register": {"name": "flowers"}, "params": {"max_depth": 3}}
    )
    async with serving(runs) as url, opened(url) as client:
        await client.submit(request)
    assert runs.submitted == [request]


async def test_a_scoring_is_submitted_as_a_training_is(runs, opened):
    wanted = {"model_uri": "models:/example@champion", "data": BODY["data"]}
    async with serving(runs) as url, opened(url) as client:
        run = await client.score(wanted, idempotency_key="k")
        request = ScoreRequest.model_validate(wanted)
        assert await client.score(request, idempotency_key="k") == run
        assert (run.kind, run.model) == (RunKind.SCORE, "models:/example/1")
        with pytest.raises(Invalid):
            await client.score({**wanted, "model_uri": "models:/another/1"})
        with pytest.raises(KeyReused):
            await client.submit(BODY, idempotency_key="k")
    assert runs.submitted == [request]


async def test_readiness_is_returned_also_when_it_is_a_503(runs, opened):
    async with serving(runs) as url, opened(url) as client:
        assert (await client.ready())["ready"] is True
        runs.not_ready = {"mlflow": "does not answer"}
        assert (await client.ready())["problems"] == {"mlflow": "does not answer"}


async def test_problems_are_raised_as_the_classes_that_the_service_raised(runs, opened):
    async with serving(runs) as url, opened(url) as client:
        run = await client.submit(BODY, idempotency_key="k")
        with pytest.raises(KeyReused):
            await client.submit({**BODY, "seed": 1}, idempotency_key="k")
        with pytest.raises(UnknownRun):
            await client.get("f" * 32)
        with pytest.raises(NotEnded):
            await client.outcome(run.run_id)
        with pytest.raises(UnknownModel, match="did you mean 'xgboost_classifier'"):
            await client.model("xgboost_clasifier")
        with pytest.raises(Invalid) as raised:
            await client.submit({**BODY, "colour": "red", "seed": -1})
    assert {each.pointer for each in raised.value.errors} == {"/colour", "/seed"}


@pytest.mark.parametrize("name", ["a/b", "..", "?x=1", "a b", "ü", "%2e"])
async def test_a_name_is_never_taken_for_a_part_of_the_path(runs, opened, name):
    async with serving(runs) as url, opened(url) as client:
        with pytest.raises((UnknownModel, Refused)) as raised:
            await client.model(name)
    assert raised.value.status == 404


async def test_the_token_is_sent_and_its_absence_is_unauthorized(runs, opened, monkeypatch):
    async with serving(runs, token="secret") as url:
        async with opened(url) as client:
            with pytest.raises(Unauthorized):
                await client.models()
        async with opened(url, token="secret") as client:
            assert await client.models()
        monkeypatch.setenv("TRAINYARD_TOKEN", "secret\n")
        monkeypatch.setenv("TRAINYARD_URL", url + "/")
        async with opened(None) as client:
            assert await client.models()


async def test_a_service_that_is_not_there_is_unreachable(opened):
    async with opened(NOBODY) as client:
        with pytest.raises(Unreachable, match=r"http://127\.0\.0\.1:1 does not answer"):
            await client.models()


async def test_a_proxy_of_the_environment_is_not_asked_for_this_machine(runs, opened, monkeypatch):
    monkeypatch.setenv("HTTP_PROXY", NOBODY)
    monkeypatch.delenv("NO_PROXY", raising=False)
    monkeypatch.delenv("no_proxy", raising=False)
    async with serving(runs) as url, opened(url) as client:
        assert await client.models()


@pytest.mark.parametrize(
    ("answer", "raised", "said"),
    [
        (("200 OK", "<html>"), ForeignAnswer, "something else"),
        (("200 OK", '[{"name": "x"}]', "application/json"), ForeignAnswer, "something else"),
        (("502 Bad Gateway", "<html>"), Unreachable, "502 Bad Gateway"),
        (("404 Not Found", "<html>"), Refused, "404 Not Found"),
        (("302 Found", ""), Refused, "302 Found"),
    ],
)
async def test_an_answer_of_something_else_says_what_it_was(opened, answer, raised, said):
    async with answering(*answer) as url, opened(url) as client:
        with pytest.raises(raised, match=said):
            await client.models()


async def test_a_problem_of_an_unknown_type_keeps_its_type_and_status(opened):
    body = '{"type": "teapot", "title": "Teapot", "status": 418, "detail": "short and stout", "errors": []}'
    async with (
        answering("418 Teapot", body, "application/problem+json") as url,
        opened(url) as client,
    ):
        with pytest.raises(Refused, match="short and stout") as raised:
            await client.models()
    assert (raised.value.type, raised.value.status, raised.value.problem().title) == (
        "teapot",
        418,
        "Teapot",
    )


@pytest.mark.parametrize(
    "url",
    [
        "localhost:8001",
        "ftp://host",
        "http://",
        "http://host:port",
        "http://xn--",
        "http://host..x",
        "nonsense",
    ],
)
def test_an_address_that_is_none_is_said_at_once(url):
    with pytest.raises(Invalid, match="is not the address of a service"):
        TrainyardClient(url)


@pytest.mark.parametrize("key", ["", "a\nb", "ü", "x" * 256])
def test_a_key_that_no_header_can_hold_is_refused_before_it_is_sent(key):
    with TrainyardClient(NOBODY) as client, pytest.raises(Invalid, match="printable ASCII"):
        client.submit(BODY, idempotency_key=key)


def test_a_token_that_no_header_can_hold_is_refused_without_being_shown():
    with pytest.raises(Unauthorized) as raised:
        TrainyardClient(NOBODY, token="geheim-ü")
    assert "geheim" not in str(raised.value)


async def test_a_submit_can_wait_for_the_end(runs, opened):
    async with serving(runs) as url, opened(url) as client:
        submitting = asyncio.ensure_future(client.submit(BODY, wait_seconds=30))
        await end(runs, await runs.next_submitted())
        assert (await submitting).status == RunStatus.FINISHED


async def test_a_wait_returns_when_the_run_has_ended(runs, opened):
    async with serving(runs) as url, opened(url) as client:
        run = await client.submit(BODY)
        ended, _ = await asyncio.gather(
            client.wait(run.run_id), end(runs, run.run_id, RunStatus.FAILED)
        )
    assert ended.status == RunStatus.FAILED


async def test_a_wait_reports_each_change_once_and_the_end_last(runs, opened):
    seen = []
    loop = asyncio.get_running_loop()
    reported = asyncio.Semaphore(0)

    def on_change(run):
        seen.append((run.version, run.status))
        loop.call_soon_threadsafe(reported.release)

    async def change():
        for status in (RunStatus.RUNNING, RunStatus.FINISHED):
            await reported.acquire()
            await runs.change(run.run_id, status=status)

    async with serving(runs) as url, opened(url) as client:
        run = await client.submit(BODY)
        await asyncio.gather(client.wait(run.run_id, on_change=on_change), change())
    assert seen == [(1, "SCHEDULED"), (2, "RUNNING"), (3, "FINISHED")]


async def test_a_wait_that_times_out_returns_the_run_as_it_stands(runs, opened):
    async with serving(runs) as url, opened(url) as client:
        run = await client.submit(BODY)
        assert (await client.wait(run.run_id, timeout_seconds=0)).status == RunStatus.SCHEDULED
        assert (await client.wait(run.run_id, timeout_seconds=0.2)).status == RunStatus.SCHEDULED


async def test_a_wait_survives_a_restart_of_the_service(runs, opened):
    away, loop = asyncio.Event(), asyncio.get_running_loop()
    failures = []

    def on_away(error):
        failures.append(error)
        loop.call_soon_threadsafe(away.set)

    with socket.create_server(("127.0.0.1", 0)) as unused:
        port = unused.getsockname()[1]
    async with opened(f"http://127.0.0.1:{port}") as client:
        async with serving(runs, port=port):
            run = await client.submit(BODY)
            waiting = asyncio.ensure_future(
                client.wait(run.run_id, on_away=on_away, timeout_seconds=60)
            )
            await runs.waiting.wait()
        await away.wait()
        await runs.change(run.run_id, status=RunStatus.FINISHED)
        async with serving(runs, port=port):
            ended = await waiting
    assert ended.status == RunStatus.FINISHED
    assert isinstance(failures[0], Unreachable)


class SoonBack(InMemoryRuns):
    """Refuses the first looks at a run as a service does that is busy or has lost MLflow."""

    def __init__(self, logs, refusals):
        super().__init__(logs)
        self.refusals = refusals
        self.asked_at = []

    async def get(self, run_id):
        self.asked_at.append(time.monotonic())
        if self.refusals:
            raise self.refusals.pop()
        return await super().get(run_id)

    def live_json(self, _run_id):
        return None


def asking_for(kind, seconds):
    """The refusal, with this `Retry-After`."""
    error = kind()
    error.retry_after_seconds = seconds
    return error


@pytest.mark.parametrize("kind", [Unavailable, QueueFull])
async def test_a_wait_asks_again_no_sooner_than_retry_after_says(tmp_path, opened, kind):
    runs = SoonBack(tmp_path, [asking_for(kind, 2)])
    async with serving(runs) as url, opened(url) as client:
        run = await client.submit(BODY)
        await runs.change(run.run_id, status=RunStatus.FINISHED)
        assert (await client.wait(run.run_id)).status == RunStatus.FINISHED
    refused, answered = runs.asked_at[:2]
    assert answered - refused >= 2


async def test_a_wait_gives_up_at_once_where_retry_after_is_later_than_its_timeout(
    tmp_path, opened
):
    runs = SoonBack(tmp_path, [asking_for(Unavailable, 50)])
    async with serving(runs) as url, opened(url) as client:
        run = await client.submit(BODY)
        with pytest.raises(Unavailable):
            await asyncio.wait_for(client.wait(run.run_id, timeout_seconds=40), 30)
    assert len(runs.asked_at) == 1


@pytest.mark.parametrize(
    ("said", "seconds"),
    [
        ("7", 7),
        ("0", 0),
        ("86400", 60),
        ("9" * 5000, 60),
        ("Fri, 31 Dec 9999 23:59:59 GMT", 60),
        ("Wed, 21 Oct 2015 07:28:00 GMT", 0),
        ("soon", 0),
        ("-3", 0),
        ("", 0),
    ],
)
async def test_retry_after_is_a_number_or_a_date_and_at_most_a_minute(opened, said, seconds):
    async with (
        answering(f"503 Service Unavailable\r\nRetry-After: {said}", "away") as url,
        opened(url) as client,
    ):
        with pytest.raises(Unreachable) as raised:
            await client.models()
    assert retry_after_seconds(raised.value) == seconds


async def test_a_wait_sits_out_refusals_that_pass(tmp_path, opened):
    runs = SoonBack(tmp_path, [asking_for(Unavailable, 0), asking_for(QueueFull, 0)])
    told = []
    async with serving(runs) as url, opened(url) as client:
        run = await client.submit(BODY)
        await runs.change(run.run_id, status=RunStatus.FINISHED)
        assert (await client.wait(run.run_id, on_away=told.append)).status == RunStatus.FINISHED
    assert [type(each) for each in told] == [QueueFull, Unavailable]


async def test_a_wait_for_a_run_that_does_not_exist_fails_at_once(runs, opened):
    async with serving(runs) as url, opened(url) as client:
        with pytest.raises(UnknownRun):
            await client.wait("f" * 32)


async def test_a_wait_for_a_service_that_stays_away_ends_with_its_timeout(opened):
    async with opened(NOBODY) as client:
        with pytest.raises(Unreachable):
            await client.wait("f" * 32, timeout_seconds=0.3)


class Hasty(InMemoryRuns):
    """Holds no answer, as a service that is stopping."""

    looks = 0

    async def wait(self, run_id, _seconds, _since):
        self.looks += 1
        return await self.get(run_id)


async def test_answers_that_are_not_held_are_not_asked_for_without_a_pause(tmp_path, opened):
    runs = Hasty(tmp_path)
    async with serving(runs) as url, opened(url) as client:
        run = await client.submit(BODY)
        await client.wait(run.run_id, timeout_seconds=1.2)
    assert 1 <= runs.looks <= 4


async def test_logs_are_read_whole_by_their_tail_and_as_they_grow(runs, opened, tmp_path):
    async with serving(runs) as url, opened(url) as client:
        run = await client.submit(BODY)
        path = tmp_path / f"{run.run_id}.log"
        path.write_text("one\ntwö\n")
        assert await client.logs(run.run_id) == "one\ntwö\n"
        assert await client.logs(run.run_id, tail=1) == "twö\n"
        lines = client.follow_logs(run.run_id, tail=1)
        assert await anext(lines) == "twö"
        with path.open("a") as file:
            file.write("three\n")
        assert await anext(lines) == "three"
        await runs.change(run.run_id, status=RunStatus.FINISHED)
        assert [line async for line in lines] == []


async def test_following_an_unknown_run_or_an_absent_service_says_so(runs, opened):
    async with serving(runs) as url, opened(url) as client:
        with pytest.raises(UnknownRun):
            await anext(client.follow_logs("f" * 32))
    async with opened(NOBODY) as client:
        with pytest.raises(Unreachable):
            await anext(client.follow_logs("f" * 32))


def test_each_endpoint_says_what_it_does():
    endpoints = {name: getattr(TrainyardClient, name) for name in vars(TrainyardClient.__base__)}
    found = {name: each for name, each in endpoints.items() if isinstance(each, Endpoint)}
    assert len(found) == 23
    assert all(each.__doc__ for each in found.values())


def test_importing_the_client_loads_no_server_library():
    unwanted = {
        "fastapi",
        "starlette",
        "mlflow",
        "pandas",
        "numpy",
        "pydantic_settings",
        "uvicorn",
        "typer",
    }
    code = "import sys, trainyard.client; print(*sys.modules, sep='\\n')"
    done = subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True)
    assert unwanted.isdisjoint(done.stdout.split())
