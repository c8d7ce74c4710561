"""Scoring over HTTP, against each service: one suite for all of them."""

from typing import Any

import httpx
import pytest
from servers import Yard


def scored(yard: Yard, **request: Any) -> dict[str, Any]:
    answer = yard.http.post("/score", json=request)
    assert answer.status_code == 202, answer.text
    run = yard.ended(answer.json()["run_id"])
    assert run["status"] == "FINISHED", (run, yard.http.get(run["links"]["logs"]).text)
    return run


def measured(run: dict[str, Any]) -> dict[str, float]:
    return {name: value for name, value in run["metrics"].items() if name.startswith("test_")}


def test_the_test_rows_of_a_run_give_its_test_metrics(
    shared_yard: Yard, trained: dict[str, Any], quick: dict[str, Any]
) -> None:
    run = scored(shared_yard, model_uri=trained["model_uri"], data=quick["data"], rows="test")
    assert (run["kind"], trained["kind"]) == ("score", "train")
    assert measured(run) == pytest.approx(measured(trained), abs=1e-9)
    assert measured(run)


@pytest.mark.parametrize("service", ["tensorflow", "pytorch"], indirect=True, scope="session")
def test_images_are_scored_in_slices(shared_yard: Yard) -> None:
    data = {"source": "builtin", "name": "digits"}
    request = {"model": "cnn", "params": {"epochs": 1, "conv_channels": [4]}, "data": data}
    trained = shared_yard.ended(shared_yard.submit(request)["run_id"])
    run = scored(shared_yard, model_uri=trained["model_uri"], data=data, rows="test")
    assert measured(run) == pytest.approx(measured(trained), abs=1e-9)
    whole = scored(shared_yard, model_uri=trained["model_uri"], data=data)
    assert whole["progress"]["done"] == 1797
    assert whole["metrics"]["scored_accuracy"] > 0


def test_a_key_answers_with_the_same_scoring_and_refuses_a_training(
    shared_yard: Yard, trained: dict[str, Any], quick: dict[str, Any]
) -> None:
    key = {"Idempotency-Key": f"score {trained['run_id']}", "Prefer": "wait=60"}
    request = {"model_uri": trained["model_uri"], "data": quick["data"]}
    first = shared_yard.http.post("/score", json=request, headers=key)
    again = shared_yard.http.post("/score", json=request, headers=key)
    assert (first.status_code, again.status_code) == (202, 200)
    assert first.json()["run_id"] == again.json()["run_id"]
    assert first.headers["Location"] == f"/train/{first.json()['run_id']}"
    other = shared_yard.http.post("/train", json=quick, headers=key)
    assert (other.status_code, other.json()["type"]) == (422, "key-reused")


def test_bad_fields_are_named_all_at_once(shared_yard: Yard) -> None:
    answer: httpx.Response = shared_yard.http.post(
        "/score", json={"model_uri": "bank", "rows": "some", "colour": "red"}
    )
    assert answer.status_code == 422
    found = {each["pointer"] for each in answer.json()["errors"]}
    assert found == {"/model_uri", "/data", "/rows", "/colour"}
