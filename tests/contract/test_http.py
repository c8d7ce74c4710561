"""The HTTP contract, against a real service: one suite for every service."""

import json
import threading
from concurrent.futures import ThreadPoolExecutor
from datetime import datetime
from pathlib import Path
from typing import Any

import httpx
import pytest
from servers import WEB, Yard, ticking, until

MODELS = {
    "boosting": {
        "xgboost_classifier",
        "xgboost_regressor",
        "lightgbm_classifier",
        "lightgbm_regressor",
    },
    "tensorflow": {"mlp", "mlp_regressor", "cnn"},
    "pytorch": {"mlp", "mlp_regressor", "cnn"},
}


def test_an_accepted_run_is_answered_202_with_its_location(
    shared_yard: Yard, rounds: str, quick: dict[str, Any]
) -> None:
    response = shared_yard.http.post("/train", json=quick)
    run = response.json()
    assert (response.status_code, response.headers["Location"]) == (202, f"/train/{run['run_id']}")
    assert run["status"] == "SCHEDULED"
    ended = shared_yard.ended(run["run_id"])
    assert [step["phase"] for step in ended["transitions"] if step["phase"]] == [
        "starting",
        "loading_data",
        "training",
        "evaluating",
        "logging_model",
    ]
    assert ended["model_uri"].startswith("models:/")
    assert ended["progress"] == {
        "done": 5,
        "total": 5,
        "unit": "rounds" if rounds == "n_estimators" else "epochs",
        "eta_seconds": 0.0,
        "running": None,
    }


def test_prefer_wait_answers_with_the_ended_run(answered: httpx.Response) -> None:
    assert (answered.status_code, answered.json()["status"]) == (202, "FINISHED")


def test_a_long_poll_is_answered_when_something_changed(shared_yard: Yard) -> None:
    run = shared_yard.submit()
    changed = shared_yard.http.get(
        f"/train/{run['run_id']}", params={"wait": 60, "since": run["version"]}
    ).json()
    assert changed["version"] > run["version"]
    shared_yard.cancel(run["run_id"])


def test_a_held_poll_is_answered_as_soon_as_the_run_ends(shared_yard: Yard) -> None:
    run_id = shared_yard.submit()["run_id"]
    shared_yard.in_phase(run_id, "training")
    answered: list[httpx.Response] = []
    poll = threading.Thread(
        target=lambda: answered.append(
            WEB.get(f"{shared_yard.service.url}/train/{run_id}?wait=60", timeout=90)
        )
    )
    poll.start()
    shared_yard.http.delete(f"/train/{run_id}")
    poll.join(30)
    assert answered[0].json()["status"] == "KILLED"


def test_the_outcome_is_404_until_the_run_ended_and_200_however_it_did(shared_yard: Yard) -> None:
    run_id = shared_yard.submit()["run_id"]
    waiting = shared_yard.http.get(f"/train/{run_id}/outcome")
    assert (waiting.status_code, waiting.json()["type"]) == (404, "not-ended")
    shared_yard.cancel(run_id)
    ended = shared_yard.http.get(f"/train/{run_id}/outcome")
    assert (ended.status_code, ended.json()["status"]) == (200, "KILLED")


def test_cancelling_an_ended_run_answers_200_and_changes_nothing(
    shared_yard: Yard, trained: dict[str, Any]
) -> None:
    response = shared_yard.http.delete(f"/train/{trained['run_id']}")
    assert (response.status_code, response.json()) == (200, trained)


@pytest.fixture(scope="module")
def of_earlier_service(
    lasting_yard: Yard, quick: dict[str, Any], data_root: Path
) -> tuple[dict[str, Any], dict[str, Any]]:
    """Two runs as they ended, before their service was killed and another began; the second was written over meanwhile.

    The data is worth a warning.
    """
    rows = [f"1,{row % 7},{row % 2}\n" for row in range(60)]
    (data_root / "constant.csv").write_text("always,a,y\n" + "".join(rows))
    asked = quick | {"data": {"source": "file", "uri": "constant.csv", "target": "y"}}
    untouched, written_over = (
        lasting_yard.ended(lasting_yard.submit(asked)["run_id"]) for _ in range(2)
    )
    lasting_yard.service.kill()
    for tag in ("trainyard.outcome", "trainyard.attempt"):
        _write(lasting_yard, "set-tag", run_id=written_over["run_id"], key=tag, value="{")
    _write(
        lasting_yard,
        "log-metric",
        run_id=written_over["run_id"],
        key="score",
        value="NaN",
        timestamp=1,
        step=0,
    )
    lasting_yard.service.start()
    return untouched, written_over


def _write(yard: Yard, call: str, **body: Any) -> None:
    """As anybody may in MLflow."""
    url = f"{yard.mlflow.url}/api/2.0/mlflow/runs/{call}"
    WEB.post(url, json=body, timeout=30).raise_for_status()


# What is read back from MLflow has met no framework.
@pytest.mark.parametrize("service", ["boosting"], indirect=True)
def test_a_run_of_an_earlier_service_is_read_back_from_mlflow(
    shared_yard: Yard, of_earlier_service: tuple[dict[str, Any], dict[str, Any]]
) -> None:
    before, _ = of_earlier_service
    assert before["progress"]
    assert "'always' is 1 in every row" in before["warnings"][0]
    assert shared_yard.get(before["run_id"]) == before
    assert shared_yard.http.get(f"/train/{before['run_id']}/logs").status_code == 200


@pytest.mark.parametrize("service", ["boosting"], indirect=True)
def test_what_somebody_wrote_over_in_mlflow_does_not_hide_the_run(
    shared_yard: Yard, of_earlier_service: tuple[dict[str, Any], dict[str, Any]]
) -> None:
    _, run = of_earlier_service
    found = shared_yard.get(run["run_id"])
    assert (found["status"], found["model"], found["attempt"]) == ("FINISHED", run["model"], 1)
    assert run["run_id"] in [
        each["run_id"] for each in shared_yard.http.get("/train").json()["runs"]
    ]


def test_the_list_is_newest_first_and_filters_and_pages(shared_yard: Yard) -> None:
    runs = [shared_yard.submit(ticking(experiment="listed"))["run_id"] for _ in range(3)]
    for run_id in runs:
        shared_yard.cancel(run_id)

    def listed(**query: Any) -> Any:
        return shared_yard.http.get("/train", params={"experiment": "listed", **query}).json()

    first = listed(limit=2)
    rest = listed(limit=2, cursor=first["cursor"])
    assert [run["run_id"] for run in first["runs"] + rest["runs"]] == runs[::-1]
    assert rest["cursor"] is None
    assert listed(status="FAILED")["runs"] == []
    assert len(listed(status="KILLED")["runs"]) == 3
    shared_yard.cancel(shared_yard.submit(ticking(experiment="listed"))["run_id"])
    meanwhile = listed(limit=2, cursor=first["cursor"])
    assert [run["run_id"] for run in meanwhile["runs"]] == runs[:1], "neither repeated nor skipped"
    assert shared_yard.http.get("/train", params={"cursor": "nonsense"}).status_code == 422


# MLflow is asked by the same code in all three services.
@pytest.mark.parametrize("service", ["boosting"], indirect=True)
def test_requests_that_make_an_experiment_at_the_same_moment_are_all_accepted(
    shared_yard: Yard,
) -> None:
    at_once = 4
    for number in range(5):
        experiment = f"made at once {number}"
        with ThreadPoolExecutor(at_once) as senders:
            runs = [*senders.map(shared_yard.submit, [ticking(experiment=experiment)] * at_once)]
        for run in runs:
            shared_yard.cancel(run["run_id"])
        page = shared_yard.http.get("/train", params={"experiment": experiment}).json()["runs"]
        assert {run["run_id"] for run in page} == {run["run_id"] for run in runs}


def test_followed_logs_end_with_the_run(shared_yard: Yard) -> None:
    run_id = shared_yard.submit()["run_id"]
    shared_yard.in_phase(run_id, "training")
    with WEB.stream(
        "GET", f"{shared_yard.service.url}/train/{run_id}/logs?follow=true", timeout=60
    ) as response:
        pieces = response.iter_text()
        assert "from round" in next(pieces)
        shared_yard.http.delete(f"/train/{run_id}")
        assert "asked to stop" in "".join(pieces)


def test_every_model_is_described_and_its_example_is_accepted(
    shared_yard: Yard, service: str, rounds: str
) -> None:
    models = shared_yard.http.get("/models").json()
    assert MODELS[service] < {model["name"] for model in models}
    for model in models:
        described = shared_yard.http.get(f"/models/{model['name']}").json()
        assert set(described["defaults"]) == set(described["params_schema"]["properties"])
        example = described["example"]
        if rounds in described["defaults"]:
            example["params"] = {**example["params"], rounds: 2}  # to the end, and soon there
        run_id = shared_yard.submit(example)["run_id"]
        if model["name"] == "ticking":
            shared_yard.cancel(run_id)
        else:
            assert shared_yard.ended(run_id)["status"] == "FINISHED"


def test_a_champion_is_asked_for_the_same_rows_as_the_run_that_wants_its_alias(
    shared_yard: Yard, quick: dict[str, Any], service: str
) -> None:
    wanted = [quick]
    if service != "boosting":
        images = {"source": "builtin", "name": "digits"}
        params = {"epochs": 1, "conv_channels": [4]}
        wanted.append({"model": "cnn", "params": params, "data": images})
    for number, request in enumerate(wanted):
        promote = {"metric": "test_accuracy", "on_incomparable": "promote"}
        name = f"the same rows {service} {number}"
        asked = {**request, "register": {"name": name, "promote": promote}}
        first, again = (shared_yard.ended(shared_yard.submit(asked)["run_id"]) for _ in range(2))
        assert first["registered"]["promoted"] is True, first
        assert again["registered"]["promoted"] is False, again["registered"]["decision"]
        assert "difference +0, between +0 and +0" in again["registered"]["decision"]
        for metric in ("test_accuracy", "test_log_loss"):
            held = again["metrics"][f"champion_{metric}"]
            assert held == pytest.approx(first["metrics"][metric], abs=1e-6), metric


def test_a_promotion_by_what_the_model_never_reports_is_refused(
    shared_yard: Yard, quick: dict[str, Any]
) -> None:
    promote = {"metric": "test_acuracy"}
    answer = shared_yard.http.post(
        "/train", json={**quick, "register": {"name": "refused", "promote": promote}}
    )
    assert answer.status_code == 422
    [error] = answer.json()["errors"]
    assert error["pointer"] == "/register/promote/metric"
    assert "did you mean 'test_accuracy'" in error["detail"]


def test_the_times_are_in_utc_and_in_order(trained: dict[str, Any]) -> None:
    times = [
        datetime.fromisoformat(trained[name]) for name in ("submitted_at", "started_at", "ended_at")
    ]
    assert times == sorted(times)
    assert all(time.utcoffset() is not None and not time.utcoffset() for time in times)


@pytest.mark.parametrize(
    ("change", "pointer"),
    [
        ({"model": "perceptrom"}, "/model"),
        ({"params": {"depths": 5}}, "/params/depths"),
        ({"params": {"ROUNDS": "5"}}, "/params/ROUNDS"),
        ({"data": {"source": "builtin", "name": "irises"}}, "/data/name"),
        ({"data": {"source": "builtin", "name": "diabetes"}}, "/data/name"),
        ({"data": {"source": "file", "uri": "absent.csv", "target": "y"}}, "/data/uri"),
        ({"data": {"source": "file", "uri": "/etc/passwd", "target": "y"}}, "/data/uri"),
        ({"register": {"name": "m", "alias": "latest"}}, "/register/alias"),
        ({"timeout_seconds": 0}, "/timeout_seconds"),
        ({"tags": {"trainyard.outcome": "{"}}, "/tags/trainyard.outcome"),
        ({"tags": {"mlflow.user": "me"}}, "/tags/mlflow.user"),
        ({"split": {"test_size": 0.9, "validation_size": 0.2}}, "/split"),
        ({"colour": "red"}, "/colour"),
    ],
)
def test_what_can_be_known_at_submit_is_refused_with_its_pointer(
    shared_yard: Yard, change: dict[str, object], pointer: str, rounds: str, quick: dict[str, Any]
) -> None:
    body = json.dumps({**quick, **change}).replace("ROUNDS", rounds)
    pointer = pointer.replace("ROUNDS", rounds)
    response = shared_yard.http.post("/train", content=body)
    assert response.status_code == 422
    assert response.headers["Content-Type"] == "application/problem+json"
    assert [each["pointer"] for each in response.json()["errors"]] == [pointer]


@pytest.mark.parametrize(
    ("body", "status"),
    [
        (b"", 400),
        (b"{", 400),
        (b"[" * 10_000, 400),
        (b'{"seed": NaN}', 400),
        (b"[]", 422),
        (b" " * 10_000_000, 413),
    ],
    ids=["empty", "half", "10,000 deep", "NaN", "a list", "10 MB"],
)
def test_a_body_that_is_no_request_is_the_callers_mistake(
    shared_yard: Yard, body: bytes, status: int
) -> None:
    assert shared_yard.http.post("/train", content=body).status_code == status


TABLES = {
    "ragged.csv": "a,y\n1,0\n2,1,3\n",
    "header_only.csv": "a,y\n",
    "one_class.csv": "a,y\n" + "1,0\n" * 50,
    "all_missing.csv": "a,b,y\n" + ",,0\n,,1\n" * 50,
    "duplicate_columns.csv": "a,a,y\n" + "1,2,0\n2,3,1\n" * 50,
    "missing_target.csv": "a,y\n" + "1,0\n2,\n3,1\n" * 50,
}


@pytest.mark.parametrize("name", TABLES)
def test_a_table_that_cannot_be_trained_on_is_refused_or_fails_its_run(
    shared_yard: Yard, name: str, quick: dict[str, Any]
) -> None:
    root = shared_yard.service.environment["TRAINYARD_DATA_ROOTS"]
    with open(f"{root}/{name}", "w") as file:  # noqa: PTH123 - a table in the service's own root
        file.write(TABLES[name])
    response = shared_yard.http.post(
        "/train", json={**quick, "data": {"source": "file", "uri": name, "target": "y"}}
    )
    if response.status_code == 202:
        run = shared_yard.ended(response.json()["run_id"])
        assert (run["status"], run["reason"], run["retryable"]) == ("FAILED", "invalid_data", False)
        assert len(run["message"]) > 20
    else:
        assert response.status_code == 422
        assert response.json()["errors"][0]["pointer"].startswith("/data")


# Who asks is known before anything meets a framework.
@pytest.mark.parametrize("service", ["boosting"], indirect=True)
def test_without_the_token_only_healthz_and_the_description_answer(closed_yard: Yard) -> None:
    url, known = closed_yard.service.url, closed_yard.http.headers["Authorization"]
    for path in ("/healthz", "/docs", "/openapi.json"):
        assert WEB.get(url + path).status_code == 200
    for path in ("/train", "/models", "/metrics", "/audit"):
        assert WEB.get(url + path).status_code == 401
    assert closed_yard.http.get("/readyz").raise_for_status().json()["broken_models"]
    assert WEB.get(f"{url}/readyz").json() == {"ready": True, "problems": {}, "broken_models": {}}
    assert WEB.get(f"{url}/models", headers={"Authorization": known[:-1]}).status_code == 401


def test_a_model_file_that_does_not_load_is_named_and_the_rest_works(
    shared_yard: Yard, trained: dict[str, Any]
) -> None:
    file = str(shared_yard.work_dir.parent / "models/broken.py")
    assert "absent_library" in shared_yard.http.get("/readyz").json()["broken_models"][file]
    assert trained["status"] == "FINISHED"


def test_a_ticking_run_reports_its_newest_metrics_live(shared_yard: Yard) -> None:
    run_id = shared_yard.submit(ticking())["run_id"]
    until(lambda: shared_yard.get(run_id)["metrics"].get("train_log_loss"), "a live metric")
    shared_yard.cancel(run_id)
