"""Runs that several processes train, as the tests ask for them and look at them."""

import json
import re
from typing import Any

import psutil
from servers import WEB, Yard, until

ALIKE = re.compile(r"^\[rank (\d)\] \d workers hold the same model, sha256 (\w{64})$", re.MULTILINE)


def asked(
    model: str = "ranked", *, workers: int = 2, data: str = "iris", **changes: Any
) -> dict[str, Any]:
    return {
        "model": model,
        "data": {"source": "builtin", "name": data},
        "resources": {"workers": workers},
        **changes,
    }


def trained(yard: Yard, **request: Any) -> dict[str, Any]:
    return yard.ended(yard.submit(asked(**request))["run_id"])


def log_of(yard: Yard, run: dict[str, Any]) -> str:
    return (yard.folder(run["run_id"]) / "training.log").read_text()


def pids(yard: Yard, run_id: str) -> list[int]:
    """The processes of the run's ranks, once there are some."""
    state = yard.folder(run_id) / "state.json"
    process_id = until(lambda: json.loads(state.read_text())["process_id"], "its processes")
    return [int(each.split(":")[1]) for each in process_id.split("+")]


def trains(yard: Yard, run_id: str, *, attempt: int = 1) -> list[int]:
    """The processes of the run's ranks, once they have trained a round of this attempt."""

    def there() -> bool:
        run = yard.get(run_id)
        assert not run["ended_at"], run
        going = run["phase"] == "training" and run["progress"] is not None
        return going and run["attempt"] == attempt

    until(there, f"a round of attempt {attempt} of {run_id}")
    return pids(yard, run_id)


def none_is_left(numbers: list[int]) -> bool:
    return not any(psutil.pid_exists(number) for number in numbers)


def alike(yard: Yard, run: dict[str, Any]) -> set[int]:
    """The ranks that said the digest of their model, which is the same."""
    return set(digests(yard, run))


def digests(yard: Yard, run: dict[str, Any]) -> dict[int, str]:
    """What each rank said its model's digest is, which is the same."""
    found = {int(rank): digest for rank, digest in ALIKE.findall(log_of(yard, run))}
    assert len(set(found.values())) == 1, found
    return found


def history(yard: Yard, run: dict[str, Any], metric: str) -> dict[int, float]:
    """What MLflow has of the metric: a value a round.

    A round after whose metrics an attempt was ended, before it had a checkpoint, may be there twice; none else may.
    """
    points = WEB.get(
        f"{yard.mlflow.url}/api/2.0/mlflow/metrics/get-history",
        params={"run_id": run["run_id"], "metric_key": metric},
        timeout=30,
    ).json()["metrics"]
    found = {int(point["step"]): float(point["value"]) for point in points}
    assert len(points) - len(found) < run["attempt"], "rounds were trained anew"
    return found
