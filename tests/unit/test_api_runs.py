"""The routes of runs, over a supervisor in memory."""

import asyncio
from contextlib import asynccontextmanager

import httpx
import pytest
from trainyard.api.app import create_app
from trainyard.contract import Reason, Role, Run, RunPage, RunStatus, TrainRequest
from trainyard.errors import QueueFull, Unavailable
from trainyard.service import Service
from trainyard.settings import Settings
from trainyard.testing import InMemoryRuns

pytestmark = pytest.mark.anyio
SERVICE = Service("example", "example_package", 8001)
BODY = {"model": "xgboost_classifier", "data": {"source": "builtin", "name": "iris"}}
UNKNOWN = "0" * 32
SECRET = "a secret of 32 bytes"


@pytest.fixture
def anyio_backend():
    return "asyncio"


@pytest.fixture
def runs(tmp_path):
    return InMemoryRuns(tmp_path)


@pytest.fixture
def stopping():
    return asyncio.Event()


@pytest.fixture
async def client(runs, stopping):
    async with calling(runs, stopping) as client:
        yield client


@asynccontextmanager
async def calling(runs, stopping=None, **settings):
    app = create_app(runs, SERVICE, Settings(**settings), stopping=stopping)
    transport = httpx.ASGITransport(app)
    async with httpx.AsyncClient(transport=transport, base_url="http://service") as client:
        yield client


async def submitted(client) -> str:
    return (await client.post("/train", json=BODY)).json()["run_id"]


def problem(answer, status, kind):
    assert answer.status_code == status, answer.text
    assert answer.headers["content-type"] == "application/problem+json"
    body = answer.json()
    assert (body["status"], body["type"]) == (status, kind)
    return body


async def test_a_request_is_accepted_with_its_run_and_its_place(client, runs):
    answer = await client.post("/train", json=BODY)
    assert answer.status_code == 202
    run = Run.model_validate_json(answer.content)
    assert answer.headers["location"] == f"/train/{run.run_id}"
    assert runs.submitted[0].model == "xgboost_classifier"
    assert "preference-applied" not in answer.headers


async def test_the_same_key_and_body_answer_with_the_run_there_is(client):
    headers = {"Idempotency-Key": "nightly 2026-11-23"}
    first = await client.post("/train", json=BODY, headers=headers)
    second = await client.post("/train", json=BODY, headers=headers)
    assert (first.status_code, second.status_code) == (202, 200)
    assert first.json()["run_id"] == second.json()["run_id"]
    other = await client.post("/train", json=BODY | {"seed": 1}, headers=headers)
    problem(other, 422, "key-reused")


@pytest.mark.parametrize("key", ["", "a" * 256, "caf\u00e9".encode(), b"a\tb"])
async def test_an_idempotency_key_that_is_not_printable_ascii_is_invalid(client, runs, key):
    answer = await client.post("/train", json=BODY, headers={"Idempotency-Key": key})
    assert problem(answer, 422, "invalid")["errors"][0]["pointer"] == "/header/idempotency-key"
    assert not runs.submitted


async def test_a_body_that_is_too_long_is_refused_whatever_its_length_says(runs):
    async def chunks():
        for _ in range(10):
            yield b" " * 1024

    async with calling(runs, max_body_bytes=2048) as client:
        plain = await client.post("/train", content=b" " * 2049)
        chunked = await client.post("/train", content=chunks())
        lying = await client.post("/train", content=chunks(), headers={"Content-Length": "10"})
        boasting = await client.post(
            "/train", content=b"{}", headers={"Content-Length": "9" * 5000}
        )
        fitting = await client.post("/train", content=b" " * 2048)
    for answer in (plain, chunked, lying, boasting):
        problem(answer, 413, "too-large")
    problem(fitting, 400, "malformed")


async def test_bad_fields_are_answered_by_their_pointers(client):
    answer = await client.post("/train", json=BODY | {"sed": 1, "max_attempts": 99})
    errors = problem(answer, 422, "invalid")["errors"]
    assert {error["pointer"] for error in errors} == {"/sed", "/max_attempts"}


@pytest.mark.parametrize(("raised", "seconds"), [(QueueFull, "10"), (Unavailable, "5")])
async def test_a_refusal_that_passes_says_when_to_ask_again(tmp_path, raised, seconds):
    class Refusing(InMemoryRuns):
        async def submit(self, *_):
            raise raised

    async with calling(Refusing(tmp_path)) as client:
        answer = await client.post("/train", json=BODY)
    problem(answer, raised.status, raised.type)
    assert answer.headers["retry-after"] == seconds


async def test_a_preferred_wait_answers_with_the_ended_run(client, runs):
    waiting = asyncio.ensure_future(
        client.post("/train", json=BODY, headers={"Prefer": "respond-async, wait=500"})
    )
    async with asyncio.timeout(5):
        run_id = await runs.next_submitted()
        await runs.change(run_id, status=RunStatus.FINISHED)
        answer = await waiting
    assert answer.json()["status"] == "FINISHED"
    assert answer.headers["preference-applied"] == "wait=60"


@pytest.mark.parametrize("prefer", ["wait=-1", "wait=x", "wait", "wait=1.5", "wait=\u00b2", "=;,"])
async def test_a_preference_that_makes_no_sense_is_ignored(client, prefer):
    async with asyncio.timeout(5):
        answer = await client.post(
            "/train", json=BODY, headers={"Prefer": prefer.encode("latin-1")}
        )
    assert answer.status_code == 202
    assert "preference-applied" not in answer.headers


async def test_a_poll_answers_with_the_run_as_it_stands(client, runs):
    run_id = await submitted(client)
    await runs.change(run_id, status=RunStatus.RUNNING, metrics={"train_log_loss": 0.5})
    live = Run.model_validate_json((await client.get(f"/train/{run_id}")).content)
    assert (live.status, live.version, live.metrics) == ("RUNNING", 2, {"train_log_loss": 0.5})
    await runs.change(run_id, status=RunStatus.FAILED, reason=Reason.CRASHED)
    assert (await client.get(f"/train/{run_id}")).json()["reason"] == "crashed"


@pytest.mark.parametrize("query", ["", "?wait=60&since=0", "?wait=60"])
async def test_a_poll_is_answered_without_a_route_and_guarded_as_every_call(
    runs, monkeypatch, query
):
    def not_asked(*_: object) -> None:
        raise AssertionError("a route was asked")

    submitted, _ = await runs.submit(TrainRequest.model_validate(BODY), None)
    run = await runs.change(submitted.run_id, status=RunStatus.FINISHED)
    monkeypatch.setattr("trainyard.api.roles.caller_of", not_asked)  # as every route does
    path = f"/train/{run.run_id}{query}"
    async with calling(runs, token=SECRET) as client:
        assert (await client.get(path)).status_code == 401
        told = await client.get(path, headers={"Authorization": f"Bearer {SECRET}"})
        assert Run.model_validate_json(told.content) == run
        assert told.headers["content-type"] == "application/json"
    async with calling(runs) as client:
        assert (await client.get(path, headers={"Host": "pages.example.com"})).status_code == 403
    assert Role.READ in {role for role in Role if all(each.includes(role) for each in Role)}


async def test_a_held_poll_answers_when_the_run_ends(client, runs):
    run_id = await submitted(client)
    async with asyncio.timeout(5), asyncio.TaskGroup() as group:
        held = group.create_task(client.get(f"/train/{run_id}?wait=60"))
        await runs.change(run_id, status=RunStatus.RUNNING)
        await runs.change(run_id, status=RunStatus.FINISHED)
    assert held.result().json()["status"] == "FINISHED"


async def test_a_held_poll_with_since_answers_at_the_next_change(client, runs):
    run_id = await submitted(client)
    async with asyncio.timeout(5), asyncio.TaskGroup() as group:
        held = group.create_task(client.get(f"/train/{run_id}?wait=60&since=1"))
        await runs.change(run_id, status=RunStatus.RUNNING)
    assert held.result().json()["version"] == 2


async def test_a_held_poll_answers_unchanged_when_its_time_is_up(client):
    run_id = await submitted(client)
    async with asyncio.timeout(5):
        answer = await client.get(f"/train/{run_id}?wait=0.05&since=1")
    assert answer.json()["version"] == 1


async def test_a_held_poll_answers_at_once_when_the_service_stops(client, stopping):
    run_id = await submitted(client)
    async with asyncio.timeout(5), asyncio.TaskGroup() as group:
        held = group.create_task(client.get(f"/train/{run_id}?wait=60"))
        stopping.set()
    assert held.result().json()["status"] == "SCHEDULED"


@pytest.mark.parametrize(
    "query", ["wait=61", "wait=-1", "wait=nan", "wait=inf", "wait=x", "since=-1", "since=1.5"]
)
async def test_a_wait_out_of_range_is_invalid_by_its_name(client, query):
    run_id = await submitted(client)
    body = problem(await client.get(f"/train/{run_id}?{query}"), 422, "invalid")
    assert body["errors"][0]["pointer"] == f"/query/{query.split('=')[0]}"


@pytest.mark.parametrize("path", ["", "?wait=1", "/outcome", "/logs", "/logs?follow=true"])
@pytest.mark.parametrize("run_id", [UNKNOWN, "nonsense", "%00", "A" * 32, "\u0661" * 32])
async def test_an_unknown_run_is_a_404_in_every_way_of_looking(client, path, run_id):
    problem(await client.get(f"/train/{run_id}{path}"), 404, "unknown-run")


async def test_a_malformed_run_id_is_not_looked_up(tmp_path):
    class Deaf(InMemoryRuns):
        async def get(self, run_id):
            raise AssertionError(run_id)

        live_json = cancel = get

    async with calling(Deaf(tmp_path)) as client:
        problem(await client.get("/train/nonsense"), 404, "unknown-run")
        problem(await client.delete("/train/nonsense"), 404, "unknown-run")


@pytest.mark.parametrize("status", [RunStatus.FINISHED, RunStatus.FAILED, RunStatus.KILLED])
async def test_an_outcome_is_404_until_the_run_ended_however_it_ended(client, runs, status):
    run_id = await submitted(client)
    problem(await client.get(f"/train/{run_id}/outcome"), 404, "not-ended")
    await runs.change(run_id, status=status)
    answer = await client.get(f"/train/{run_id}/outcome")
    assert (answer.status_code, answer.json()["status"]) == (200, status)


async def test_a_cancel_is_accepted_once_and_then_answers_how_it_ended(client):
    run_id = await submitted(client)
    first = await client.delete(f"/train/{run_id}")
    second = await client.delete(f"/train/{run_id}")
    assert (first.status_code, second.status_code) == (202, 200)
    assert second.json()["status"] == "KILLED"
    problem(await client.delete(f"/train/{UNKNOWN}"), 404, "unknown-run")


async def test_pages_are_filtered_and_lead_to_the_next(client, runs):
    ids = [await submitted(client) for _ in range(3)]
    await runs.change(ids[0], status=RunStatus.FINISHED)
    first = RunPage.model_validate_json((await client.get("/train?limit=2")).content)
    rest = RunPage.model_validate_json(
        (await client.get(f"/train?limit=2&cursor={first.cursor}")).content
    )
    assert [run.run_id for run in (*first.runs, *rest.runs)] == ids[::-1]
    assert rest.cursor is None
    finished = (await client.get("/train?status=FINISHED&model=xgboost_classifier")).json()["runs"]
    assert [run["run_id"] for run in finished] == [ids[0]]
    assert (await client.get("/train?experiment=other")).json()["runs"] == []


@pytest.mark.parametrize(
    "query",
    [
        "limit=0",
        "limit=201",
        "limit=x",
        "status=DONE",
        "model=%00",
        "experiment=%0A",
        "cursor=x",
        "statsu=1",
    ],
)
async def test_a_bad_page_query_is_invalid_by_its_name(client, query):
    body = problem(await client.get(f"/train?{query}"), 422, "invalid")
    assert body["errors"][0]["pointer"] == f"/query/{query.split('=')[0]}"
