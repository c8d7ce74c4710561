"""What `training_pipeline` makes of a declaration, in Airflow's environment, with no service."""

from collections.abc import Iterator
from typing import Any

import pytest
from airflow_lab import Interpreter

PROGRAM = """
from trainyard.airflow import training_pipeline

def answer(metric, rule):
    try:
        dag = training_pipeline(
            "declared", description="", tags=[], service="boosting", model="xgboost_regressor", data={},
            params={}, registered="declared", metric=metric, minimum=0.5, rule=rule,
        )
    except ValueError as error:
        return str(error)
    return dag.get_task("train").request["register"]["promote"]
"""


@pytest.fixture(scope="module")
def interpreter(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Interpreter]:
    made = Interpreter(PROGRAM, tmp_path_factory.mktemp("declared"))
    yield made
    made.close()


@pytest.mark.parametrize(
    ("metric", "rule"),
    [
        ("test_root_mean_squared_error", None),
        ("test_log_loss", {"confidence": 0.9}),
        ("test_log_loss", {"metric": "test_cost", "greater_is_better": True}),
        ("test_cost", {"greater_is_better": False}),
    ],
)
def test_a_gate_on_a_metric_of_which_less_is_better_is_refused(
    interpreter: Interpreter, metric: str, rule: dict[str, Any] | None
) -> None:
    said = interpreter.ask(metric, rule)
    assert f"metric is '{metric}', of which less is better, and the gate asks for 0.5" in said


@pytest.mark.parametrize(
    "rule", [{"metric": "test_log_loss"}, {"metric": "test_cost", "greater_is_better": False}, {}]
)
def test_a_pipeline_may_be_gated_by_one_metric_and_promote_by_another(
    interpreter: Interpreter, rule: dict[str, Any]
) -> None:
    assert interpreter.ask("test_r2", rule) == {"metric": "test_r2", **rule, "when": "asked"}
