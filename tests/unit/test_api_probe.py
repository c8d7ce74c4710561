"""The health check of a container: well without MLflow, ready only with it."""

import asyncio
import os
import socket
import sys
from contextlib import asynccontextmanager

import pytest
from trainyard.api.app import create_app
from trainyard.api.server import Server
from trainyard.contract import Role
from trainyard.people.tokens import Tokens, write_tokens
from trainyard.service import Service
from trainyard.settings import Settings
from trainyard.testing import InMemoryRuns

pytestmark = pytest.mark.anyio
SECRET = "a secret of 32 bytes"


@pytest.fixture
def anyio_backend():
    return "asyncio"


@pytest.fixture
def runs(tmp_path):
    return InMemoryRuns(tmp_path)


@asynccontextmanager
async def serving(runs, **settings):
    """The service over `runs`, with a token; its port."""
    stopping = asyncio.Event()
    settings = Settings(**settings or {"token": SECRET})
    app = create_app(runs, Service("example", "package", 0), settings, stopping=stopping)
    server = Server(app, host="127.0.0.1", port=0, stopping=stopping)
    with socket.create_server(("127.0.0.1", 0)) as listening:
        serving = asyncio.ensure_future(server.serve(sockets=[listening]))
        try:
            yield listening.getsockname()[1]
        finally:
            server.should_exit = True
            await serving


async def probe(port, *arguments, **variables):
    """The probe's exit code, and what it says."""
    named = {"TRAINYARD_PORT": str(port), "TRAINYARD_TOKEN": SECRET, **variables}
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "trainyard.api.probe", *arguments),
        env=os.environ | named,
        stderr=asyncio.subprocess.PIPE,
    )
    async with asyncio.timeout(30):
        _, said = await process.communicate()
    return process.returncode, said.decode()


async def test_a_service_without_mlflow_is_well_and_not_ready(runs):
    runs.not_ready = {"mlflow": "http://mlflow:5000 does not answer"}
    async with serving(runs) as port:
        assert await probe(port) == (0, "")
        code, said = await probe(port, "--ready")
        assert code == 1
        assert "http://mlflow:5000 does not answer" in said
        runs.not_ready = {}
        assert await probe(port, "--ready") == (0, "")


async def test_a_service_that_still_loads_its_models_is_not_well(tmp_path):
    async with serving(InMemoryRuns(tmp_path, models={})) as port:
        code, said = await probe(port)
    assert code == 1
    assert "no models loaded yet" in said


async def test_a_service_that_does_not_answer_is_not_well():
    with socket.socket() as nobody:
        nobody.bind(("127.0.0.1", 0))
        code, said = await probe(nobody.getsockname()[1])
    assert code == 1
    assert "refused" in said


async def test_the_probe_finds_the_token_as_the_service_does(runs, tmp_path):
    path = tmp_path / "token"
    path.write_text(f"{SECRET}\n")
    async with serving(runs) as port:
        found = {"TRAINYARD_TOKEN": "", "TRAINYARD_TOKEN_FILE": str(path)}
        assert await probe(port, "--ready", **found) == (0, "")
        code, said = await probe(port, "--ready", TRAINYARD_TOKEN="another")
    assert code == 1
    assert "unauthorized" in said


async def test_the_probe_needs_no_token_where_people_alone_have_some(runs, tmp_path):
    people, _ = Tokens().with_token("ana", role=Role.TRAIN, team=None)
    write_tokens(tmp_path / "tokens.json", people)
    runs.not_ready = {"mlflow": "http://mlflow:5000 does not answer"}
    async with serving(runs, tokens_file=tmp_path / "tokens.json") as port:
        assert await probe(port, TRAINYARD_TOKEN="") == (0, "")
        code, said = await probe(port, "--ready", TRAINYARD_TOKEN="")
        assert (code, "503" in said, "mlflow" in said) == (1, True, False)
        runs.not_ready = {}
        assert await probe(port, "--ready", TRAINYARD_TOKEN="") == (0, "")
