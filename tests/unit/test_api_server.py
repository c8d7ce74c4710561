"""The service as a real server on loopback, and one training without a server."""

import asyncio
import gc
import json
import os
import signal
import socket
import sys
import time
from contextlib import asynccontextmanager, suppress

import httpx
import pytest
from trainyard.api.app import create_app
from trainyard.api.evenly import answer_evenly
from trainyard.api.server import Server
from trainyard.contract import RunStatus, TrainRequest
from trainyard.service import Service
from trainyard.settings import Settings
from trainyard.supervisor.once import train_once
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


@asynccontextmanager
async def serving(runs):
    stopping = asyncio.Event()
    app = create_app(runs, Service("example", "package", 0), Settings(), stopping=stopping)
    server = Server(app, host="127.0.0.1", port=0, stopping=stopping)
    with socket.create_server(("127.0.0.1", 0)) as listening:
        serving = asyncio.ensure_future(server.serve(sockets=[listening]))
        url = f"http://127.0.0.1:{listening.getsockname()[1]}"
        async with asyncio.timeout(20), httpx.AsyncClient(base_url=url) as client:
            assert (await client.get("/healthz")).status_code == 200
            yield server, client
            server.should_exit = True
            await serving


async def test_a_stopping_server_answers_held_polls_at_once_and_stops_the_supervisor(runs):
    run, _ = await runs.submit(REQUEST, None)
    async with serving(runs) as (server, client):
        assert runs.started
        held = asyncio.ensure_future(client.get(f"/train/{run.run_id}?wait=60"))
        await runs.waiting.wait()
        server.should_exit = True
        answer = await held
    assert answer.json()["status"] == "SCHEDULED"
    assert not runs.started


async def test_a_followed_log_arrives_while_the_run_is_under_way(runs, tmp_path):
    run, _ = await runs.submit(REQUEST, None)
    path = tmp_path / f"{run.run_id}.log"
    path.write_text("one\n")
    following = f"/train/{run.run_id}/logs?follow=true"
    async with serving(runs) as (_, client), client.stream("GET", following) as answer:
        lines = answer.aiter_lines()
        assert await anext(lines) == "one"
        with path.open("a") as file:
            file.write("two\n")
        assert await anext(lines) == "two"
        await runs.change(run.run_id, status=RunStatus.FINISHED)
        assert [line async for line in lines] == []


async def test_a_long_chunked_body_is_refused_so_that_its_sender_can_read_why(runs):
    async def chunks():
        for _ in range(200):
            yield b" " * 65_536

    async with serving(runs) as (_, client):
        answer = await client.post("/train", content=chunks())
        assert (answer.status_code, answer.json()["type"]) == (413, "too-large")
        assert (await client.get("/healthz")).status_code == 200


@pytest.mark.parametrize("head", ["X: {}\r\n", "X-{}: 1\r\n"])
async def test_a_head_without_end_is_refused_and_its_connection_closed(runs, head):
    async with serving(runs) as (_, client):
        reader, writer = await asyncio.open_connection("127.0.0.1", client.base_url.port)
        writer.write(b"GET /healthz HTTP/1.1\r\nHost: localhost\r\n")
        with suppress(ConnectionError):
            for number in range(2_000):
                writer.write(head.format(f"{number}" * 4_000).encode())
                await writer.drain()
        with suppress(ConnectionError):
            assert b" 400 " in await reader.readline()
        assert number < 1_000
        writer.close()
        large = {"X": "a" * 50_000}
        for _ in range(3):  # over one connection
            assert (await client.get("/healthz", headers=large)).status_code == 200
            body = json.dumps(BODY).encode() + b" " * 900_000
            assert (await client.post("/train", content=body)).status_code == 202


def seconds_of_a_collection() -> float:
    before = time.thread_time()
    gc.collect()
    return time.thread_time() - before


def test_what_a_service_has_imported_is_not_looked_through_for_garbage_while_it_answers():
    gc.unfreeze()
    interval, gone = sys.getswitchinterval(), seconds_of_a_collection()
    try:
        answer_evenly()
        assert seconds_of_a_collection() < gone / 5
    finally:
        gc.freeze()  # as it was
        sys.setswitchinterval(interval)


async def test_one_training_reports_each_version_and_returns_as_it_ended(runs):
    seen = []

    def on_change(run):
        seen.append(run.status)
        following = {RunStatus.SCHEDULED: RunStatus.RUNNING, RunStatus.RUNNING: RunStatus.FINISHED}
        if run.status in following:
            changes.append(
                asyncio.ensure_future(runs.change(run.run_id, status=following[run.status]))
            )

    changes = []
    async with asyncio.timeout(10):
        ended = await train_once(runs, REQUEST, on_change=on_change)
    assert ended.status == RunStatus.FINISHED
    assert seen == ["SCHEDULED", "RUNNING", "FINISHED"]
    assert not runs.started


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
async def test_a_signal_cancels_the_one_training_and_still_returns_it(runs, number):
    seen = []

    def on_change(run):
        seen.append(run.status)
        if len(seen) == 1:
            os.kill(os.getpid(), number)

    async with asyncio.timeout(10):
        ended = await train_once(runs, REQUEST, on_change=on_change)
    assert ended.status == RunStatus.KILLED
    assert not runs.started
