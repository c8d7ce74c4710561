"""A run's log over HTTP: whole, its tail, and as it grows."""

import asyncio

import httpx
import pytest
from hypothesis import given
from hypothesis import strategies as st
from trainyard.api import logs
from trainyard.api.app import create_app
from trainyard.contract import RunStatus, TrainRequest
from trainyard.service import Service
from trainyard.settings import Settings
from trainyard.testing import InMemoryRuns

pytestmark = pytest.mark.anyio
BODY = {"model": "xgboost_classifier", "data": {"source": "builtin", "name": "iris"}}
REQUEST = TrainRequest.model_validate(BODY)


@pytest.fixture
def anyio_backend():
    return "asyncio"


@pytest.fixture
def runs(tmp_path):
    return InMemoryRuns(tmp_path)


@pytest.fixture
async def run_id(runs):
    return (await runs.submit(REQUEST, None))[0].run_id


@pytest.fixture
def stopping():
    return asyncio.Event()


@pytest.fixture
async def client(runs, stopping):
    app = create_app(runs, Service("example", "package", 8001), Settings(), stopping=stopping)
    transport = httpx.ASGITransport(app)
    async with httpx.AsyncClient(transport=transport, base_url="http://service") as client:
        yield client


async def test_a_log_is_plain_text_whole_or_its_tail(client, run_id, tmp_path):
    tmp_path.joinpath(f"{run_id}.log").write_text("one\ntwö\nthree\n")
    answer = await client.get(f"/train/{run_id}/logs")
    assert answer.headers["content-type"] == "text/plain; charset=utf-8"
    assert answer.text == "one\ntwö\nthree\n"
    assert (await client.get(f"/train/{run_id}/logs?tail=2")).text == "twö\nthree\n"
    assert (await client.get(f"/train/{run_id}/logs?tail=99")).text == answer.text


async def test_a_run_that_has_no_log_yet_answers_with_nothing(client, run_id):
    answer = await client.get(f"/train/{run_id}/logs")
    assert (answer.status_code, answer.text) == (200, "")


async def test_an_ended_run_without_its_file_answers_from_mlflow(client, runs, run_id):
    runs.kept_logs[run_id] = "one\ntwo\n"
    await runs.change(run_id, status=RunStatus.FINISHED)
    assert (await client.get(f"/train/{run_id}/logs?follow=true")).text == "one\ntwo\n"
    assert (await client.get(f"/train/{run_id}/logs?tail=1")).text == "two\n"


@pytest.mark.parametrize("query", ["tail=0", "tail=100001", "tail=x", "follow=perhaps"])
async def test_a_bad_log_query_is_invalid(client, run_id, query):
    assert (await client.get(f"/train/{run_id}/logs?{query}")).status_code == 422


async def test_following_starts_before_the_file_and_ends_with_the_run(
    client, runs, run_id, tmp_path
):
    path = tmp_path / f"{run_id}.log"
    async with asyncio.timeout(10), asyncio.TaskGroup() as group:
        following = group.create_task(client.get(f"/train/{run_id}/logs?follow=true"))
        await asyncio.sleep(0)
        path.write_text("one\n")
        await runs.change(run_id, status=RunStatus.RUNNING)
        with path.open("a") as file:
            file.write("two\n")
        await runs.change(run_id, status=RunStatus.FINISHED)
    assert following.result().text == "one\ntwo\n"


async def test_following_ends_when_the_service_stops(client, run_id, stopping, tmp_path):
    tmp_path.joinpath(f"{run_id}.log").write_text("one\n")
    async with asyncio.timeout(10), asyncio.TaskGroup() as group:
        following = group.create_task(client.get(f"/train/{run_id}/logs?follow=true"))
        stopping.set()
    assert following.result().text == "one\n"


@given(
    text=st.text("ab\n", max_size=40).map(str.encode),
    count=st.integers(1, 12),
    block=st.integers(1, 9),
)
def test_a_tail_read_from_the_end_is_the_tail_of_the_lines(tmp_path_factory, text, count, block):
    path = tmp_path_factory.getbasetemp() / "tail.log"
    path.write_bytes(text)
    with path.open("rb") as file:
        file.seek(logs.offset_of_last_lines(file, count, block_bytes=block))
        assert file.read() == b"".join(text.splitlines(keepends=True)[-count:])
