"""Names in any script, with slashes, colons, brackets and quotes, through HTTP to MLflow and back."""

from typing import Any

import pytest
from servers import Yard

RUN_NAME = "scheduled__2024-01-01T00:00:00+00:00"


# MLflow is told by the same code in all three services.
@pytest.mark.parametrize("service", ["boosting"], indirect=True)
@pytest.mark.parametrize("name", ["team/churn", "销售", "it's [a] %20 name"])
def test_a_run_is_kept_and_found_by_the_names_that_people_give(
    shared_yard: Yard, quick: dict[str, Any], name: str
) -> None:
    named = {"experiment": name, "run_name": RUN_NAME, "tags": {"clé": name, "a:b": "c"}}
    run = shared_yard.ended(shared_yard.submit({**quick, **named})["run_id"])
    assert (run["status"], run["experiment"], run["run_name"]) == ("FINISHED", name, RUN_NAME)
    found = shared_yard.http.get("/train", params={"experiment": name}).json()["runs"]
    assert [each["run_id"] for each in found] == [run["run_id"]]
