"""What operators and strangers see: the token, health, versions, metrics, the catalogue, the description."""

import json

import httpx
import pytest
from openapi_spec_validator import validate
from prometheus_client.parser import text_string_to_metric_families
from trainyard.api.app import create_app
from trainyard.api.body import parse_train_request
from trainyard.api.openapi import EXAMPLES, PROMOTIONS, SCORINGS
from trainyard.contract import (
    FieldError,
    Promotion,
    Reason,
    Registered,
    RunStatus,
    ScoreRequest,
    TrainRequest,
)
from trainyard.errors import Invalid
from trainyard.service import Service
from trainyard.settings import Settings
from trainyard.testing import InMemoryRuns

pytestmark = pytest.mark.anyio
SERVICE = Service("example", "example_package", 8001)
SECRET = "a secret of 32 bytes, or s\u00f6"
OPERATIONS = [
    ("POST", "/train"),
    ("GET", "/train"),
    ("GET", "/train/x"),
    ("DELETE", "/train/x"),
    ("GET", "/train/x/outcome"),
    ("GET", "/train/x/logs"),
    ("POST", "/train/x/promotion"),
    ("GET", "/models"),
    ("GET", "/models/x"),
    ("GET", "/datasets"),
    ("GET", "/version"),
    ("GET", "/metrics"),
    ("GET", "/audit"),
    ("GET", "/nowhere"),
    ("GET", "/healthz/"),
]


@pytest.fixture
def anyio_backend():
    return "asyncio"


@pytest.fixture
def runs(tmp_path):
    return InMemoryRuns(tmp_path)


def calling(runs, **settings):
    app = create_app(runs, SERVICE, Settings(**settings))
    transport = httpx.ASGITransport(app, raise_app_exceptions=False)
    return httpx.AsyncClient(transport=transport, base_url="http://service")


@pytest.fixture
async def client(runs):
    async with calling(runs) as client:
        yield client


@pytest.mark.parametrize(("method", "path"), OPERATIONS)
async def test_every_call_without_the_token_is_a_401(runs, method, path):
    async with calling(runs, token=SECRET) as client:
        answer = await client.request(method, path)
    assert (answer.status_code, answer.json()["type"]) == (401, "unauthorized")
    assert answer.headers["www-authenticate"].startswith("Bearer")


@pytest.mark.parametrize(
    "header",
    ["", "Bearer", "Bearer ", f"Basic {SECRET}", SECRET, f"Bearer {SECRET}x", "Bearer \u00ff"],
)
async def test_a_wrong_token_is_a_401(runs, header):
    async with calling(runs, token=SECRET) as client:
        answer = await client.get("/models", headers={"Authorization": header.encode()})
    assert answer.status_code == 401


@pytest.mark.parametrize("scheme", ["Bearer", "bearer"])
async def test_the_token_opens_every_call_and_healthz_needs_none(runs, scheme):
    async with calling(runs, token=SECRET) as client:
        assert (await client.get("/healthz")).status_code == 200
        headers = {"Authorization": f"{scheme} {SECRET}".encode()}
        assert (await client.get("/models", headers=headers)).status_code == 200
        assert (await client.get("/docs", headers=headers)).status_code == 200


async def test_a_401_is_answered_before_the_body_is_read(runs):
    async def body():
        raise AssertionError("the body was read")
        yield b""

    async with calling(runs, token=SECRET) as client:
        assert (await client.post("/train", content=body())).status_code == 401


async def test_ready_says_what_is_not(client, runs):
    ready = await client.get("/readyz")
    assert (ready.status_code, ready.json()["ready"]) == (200, True)
    runs.not_ready = {"mlflow": "does not answer"}
    runs.broken_models["mine.py"] = "SyntaxError: invalid syntax"
    away = await client.get("/readyz")
    assert away.status_code == 503
    assert int(away.headers["retry-after"]) > 0
    assert away.json() == {
        "ready": False,
        "problems": {"mlflow": "does not answer"},
        "broken_models": {"mine.py": "SyntaxError: invalid syntax"},
    }


async def test_who_shows_no_token_hears_whether_it_is_ready_and_not_what_is_wrong(runs):
    runs.not_ready = {"mlflow": "http://mlflow:5000 does not answer"}
    runs.broken_models["mine.py"] = "SyntaxError: invalid syntax"
    async with calling(runs, token=SECRET) as client:
        told = await client.get("/readyz")
        assert told.status_code == 503
        assert told.json() == {"ready": False, "problems": {}, "broken_models": {}}
        runs.not_ready = {}
        assert (await client.get("/readyz")).json()["ready"]
        wrong = await client.get("/readyz", headers={"Authorization": "Bearer another"})
        assert wrong.status_code == 401
        assert (await client.get("/healthz")).json() == {"status": "alive", "loaded": True}


async def test_versions_name_the_frameworks_and_the_instance(client):
    versions = (await client.get("/version")).json()
    assert versions["frameworks"] == {"xgboost-cpu": "3.2.0"}
    assert (versions["service"], versions["instance"]) == ("example", "example")
    assert versions["mlflow"][0].isdigit()


async def test_metrics_are_what_prometheus_reads(client, runs):
    request = TrainRequest.model_validate(EXAMPLES["classify_and_promote"])
    run, _ = await runs.submit(request, None)
    await runs.change(run.run_id, status=RunStatus.FAILED, reason=Reason.CRASHED)
    answer = await client.get("/metrics")
    assert answer.headers["content-type"].startswith("text/plain; version=")
    samples = {
        (sample.name, sample.labels.get("status"), sample.labels.get("reason")): sample.value
        for family in text_string_to_metric_families(answer.text)
        for sample in family.samples
    }
    assert samples["trainyard_slots", None, None] == 1.0
    assert samples["trainyard_runs_ended_total", "FAILED", "crashed"] == 1.0
    assert samples["process_cpu_seconds_total", None, None] > 0.0


async def test_models_are_listed_and_described(client):
    models = (await client.get("/models")).json()
    assert [model["name"] for model in models] == ["xgboost_classifier"]
    assert (await client.get("/models/xgboost_classifier")).json() == models[0]


async def test_an_unknown_model_is_told_the_nearest(client):
    answer = await client.get("/models/xgbost_classifier")
    assert (answer.status_code, answer.json()["type"]) == (404, "unknown-model")
    assert "did you mean 'xgboost_classifier'?" in answer.json()["detail"]


async def test_a_model_is_not_unknown_before_any_is_loaded(tmp_path):
    async with calling(InMemoryRuns(tmp_path, models={})) as client:
        assert (await client.get("/models/cnn")).status_code == 503
        assert (await client.get("/models")).json() == []


async def test_a_long_unknown_model_is_not_sent_back_whole(client):
    answer = await client.get(f"/models/{'x' * 5_000}")
    assert answer.status_code == 404
    assert "it trains xgboost_classifier" in answer.json()["detail"]
    assert len(answer.content) < 500


async def test_an_unknown_path_and_method_are_problems(client):
    nowhere = await client.get("/nowhere")
    assert (nowhere.status_code, nowhere.json()["type"]) == (404, "not-found")
    wrong = await client.put(f"/train/{'0' * 32}")
    assert (wrong.status_code, wrong.json()["type"]) == (405, "method-not-allowed")
    assert wrong.headers["allow"] == "DELETE, GET"
    assert wrong.headers["content-type"] == "application/problem+json"


async def test_no_problem_names_more_than_fifty_fields_whoever_found_them(tmp_path):
    class Refusing(InMemoryRuns):
        async def submit(self, *_):
            errors = [
                FieldError(pointer=f"/params/{number}", detail="x") for number in range(9_000)
            ]
            raise Invalid("; ".join(each.pointer for each in errors), errors)

    async with calling(Refusing(tmp_path)) as client:
        answer = await client.post("/train", json=EXAMPLES["classify_and_promote"])
    assert answer.status_code == 422
    assert len(answer.json()["errors"]) == 50
    assert answer.json()["detail"].endswith("`errors` lists 50 of the 9000")
    assert len(answer.content) < 10_000


async def test_a_bug_is_a_500_that_tells_nothing(runs):
    runs.problems = None
    async with calling(runs) as client:
        answer = await client.get("/readyz")
    assert (answer.status_code, answer.json()["type"]) == (500, "internal")
    assert "NoneType" not in answer.text


async def test_the_description_is_valid_and_names_every_answer(runs):
    async with calling(runs, token="t") as client:
        document = (await client.get("/openapi.json", headers={"Authorization": "Bearer t"})).json()
    validate(document)
    operations = {
        f"{method.upper()} {path}": operation
        for path, methods in document["paths"].items()
        for method, operation in methods.items()
    }
    assert set(operations["POST /train"]["responses"]) == {
        "200",
        "202",
        "400",
        "401",
        "403",
        "404",
        "413",
        "422",
        "429",
        "503",
    }
    names = {operation["operationId"] for operation in operations.values()}
    assert {"train", "get_run", "cancel_run"} <= names
    assert all(operation["summary"] for operation in operations.values())
    assert all(
        {"401", "403"} <= each["responses"].keys()
        for name, each in operations.items()
        if "healthz" not in name
    )
    later = [
        each["responses"][status]
        for each in operations.values()
        for status in ("429", "503")
        if status in each["responses"]
    ]
    assert len(later) >= len(operations) / 2
    assert all("Retry-After" in each["headers"] for each in later)
    assert "HTTPValidationError" not in json.dumps(document)
    assert document["paths"]["/healthz"]["get"]["security"] == []


@pytest.mark.parametrize("name", EXAMPLES)
def test_the_examples_are_requests(name):
    assert parse_train_request(json.dumps(EXAMPLES[name]).encode()).model == EXAMPLES[name]["model"]


@pytest.mark.parametrize("name", SCORINGS)
def test_the_examples_of_a_scoring_are_requests(name):
    body = json.dumps(SCORINGS[name])
    assert ScoreRequest.model_validate_json(body).model_uri == SCORINGS[name]["model_uri"]


async def test_a_scoring_is_documented_and_answered_as_a_training_is(client, runs):
    posts = (await client.get("/openapi.json")).json()["paths"]
    assert posts["/score"]["post"]["requestBody"]["content"]["application/json"]["examples"]
    body = {"model_uri": "models:/example/1", "data": {"source": "builtin", "name": "iris"}}
    answer = await client.post("/score", json=body)
    run = answer.json()
    assert (answer.status_code, answer.headers["location"]) == (202, f"/train/{run['run_id']}")
    assert (await client.get(answer.headers["location"])).json()["kind"] == "score"


@pytest.mark.parametrize("name", PROMOTIONS)
async def test_the_examples_of_a_promotion_are_answered(client, runs, name):
    run_id = await judged(runs)
    answer = await client.post(f"/train/{run_id}/promotion", json=PROMOTIONS[name])
    asked = Promotion.model_validate(PROMOTIONS[name])
    assert (answer.status_code, answer.json()["promoted"]) == (200, asked.approved)
    assert runs.promotions == [(run_id, asked)]


async def test_no_body_asks_for_the_promotion(client, runs):
    run_id = await judged(runs)
    answer = await client.post(f"/train/{run_id}/promotion")
    assert (answer.status_code, answer.json()["promoted"]) == (200, True)
    assert runs.promotions == [(run_id, Promotion())]


@pytest.mark.parametrize(
    ("body", "status", "pointers"),
    [
        ("{", 400, []),
        ('{"approve": false, "by": ""}', 422, ["/approve", "/by"]),
        ('{"approved": "no"}', 422, ["/approved"]),
        pytest.param('{"by": "' + "x" * 20_000 + '"}', 413, [], id="20,000 characters"),
    ],
)
async def test_a_promotion_that_cannot_be_meant_is_refused_and_moves_nothing(
    client, runs, body, status, pointers
):
    run_id = await judged(runs)
    answer = await client.post(f"/train/{run_id}/promotion", content=body)
    assert answer.status_code == status
    assert sorted(each["pointer"] for each in answer.json()["errors"]) == pointers
    assert runs.promotions == []


async def test_a_promotion_that_the_service_refuses_is_a_409_of_its_own_type(client, runs):
    run_id = await judged(runs)
    runs.champion_changed = True
    refused = await client.post(f"/train/{run_id}/promotion")
    assert (refused.status_code, refused.json()["type"]) == (409, "champion-changed")
    run, _ = await runs.submit(TrainRequest.model_validate(EXAMPLES["classify_and_promote"]), None)
    early = await client.post(f"/train/{run.run_id}/promotion")
    assert (early.status_code, early.json()["type"]) == (409, "cannot-promote")


async def judged(runs):
    """A run that has ended, and waits to be asked."""
    run, _ = await runs.submit(TrainRequest.model_validate(EXAMPLES["classify_and_promote"]), None)
    registered = Registered(name="breast-cancer", version="1", decision="not decided yet")
    await runs.change(run.run_id, status=RunStatus.FINISHED, registered=registered)
    return run.run_id


async def test_the_application_starts_and_stops_its_supervisor(runs):
    app = create_app(runs, SERVICE, Settings())
    async with app.router.lifespan_context(app):
        assert runs.started
    assert not runs.started
