"""Who may do what, tried on every call that a real service describes; and whose runs they are, in MLflow too."""

import re
from pathlib import Path
from typing import Any

import pytest
from mlflow import MlflowClient
from servers import PEOPLE, WEB, Yard, ticking
from trainyard.api.roles import RULES
from trainyard.contract import Role

NOBODYS = "0" * 32
# Who may do what is asked before anything meets a framework.
pytestmark = pytest.mark.parametrize("service", ["boosting"], indirect=True)


def calls(yard: Yard) -> dict[str, tuple[str, str]]:
    """Method and path of every call that the service describes, by its operationId."""
    paths = yard.http.get("/openapi.json").raise_for_status().json()["paths"]
    return {
        operation["operationId"]: (method.upper(), re.sub(r"\{\w+\}", NOBODYS, path))
        for path, methods in paths.items()
        for method, operation in methods.items()
    }


def status(yard: Yard, call: tuple[str, str], token: str | None) -> int:
    """How a call without a body is answered: it may be a bad request, but not a refusal of who asks."""
    headers = {"Authorization": f"Bearer {token}"} if token else {}
    return WEB.request(call[0], yard.service.url + call[1], headers=headers, timeout=60).status_code


def test_every_call_is_open_to_the_roles_that_its_rule_names_and_to_no_others(
    closed_yard: Yard, tokens: dict[str, str]
) -> None:
    found = calls(closed_yard)
    assert len(found) > 12
    assert found.keys() <= RULES.keys(), "a route without a rule"
    for name, call in found.items():
        needed = RULES[name]
        assert (status(closed_yard, call, None) == 401) == (needed is not None), name
        for person, role in PEOPLE.items():
            refused = status(closed_yard, call, tokens[person]) == 403
            assert refused == (needed is not None and not Role(role).includes(needed)), (name, role)
    for path in ("/decisions", "/predictions"):
        for person, role in PEOPLE.items():
            refused = status(closed_yard, ("POST", path), tokens[person]) == 403
            assert refused == (role != Role.ADMIN)


def test_a_run_is_its_submitters_in_the_service_and_in_mlflow_and_says_who_cancelled_it(
    closed_yard: Yard, tokens: dict[str, str]
) -> None:
    def as_(person: str) -> dict[str, str]:
        return {"Authorization": f"Bearer {tokens[person]}"}

    run = closed_yard.submit(ticking(), **as_("tom"))
    closed_yard.in_phase(run["run_id"], "training")
    waits = closed_yard.submit(ticking(), **as_("ada"))
    stopped: Any = closed_yard.http.delete(f"/train/{waits['run_id']}", headers=as_("pia")).json()
    assert stopped["message"] == "cancelled by pia while it waited"
    closed_yard.http.delete(f"/train/{run['run_id']}", headers=as_("pia"))
    ended = closed_yard.ended(run["run_id"])
    assert (ended["submitted_by"], ended["team"]) == ("tom", "growth")
    assert ended["transitions"][-1]["message"] == ended["message"] == "cancelled by pia"
    tags = MlflowClient(closed_yard.mlflow.url).get_run(run["run_id"]).data.tags
    assert (tags["mlflow.user"], tags["trainyard.team"]) == ("tom", "growth")
    listed = closed_yard.http.get("/train", params={"limit": 2}).json()["runs"]
    assert {each["submitted_by"] for each in listed} == {"tom", "ada"}
    audit = closed_yard.http.get("/audit", params={"limit": 200}).json()["entries"]
    of_run = [(each["by"], each["call"]) for each in audit if each["run_id"] == run["run_id"]]
    assert of_run == [("pia", f"DELETE /train/{run['run_id']}"), ("tom", "POST /train")]


def test_the_process_of_a_run_has_no_token_in_its_environment(
    closed_yard: Yard, tokens: dict[str, str]
) -> None:
    run_id = closed_yard.submit(ticking(), Authorization=f"Bearer {tokens['tom']}")["run_id"]
    closed_yard.in_phase(run_id, "training")
    told = Path(f"/proc/{closed_yard.pid(run_id)}/environ").read_text()
    closed_yard.cancel(run_id)
    assert f"MLFLOW_TRACKING_URI={closed_yard.mlflow.url}" in told
    for secret in ("TRAINYARD_TOKEN", closed_yard.service.environment["TRAINYARD_TOKEN"]):
        assert secret not in told
