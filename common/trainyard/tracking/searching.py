"""A search for runs at MLflow, read as the JSON that it is.

MLflow's client makes messages of protobuf of it first, which takes as long as all else that a page of runs costs here.
"""

from typing import Any

from mlflow import MlflowClient
from mlflow.entities import Metric, Param, RunData, RunInfo, RunTag, ViewType
from mlflow.entities import Run as MlflowRun
from mlflow.store.entities.paged_list import PagedList
from mlflow.store.tracking import SEARCH_MAX_RESULTS_DEFAULT
from mlflow.utils.credentials import get_default_host_creds
from mlflow.utils.rest_utils import http_request, verify_rest_response

SEARCH = "/api/2.0/mlflow/runs/search"


class QuickClient(MlflowClient):
    """MLflow's client, but for a search of runs, which raises what the client's own does."""

    def search_runs(  # noqa: PLR0913, PLR0917 - what MLflow's has
        self,
        experiment_ids: list[str],
        filter_string: str = "",
        run_view_type: int = ViewType.ACTIVE_ONLY,
        max_results: int = SEARCH_MAX_RESULTS_DEFAULT,
        order_by: list[str] | None = None,
        page_token: str | None = None,
    ) -> PagedList[MlflowRun]:
        """A page of the runs that meet the filter."""
        asked = {
            "experiment_ids": experiment_ids,
            "filter": filter_string,
            "run_view_type": ViewType.to_string(run_view_type).upper(),
            "max_results": max_results,
            "order_by": order_by or [],
            "page_token": page_token,
        }
        answer = http_request(get_default_host_creds(self.tracking_uri), SEARCH, "POST", json=asked)
        found = verify_rest_response(answer, SEARCH).json()
        runs = [_run(each) for each in found.get("runs", [])]
        return PagedList(runs, found.get("next_page_token") or None)


def _run(found: dict[str, Any]) -> MlflowRun:
    info, data = found["info"], found.get("data", {})
    return MlflowRun(
        RunInfo(
            run_id=info["run_id"],
            experiment_id=info["experiment_id"],
            user_id=info.get("user_id", ""),
            status=info["status"],
            start_time=int(info.get("start_time", 0)),
            end_time=int(info["end_time"]) if info.get("end_time") else None,
            lifecycle_stage=info["lifecycle_stage"],
            artifact_uri=info.get("artifact_uri"),
            run_name=info.get("run_name", ""),
        ),
        RunData(
            metrics=[_metric(each) for each in data.get("metrics", [])],
            params=[Param(each["key"], each.get("value", "")) for each in data.get("params", [])],
            tags=[RunTag(each["key"], each.get("value", "")) for each in data.get("tags", [])],
        ),
    )


def _metric(found: dict[str, Any]) -> Metric:
    """A value that is no JSON number comes as its name, such as "NaN"."""
    return Metric(
        found["key"],
        float(found.get("value", 0)),
        int(found.get("timestamp", 0)),
        int(found.get("step", 0)),
    )
