"""By which names a service may be called, and from which pages."""

import re

import httpx
import pytest
from trainyard.api.app import create_app
from trainyard.service import Service
from trainyard.settings import Settings
from trainyard.testing import InMemoryRuns

pytestmark = pytest.mark.anyio
SERVICE = Service("example", "example_package", 8001)
TRAINING = {"model": "xgboost_classifier", "data": {"source": "builtin", "name": "iris"}}
SERVICES = "example=http://boosting.lab.example:8001,other=http://other.lab.example"
ALLOWED = "train.example.com, *.Yards.example"


@pytest.fixture
def anyio_backend():
    return "asyncio"


@pytest.fixture
def runs(tmp_path):
    return InMemoryRuns(tmp_path)


def calling(runs, **settings):
    app = create_app(runs, SERVICE, Settings.model_validate(settings))
    transport = httpx.ASGITransport(app, raise_app_exceptions=False)
    return httpx.AsyncClient(transport=transport, base_url="http://service")


@pytest.mark.parametrize(
    "host",
    [
        "localhost:8001",
        "LOCALHOST",
        "yard.localhost",
        "127.0.0.1:8001",
        "[::1]:8001",
        "192.168.1.7",
        "boosting:8001",
        "host.docker.internal:8001",
        "boosting.yard.svc.cluster.local",
    ],
)
async def test_addresses_and_names_that_nobody_can_have_in_public_are_known(runs, host):
    async with calling(runs) as client:
        answer = await client.post("/train", json=TRAINING, headers={"Host": host})
    assert answer.status_code == 202


@pytest.mark.parametrize(
    "host",
    [
        "rebound.example",
        "127.0.0.1.rebound.example:8001",
        "localhost.rebound.example",
        "notlocalhost.example",
        "boosting.lab.example",
        "yards.example",
        "a@b.example",
        "[::1",
        "x.internal.example",
    ],
)
async def test_another_name_is_refused_whatever_is_asked_and_told_how_to_allow_it(runs, host):
    async with calling(runs) as client:
        for method, path in (("POST", "/train"), ("GET", "/models"), ("GET", "/openapi.json")):
            answer = await client.request(method, path, headers={"Host": host})
            assert (answer.status_code, answer.json()["type"]) == (403, "foreign-host")
            assert "TRAINYARD_ALLOWED_HOSTS" in answer.json()["detail"]
        assert (await client.get("/healthz", headers={"Host": host})).status_code == 200
    assert runs.submitted == []


@pytest.mark.parametrize(
    "host",
    [
        "train.example.com",
        "Train.Example.com:443",
        "a.yards.example",
        "a.b.yards.example",
        "boosting.lab.example:8001",
        "other.lab.example",
    ],
)
async def test_names_that_the_settings_tell_are_known(runs, host):
    async with calling(runs, allowed_hosts=ALLOWED, services=SERVICES) as client:
        assert (await client.get("/models", headers={"Host": host})).status_code == 200
    async with calling(runs, allowed_hosts="*") as client:
        assert (await client.get("/models", headers={"Host": "any.example"})).status_code == 200


async def test_with_a_token_any_name_will_do_and_without_one_it_does_not_help(runs):
    foreign = {"Host": "gpu1.lab.example:8003", "Origin": "https://yard.example"}
    async with calling(runs, token="t") as client:
        known = {**foreign, "Authorization": "Bearer t"}
        assert (await client.post("/train", json=TRAINING, headers=known)).status_code == 202
        assert (await client.get("/models", headers=foreign)).status_code == 401
        for path in ("/docs", "/openapi.json"):
            assert (await client.get(path, headers=foreign)).status_code == 403
    async with calling(runs) as client:
        assert (await client.post("/train", json=TRAINING, headers=known)).status_code == 403


@pytest.mark.parametrize(
    ("host", "origin", "status"),
    [
        ("localhost:8001", "http://localhost:8001", 202),
        ("127.0.0.1:8001", "http://127.0.0.1:8001", 202),
        ("train.example.com", "https://train.example.com", 202),
        ("boosting:8001", "https://train.example.com", 202),  # a proxy that renames the host
        ("127.0.0.1:8001", "http://evil.example", 403),
        ("127.0.0.1:8001", "http://localhost:3000", 403),
        ("127.0.0.1:8001", "http://127.0.0.1:9999", 403),
        ("127.0.0.1:8001", "null", 403),
        ("127.0.0.1:8001", "", 403),
        ("127.0.0.1:8001", "http://127.0.0.1:8001.evil.example", 403),
    ],
)
async def test_a_page_may_call_its_own_service_and_no_other(runs, host, origin, status):
    async with calling(runs, allowed_hosts=ALLOWED) as client:
        headers = {"Host": host, "Origin": origin}
        answer = await client.post("/train", json=TRAINING, headers=headers)
    assert answer.status_code == status
    assert len(runs.submitted) == (status == 202)


async def test_the_page_of_the_api_loads_without_a_token_and_from_nowhere_else(runs):
    async with calling(runs, token="t") as client:
        page = await client.get("/docs")
        assert page.headers["content-type"].startswith("text/html")
        loaded = set(re.findall(r"(?:src|href|url)(?:=|: )[\"']([^\"']+)[\"']", page.text))
        assert {"/openapi.json"} < loaded
        assert any(each.endswith(".js") for each in loaded)
        for each in loaded:
            assert each.startswith("/")
            assert (await client.get(each)).status_code == 200
        described = (await client.get("/openapi.json")).json()
        assert described["components"]["securitySchemes"]["token"]["scheme"] == "bearer"
        assert described["security"] == [{"token": []}]
        for closed in ("/docs/assets", "/docs/assets/../../train", "/docs/", "/openapi.json/"):
            assert (await client.get(closed)).status_code == 401
