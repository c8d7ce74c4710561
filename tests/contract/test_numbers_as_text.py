"""A table whose numbers are written as text trains as the clean one does and says so, on each service."""

import json
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from servers import ROOT, SELDOM, WEB, Yard, tidied

ROWS = 400
NAMED = "numbers written as text"
SCORE = """
import sys
for name in ("trainyard", "trainyard_boosting", "trainyard_tensorflow", "trainyard_pytorch"):
    sys.modules[name] = None
import mlflow, pandas
mlflow.set_tracking_uri(sys.argv[1])
model = mlflow.pyfunc.load_model(sys.argv[2])
text = pandas.read_csv(sys.argv[3], dtype=str, keep_default_na=False).drop(columns="y")
clean = pandas.read_csv(sys.argv[4]).drop(columns="y")
assert len(model.predict(text.head(0))) == 0
assert len(model.predict(text.head(0), params={"method": "predict_proba"})) == 0
for wrong, said in [
    (clean.to_numpy(), "Model is missing inputs"),
    (clean.rename(columns=str.upper), "Model is missing inputs"),
    (text.assign(share="much"), "the column 'share' is 'much', where a number is due"),
]:
    try:
        model.predict(wrong)
    except Exception as error:
        assert said in str(error), error
    else:
        raise AssertionError(said)
for frame in (text, clean, text.head(1)):
    print(model.predict(frame, params={"method": "predict_proba"}).to_json(orient="values"))
"""


def german(value: float) -> str:
    return f"{value:,.2f}".translate(str.maketrans(",.", ".,"))


WRITTEN: dict[str, Callable[[float], str]] = {
    "comma": lambda value: f"{value:.3f}".replace(".", ","),
    "thousands": german,
    "price": lambda value: f"${value:,.2f}",
    "share": lambda value: f"{value:.1f} %",
    "horsepower": lambda value: "?" if np.isnan(value) else f"{value:.2f}",
}
"""How each column of the clean table is spelled in the other."""


def clean() -> pd.DataFrame:
    """Numbers, on each of which the target depends."""
    rng = np.random.default_rng(0)
    table = pd.DataFrame(
        {
            "comma": rng.normal(size=ROWS).round(3),
            "thousands": rng.uniform(0, 9_000, ROWS).round(2),
            "price": rng.uniform(0, 90_000, ROWS).round(2),
            "share": rng.uniform(0, 100, ROWS).round(1),
            "horsepower": rng.uniform(50, 200, ROWS).round(2),
        }
    )
    scaled = (table - table.mean()) / table.std()
    table["horsepower"] = table["horsepower"].where(rng.random(ROWS) > 0.1)
    return table.assign(y=(scaled.sum(axis=1) > 0).astype(int))


@pytest.fixture(scope="module")
def tables(data_root: Path) -> Path:
    """The folder with both tables."""
    table = clean()
    table.to_csv(data_root / "clean.csv", index=False)
    text = table.assign(**{name: table[name].map(spelled) for name, spelled in WRITTEN.items()})
    text.to_csv(data_root / "text.csv", index=False)
    return data_root


@pytest.fixture(scope="module")
def asked(service: str, rounds: str, tables: Path) -> Callable[..., dict[str, Any]]:
    """A request for the table of that name."""
    assert tables.is_dir()

    def of(name: str, **more: Any) -> dict[str, Any]:
        return {
            "model": "xgboost_classifier" if service == "boosting" else "mlp",
            "params": {rounds: 5},
            "data": {"source": "file", "uri": f"{name}.csv", "target": "y"},
            **more,
        }

    return of


@pytest.fixture(scope="module")
def runs(
    lasting_yard: Yard, asked: Callable[..., dict[str, Any]], service: str
) -> dict[str, dict[str, Any]]:
    """A run of the table of text, as it ended; in one service of the clean one too."""
    yard = tidied(lasting_yard)
    registered = {"name": NAMED, "promote": {"metric": "test_roc_auc"}}
    submitted = {"text": yard.submit(asked("text", register=registered))}
    if service == "boosting":
        submitted["clean"] = yard.submit(asked("clean"))
    ended = {name: yard.ended(run["run_id"]) for name, run in submitted.items()}
    assert {run["status"] for run in ended.values()} == {"FINISHED"}, ended
    return ended


def of_test(run: dict[str, Any]) -> dict[str, float]:
    return {name: value for name, value in run["metrics"].items() if name.startswith("test_")}


# What is read is the same in all three; that each predicts from text as from numbers is tried below.
@pytest.mark.parametrize("service", ["boosting"], indirect=True)
def test_the_metrics_are_those_of_the_clean_table(runs: dict[str, dict[str, Any]]) -> None:
    assert runs["clean"]["warnings"] == []
    assert of_test(runs["text"]) == pytest.approx(of_test(runs["clean"]), abs=1e-6)
    assert len(of_test(runs["text"])) >= 5


def test_each_column_is_named_on_the_run_in_its_log_and_in_its_profile(
    shared_yard: Yard, runs: dict[str, dict[str, Any]]
) -> None:
    run = runs["text"]
    warnings = run["warnings"]
    for name, said in zip(WRITTEN, warnings, strict=True):
        assert said.startswith(f"the column {name!r} holds numbers as text, such as ")
    log = shared_yard.http.get(f"/train/{run['run_id']}/logs").text
    assert [line for line in log.splitlines() if "warning: the column" in line] == [
        f"warning: {said}" for said in warnings
    ]
    assert _profile(shared_yard, run)["warnings"] == warnings


def _profile(yard: Yard, run: dict[str, Any]) -> dict[str, Any]:
    answer = WEB.get(
        f"{yard.mlflow.url}/get-artifact",
        params={"run_id": run["run_id"], "path": "data_profile.json"},
        timeout=30,
    )
    return dict(json.loads(answer.raise_for_status().text))


def test_the_logged_model_predicts_from_the_raw_text_without_trainyard(
    shared_yard: Yard, runs: dict[str, dict[str, Any]], service: str, tables: Path
) -> None:
    python = ROOT / f".venvs/{service}/bin/python"
    files = [tables / "text.csv", tables / "clean.csv"]
    scored = subprocess.run(
        [python, SELDOM, "-c", SCORE, shared_yard.mlflow.url, runs["text"]["model_uri"], *files],
        capture_output=True,
        text=True,
        check=True,
        timeout=400,
    )
    text, numbers, one = map(json.loads, scored.stdout.strip().splitlines()[-3:])
    assert np.array(text) == pytest.approx(np.array(numbers), abs=1e-6)
    assert np.array(one) == pytest.approx(np.array(text[:1]), abs=1e-6)
    assert len({row[1] for row in text}) > ROWS / 10


# A champion is asked by the code that its model was logged with, which the test above tries for each service.
@pytest.mark.parametrize("service", ["boosting"], indirect=True)
def test_a_champion_that_was_trained_on_text_is_judged_on_text(
    shared_yard: Yard, runs: dict[str, dict[str, Any]], asked: Callable[..., dict[str, Any]]
) -> None:
    registered = {"name": NAMED, "promote": {"metric": "test_roc_auc"}}
    run = shared_yard.ended(shared_yard.submit(asked("text", register=registered))["run_id"])
    held = runs["text"]["metrics"]["test_roc_auc"]
    assert run["metrics"]["champion_test_roc_auc"] == pytest.approx(held, abs=1e-9)
