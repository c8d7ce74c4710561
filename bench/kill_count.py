"""What became of the runs, as the service tells it and as MLflow does."""

from collections import Counter
from dataclasses import dataclass
from typing import Any

import httpx
from mlflow import MlflowClient
from mlflow.entities import Run as MlflowRun

ENDED = frozenset({"FINISHED", "FAILED", "KILLED"})
STAYS = ("status", "reason", "message", "attempt", "model_uri")
"""Of a run that has ended, whichever service tells it."""
PAGE = 1000


@dataclass(frozen=True)
class Ends:
    """How each accepted run stands in the service, and every run of the instance in MLflow."""

    told: dict[str, dict[str, Any] | None]
    """By run id; None where the service does not know it."""
    kept: dict[str, MlflowRun]

    @property
    def wrong(self) -> dict[str, set[str]]:
        """What the guarantee rules out."""
        kinds = ("lost", "twice", "unended", "differing", "unexplained")
        return {name: getattr(self, name) for name in kinds}

    @property
    def unended(self) -> set[str]:
        """Runs that are under way, for the service or for MLflow."""
        told = {run_id for run_id, run in self.told.items() if run and run["status"] not in ENDED}
        return told | {run_id for run_id, run in self.kept.items() if run.info.status not in ENDED}

    @property
    def lost(self) -> set[str]:
        """Accepted runs that the service or MLflow does not know."""
        return {
            run_id for run_id, run in self.told.items() if run is None or run_id not in self.kept
        }

    @property
    def twice(self) -> set[str]:
        """Keys that have more than one run of the same attempt; the run of a submit that was never answered is robbed of its key."""
        taken = Counter(
            (run.data.tags.get("trainyard.idempotency_key"), run.data.tags.get("trainyard.attempt"))
            for run in self.kept.values()
            if run.data.tags.get("trainyard.key_digest")
        )
        return {f"{key}, attempt {attempt}" for (key, attempt), times in taken.items() if times > 1}

    @property
    def differing(self) -> set[str]:
        """Runs of which the service and MLflow say different things."""
        return {
            run_id
            for run_id, run in self.told.items()
            if run and run_id in self.kept and run["status"] != self.kept[run_id].info.status
        }

    @property
    def unexplained(self) -> set[str]:
        """Runs that failed for no reason."""
        return {
            run_id
            for run_id, run in self.told.items()
            if run and run["status"] == "FAILED" and not run["reason"]
        }

    def changed(self, later: "Ends") -> set[str]:
        """Runs whose end was another one later."""

        def end(run: dict[str, Any] | None) -> list[Any]:
            return [(run or {}).get(name) for name in STAYS]

        return {
            run_id
            for run_id, run in self.told.items()
            if run and end(run) != end(later.told[run_id])
        }

    @property
    def statuses(self) -> dict[str, int]:
        """How many runs ended how."""
        return dict(Counter(run["status"] for run in self.told.values() if run))

    @property
    def tried_again(self) -> int:
        """How many runs needed a second process."""
        return sum(run["attempt"] > 1 for run in self.told.values() if run)


def in_service(
    api: str, run_ids: list[str], headers: dict[str, str] | None = None
) -> dict[str, dict[str, Any] | None]:
    """Each run as the service tells it; None where it does not know it."""
    with httpx.Client(base_url=api, headers=headers, timeout=60, trust_env=False) as http:
        answers = {run_id: http.get(f"/train/{run_id}") for run_id in run_ids}
    return {run_id: each.json() if each.is_success else None for run_id, each in answers.items()}


def in_mlflow(tracking_uri: str, instance: str) -> dict[str, MlflowRun]:
    """Every run of the instance."""
    client = MlflowClient(tracking_uri)
    experiments = [each.experiment_id for each in client.search_experiments()]
    found: dict[str, MlflowRun] = {}
    token: str | None = ""
    while token is not None:
        page = client.search_runs(
            experiments,
            f"tags.`trainyard.instance` = '{instance}'",
            max_results=PAGE,
            page_token=token or None,
        )
        found |= {run.info.run_id: run for run in page}
        token = page.token or None
    return found
