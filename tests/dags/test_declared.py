"""What `training_pipeline` makes of a declaration, and whether a person is asked, in Airflow's environment, with no service."""

from collections.abc import Iterator
from typing import Any

import pytest
from airflow_lab import Interpreter
from trainyard.registry.promotion import Decision, awaiting

PROGRAM = """
from types import SimpleNamespace
from airflow.providers.standard.operators import hitl
from airflow.sdk.exceptions import AirflowSkipException, TaskAwaitingInput
from trainyard.airflow import training_pipeline
from trainyard.airflow.approval import approval

hitl.upsert_hitl_detail = lambda **_: None  # nobody runs this task

def approve(decision):
    registered = {"name": "m", "version": "2", "decision": decision}
    run = {"run_id": "r", "metrics": {}, "registered": registered}
    instance = SimpleNamespace(id="1", xcom_pull=lambda task_ids: run)
    context = {"ti": instance, "task_instance": instance}
    operator = approval("m", train="train")
    operator.render_template_fields(context)
    try:
        operator.execute(context)
    except (AirflowSkipException, TaskAwaitingInput) as ended:
        return [type(ended).__name__, str(ended)]

def answer(what, *given):
    return globals()[what](*given)

def pipeline(metric, rule):
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
    said = interpreter.ask("pipeline", metric, rule)
    assert f"metric is '{metric}', of which less is better, and the gate asks for 0.5" in said


@pytest.mark.parametrize(
    "rule", [{"metric": "test_log_loss"}, {"metric": "test_cost", "greater_is_better": False}, {}]
)
def test_a_pipeline_may_be_gated_by_one_metric_and_promote_by_another(
    interpreter: Interpreter, rule: dict[str, Any]
) -> None:
    assert interpreter.ask("pipeline", "test_r2", rule) == {
        "metric": "test_r2",
        **rule,
        "when": "asked",
    }


@pytest.mark.parametrize(
    ("promoted", "ended"), [(True, "TaskAwaitingInput"), (False, "AirflowSkipException")]
)
def test_a_person_is_asked_only_where_an_approval_would_promote(
    interpreter: Interpreter, promoted: bool, ended: str
) -> None:
    said = "promoted" if promoted else "not promoted"
    decision = awaiting(Decision(promoted=promoted, text=f"{said}: test_r2 is 0.5", value=0.5))
    kind, text = interpreter.ask("approve", decision.text)
    assert kind == ended
    assert promoted or text == decision.text
