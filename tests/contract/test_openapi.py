"""What OpenAPI promises holds: generated calls meet no 5xx and no undocumented answer."""

import subprocess
import sys
from pathlib import Path

import pytest
from properties import by_chance, examples
from servers import WEB, Yard


# The routes are the same code in all three services, and what they answer from is tested in each.
@pytest.mark.generated
@pytest.mark.parametrize("service", ["boosting"], indirect=True)
def test_no_generated_call_breaks_the_service(shared_yard: Yard, tmp_path: Path) -> None:
    """By schemathesis's own program: its pytest plugin does not know this pytest.

    What it has accepted waits behind a run that holds the slot, because nobody looks at how it would train.
    """
    held = {"model": "troubled", "data": {"source": "builtin", "name": "iris"}}
    shared_yard.in_phase(
        shared_yard.submit({**held, "params": {"hold": "train"}})["run_id"], "training"
    )
    done = subprocess.run(
        [
            Path(sys.executable).with_name("schemathesis"),
            "run",
            f"{shared_yard.service.url}/openapi.json",
            "--checks=not_a_server_error,status_code_conformance,content_type_conformance",
            "--phases=examples,coverage,fuzzing",
            "--exclude-path-regex=/logs$",
            f"--max-examples={examples(12)}",
            "--request-timeout=90",
            *([] if by_chance() else ["--seed=1"]),
            "--generation-database=none",
            "--suppress-health-check=all",
        ],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        timeout=examples(500),
        check=False,
    )
    assert done.returncode == 0, done.stdout[-8000:] + done.stderr[-2000:]
    for run in shared_yard.http.get("/train", params={"limit": 200}).json()["runs"]:
        if not run["ended_at"]:
            shared_yard.cancel(run["run_id"])


def test_the_examples_of_the_request_are_accepted(shared_yard: Yard, rounds: str) -> None:
    described = WEB.get(f"{shared_yard.service.url}/openapi.json", timeout=30).json()
    body = described["paths"]["/train"]["post"]["requestBody"]["content"]["application/json"]
    assert body["examples"]
    for example in body["examples"].values():
        request = example["value"]
        if rounds in request.get("params", {}):
            request["params"][rounds] = 2  # to the end, and soon there
        if "search" in request:
            request["search"]["trials"] = 2
        if "resources" in request:
            request["resources"]["workers"] = 1  # as many as there are slots
        if request["data"]["source"] == "builtin":
            run = shared_yard.ended(shared_yard.submit(request)["run_id"])
            assert run["status"] == "FINISHED"
