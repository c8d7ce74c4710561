"""A person approves or rejects a new champion in a real Airflow, over a real service and a real MLflow."""

from pathlib import Path

import psutil
import pytest
from airflow_lab import Airflow
from champions import bank, decided_as_recomputed
from mlflow import MlflowClient
from servers import Server, until

DAG = "approved_by_a_person"
NAME = "approved-by-a-person"
SECONDS = 300.0


def asked(airflow: Airflow, run: str) -> str:
    """What the person reads, once they are asked and no process waits for them.

    No person answers before the scheduler has heard that the process ended. It would take the task for lost.
    """
    task = airflow.api.in_state(DAG, run, "approve", "awaiting_input")
    until(lambda: not psutil.pid_exists(task["pid"]), "the task's process to end")
    until(lambda: heard_of(airflow, run), "the scheduler to hear of it")
    found = airflow.api.ask("GET", details(run))
    assert found["options"] == ["Approve", "Reject"]
    return str(found["body"])


def heard_of(airflow: Airflow, run: str) -> bool:
    """Whether the scheduler has dealt with the end of the task's process."""
    told = f"TaskInstance Finished: dag_id={DAG}, task_id=approve, run_id={run},"
    return told in (airflow.home / "scheduler.log").read_text(errors="replace")


def details(run: str) -> str:
    return f"/dags/{DAG}/dagRuns/{run}/taskInstances/approve/-1/hitlDetails"


def answered(airflow: Airflow, run: str, option: str) -> None:
    """The person's answer, and the end of what follows from it."""
    airflow.api.ask("PATCH", details(run), json={"chosen_options": [option]})
    assert airflow.api.ended(DAG, run, SECONDS) == "success"


def holder(client: MlflowClient) -> str | None:
    aliases = client.get_registered_model(NAME).aliases
    return str(aliases["champion"]) if "champion" in aliases else None


def decision(client: MlflowClient, version: str) -> str:
    return str(client.get_model_version(NAME, version).tags["trainyard.promotion.decision"])


@pytest.mark.timeout(1200)
def test_a_person_approves_then_rejects_and_both_are_said_on_the_version(
    airflow: Airflow, mlflow_server: Server
) -> None:
    client = MlflowClient(mlflow_server.url)
    first = airflow.api.trigger(DAG, n_estimators=2)
    assert "nobody held 'champion'" in asked(airflow, first)
    assert holder(client) is None
    answered(airflow, first, "Approve")
    assert airflow.api.task(DAG, first, "promote")["state"] == "success"
    assert holder(client) == "1"
    assert decision(client, "1").endswith("; asked for by admin")

    second = airflow.api.trigger(DAG, n_estimators=60)
    told = asked(airflow, second)
    metrics = airflow.api.xcom(DAG, second, "train")["metrics"]
    ours, theirs = metrics["test_log_loss"], metrics["champion_test_log_loss"]
    assert f"| test_log_loss | {ours:.5g} | {theirs:.5g} |" in told
    assert "with 60% confidence" in told
    answered(airflow, second, "Reject")
    assert airflow.api.task(DAG, second, "promote")["state"] == "skipped"
    assert holder(client) == "1"
    assert decision(client, "2").startswith("not promoted: rejected by admin; test_log_loss is")


def test_on_a_table_that_grows_the_champion_is_who_is_better_on_the_newest_rows(
    airflow: Airflow, mlflow_server: Server, data_root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MLFLOW_TRACKING_URI", mlflow_server.url)
    client, dag, name = MlflowClient(mlflow_server.url), "by_quarters", "by-quarters"
    whole, champion, changed = bank(16_000), None, 0
    for rows in (4_000, 8_000, 12_000, 16_000):
        whole.head(rows).to_csv(data_root / "quarters.csv", index=False)
        run = airflow.api.trigger(dag)
        assert airflow.api.ended(dag, run, SECONDS) == "success"
        trained = airflow.api.xcom(dag, run, "train")
        better = decided_as_recomputed(client, name, trained, whole.head(rows), champion)
        promote = airflow.api.task(dag, run, "promote")["state"]
        assert promote == ("success" if better else "skipped")
        if better:
            champion, changed = trained["registered"]["version"], changed + 1
        assert client.get_registered_model(name).aliases["champion"] == champion
    assert changed >= 2, "new data, and never a new champion"
