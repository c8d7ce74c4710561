"""`PromoteOperator` has the service decide: by the run's rule, or as a person answered."""

import re
from collections.abc import Iterator
from typing import Any

import pytest
from airflow_lab import Interpreter, connections
from mlflow import MlflowClient
from servers import Server, Yard

PROGRAM = """
UNANSWERED = "the XCom of a task"

from airflow.sdk.exceptions import AirflowFailException, AirflowSkipException
from trainyard.airflow import PromoteOperator

def answer(run_id, said):
    operator = PromoteOperator(
        task_id="promote", run_id=run_id, conn_id="trainyard_boosting", answer=said
    )
    if said == UNANSWERED:
        operator.answer = None  # what Airflow makes of the XCom of a task that left none
    try:
        return {"given": operator.execute({})}
    except (AirflowFailException, AirflowSkipException) as error:
        return {type(error).__name__: str(error)}
"""
UNANSWERED = "the XCom of a task"
ANNA = {"responded_by_user": {"id": "1", "name": "anna"}}


def trained(yard: Yard, name: str, rounds: int, seed: int = 42) -> dict[str, Any]:
    """A run that was judged, and waits to be asked for; of other rows where the seed is another."""
    request = {
        "model": "xgboost_classifier",
        "params": {"n_estimators": rounds},
        "data": {"source": "builtin", "name": "breast_cancer"},
        "split": {"seed": seed},
        "register": {"name": name, "promote": {"metric": "test_log_loss", "when": "asked"}},
    }
    run = yard.ended(yard.submit(request)["run_id"])
    assert run["status"] == "FINISHED", run
    return run


@pytest.fixture(scope="module")
def interpreter(trainers: Yard, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Interpreter]:
    home = tmp_path_factory.mktemp("promotion")
    made = Interpreter(PROGRAM, home, **connections({"boosting": trainers.service.url}))
    yield made
    made.close()


@pytest.fixture
def promote(interpreter: Interpreter) -> Any:
    """What the task gives, or how it ends."""

    def execute(run: dict[str, Any], answer: dict[str, Any] | str | None = None) -> dict[str, Any]:
        return dict(interpreter.ask(run["run_id"], answer))

    return execute


@pytest.fixture
def client(mlflow_server: Server) -> MlflowClient:
    return MlflowClient(mlflow_server.url)


def test_the_better_is_promoted_and_the_worse_is_skipped(
    trainers: Yard, client: MlflowClient, promote: Any
) -> None:
    name = "asked-by-airflow"
    better, worse = trained(trainers, name, 60), trained(trainers, name, 1)
    given = promote(better)["given"]
    assert (given["name"], given["version"], given["aliases"]) == (name, "1", ["champion"])
    assert given["decision"].startswith("promoted: ")
    assert promote(better)["given"] == given
    assert promote(worse)["AirflowSkipException"].startswith("not promoted: test_log_loss is")
    assert client.get_registered_model(name).aliases == {"champion": "1"}


def test_what_a_person_rejected_is_skipped_and_said_on_the_version(
    trainers: Yard, client: MlflowClient, promote: Any
) -> None:
    name = "rejected-in-airflow"
    run = trained(trainers, name, 10)
    said = promote(run, {"chosen_options": ["Reject"], **ANNA})["AirflowSkipException"]
    assert said.startswith("not promoted: rejected by anna; nobody held 'champion'")
    tags = client.get_model_version(name, "1").tags
    assert tags["trainyard.promotion.decision"] == said
    assert not client.get_registered_model(name).aliases
    approved = promote(run, {"chosen_options": ["Approve"], **ANNA})["given"]
    assert approved["decision"].endswith("; asked for by anna")


def test_a_question_that_nobody_answered_is_no_yes(
    trainers: Yard, client: MlflowClient, promote: Any
) -> None:
    """As where the task that asks was skipped, or marked as successful."""
    name = "unanswered-in-airflow"
    run = trained(trainers, name, 10)
    assert "nobody has answered" in promote(run, UNANSWERED)["AirflowFailException"]
    as_text = "{'chosen_options': ['Approve']}"
    assert "answer=approve.output" in promote(run, as_text)["AirflowFailException"]
    assert not client.get_registered_model(name).aliases


def test_a_champion_that_came_meanwhile_on_other_rows_is_scored_on_those_of_the_run(
    trainers: Yard, client: MlflowClient, promote: Any
) -> None:
    name = "overtaken"
    early, late = trained(trainers, name, 60), trained(trainers, name, 10, seed=7)
    promote(late)
    decision = promote(early)["AirflowSkipException"]
    assert re.search(
        r"on \d+ test rows, and version 2 has [\d.]+ on the same rows \(difference .* with 95% confidence",
        decision,
    ), decision
    assert client.get_registered_model(name).aliases == {"champion": "2"}


def test_a_judgement_that_somebody_changed_fails_the_task_for_good(
    trainers: Yard, client: MlflowClient, promote: Any
) -> None:
    name = "judgement-changed"
    run = trained(trainers, name, 10)
    judgement = next(
        key
        for key in client.get_model_version(name, "1").tags
        if key.startswith("trainyard.judged.")
    )
    client.set_model_version_tag(name, "1", judgement, "better, believe me")
    assert "train it again" in promote(run)["AirflowFailException"]
    assert not client.get_registered_model(name).aliases
