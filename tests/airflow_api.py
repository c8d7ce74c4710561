"""Airflow's REST API, as a user of it: the same for an Airflow of the tests and for that of the stack."""

import uuid
from typing import Any

import httpx
from servers import until

ENDED = frozenset({"success", "failed"})


def logged_in(url: str, password: str) -> httpx.Client:
    """A client of the API, as the admin. Raises httpx.HTTPError while the API server is not there."""
    login = {"username": "admin", "password": password}
    token = (
        httpx.post(f"{url}/auth/token", json=login, timeout=60)
        .raise_for_status()
        .json()["access_token"]
    )
    return httpx.Client(
        base_url=f"{url}/api/v2", headers={"Authorization": f"Bearer {token}"}, timeout=60
    )


class AirflowApi:
    """What the tests ask of an Airflow, and do to it."""

    def __init__(self, http: httpx.Client, *, patience_seconds: float) -> None:
        self.http = http
        self.patience_seconds = patience_seconds

    def ask(self, method: str, path: str, **sent: Any) -> Any:
        answer = self.http.request(method, path, **sent)
        assert answer.is_success, f"{method} {path}: {answer.status_code} {answer.text}"
        return answer.json() if answer.content else None

    def dag_ids(self) -> set[str]:
        """The DAGs that it has read; a file that it cannot read fails the test."""
        broken = self.ask("GET", "/importErrors")["import_errors"]
        assert not broken, broken
        return {
            dag["dag_id"]
            for dag in self.ask("GET", "/dags", params={"limit": 100, "exclude_stale": True})[
                "dags"
            ]
        }

    def until_read(self, *dag_ids: str) -> None:
        until(lambda: self.dag_ids() >= set(dag_ids), f"Airflow to have read {dag_ids}")

    def turn_on(self, *dag_ids: str) -> None:
        """Have the DAGs run, where they are paused."""
        self.until_read(*dag_ids)
        for dag_id in dag_ids:
            self.ask("PATCH", f"/dags/{dag_id}", json={"is_paused": False})

    def turn_on_without_a_daily_run(self, *dag_ids: str) -> None:
        """The same, with no run for the day that is over, which a daily DAG has at once when it is turned on.

        Its runs take turns: what a test triggers would wait until that one has trained. For a date that has a run the
        scheduler makes none; while the DAG is paused nothing of it is carried out.
        """
        self.until_read(*dag_ids)
        for dag_id in dag_ids:
            dag = self.ask("GET", f"/dags/{dag_id}")
            if dag["is_paused"] and dag["next_dagrun_logical_date"]:
                wanted = {"logical_date": dag["next_dagrun_logical_date"]}
                self._end_at_once(dag_id, wanted)
        self.turn_on(*dag_ids)

    def _end_at_once(self, dag_id: str, wanted: dict[str, Any]) -> None:
        """Make the run, and end it; one that is there already was broken off between the two."""
        made = self.http.post(f"/dags/{dag_id}/dagRuns", json=wanted)
        if made.status_code == httpx.codes.CONFLICT:
            return
        run = made.raise_for_status().json()["dag_run_id"]
        self.ask("PATCH", f"/dags/{dag_id}/dagRuns/{run}", json={"state": "failed"})

    def trigger(self, dag_id: str, **conf: Any) -> str:
        """Start a run of the DAG, which is turned on first where it is paused; the run's id."""
        self.turn_on(dag_id)
        wanted = {"dag_run_id": f"test-{uuid.uuid4()}", "logical_date": None, "conf": conf}
        return str(self.ask("POST", f"/dags/{dag_id}/dagRuns", json=wanted)["dag_run_id"])

    def newest(self, dag_id: str) -> dict[str, Any] | None:
        """The newest run of the DAG."""
        runs = self.ask("GET", f"/dags/{dag_id}/dagRuns", params={"order_by": "-id", "limit": 1})[
            "dag_runs"
        ]
        return runs[0] if runs else None

    def task(self, dag_id: str, run: str, task_id: str, map_index: int = -1) -> dict[str, Any]:
        where = _task(dag_id, run, task_id)
        return dict(self.ask("GET", where if map_index < 0 else f"{where}/{map_index}"))

    def task_states(self, dag_id: str, run: str, task_id: str) -> list[str | None]:
        """The state of each task instance of that name: one, or one for each map index."""
        found = self.ask(
            "GET", f"/dags/{dag_id}/dagRuns/{run}/taskInstances", params={"limit": 100}
        )["task_instances"]
        return [each["state"] for each in found if each["task_id"] == task_id]

    def in_state(self, dag_id: str, run: str, task_id: str, state: str) -> dict[str, Any]:
        """The task once it is in the state."""

        def there() -> dict[str, Any] | None:
            found = self.task(dag_id, run, task_id)
            return found if found["state"] == state else None

        what = f"{task_id} of {dag_id} to be {state}"
        return dict(
            until(there, what, self.patience_seconds, explain=lambda: self.standing(dag_id, run))
        )

    def ended(self, dag_id: str, run: str, seconds: float | None = None) -> str:
        """`success` or `failed`, once the run of the DAG came to it; an API server that restarts is waited for."""

        def end() -> str | None:
            try:
                state = self.ask("GET", f"/dags/{dag_id}/dagRuns/{run}")["state"]
            except httpx.TransportError:
                return None
            return state if state in ENDED else None

        patience = seconds or self.patience_seconds
        return str(
            until(
                end, f"{dag_id} {run} to end", patience, explain=lambda: self.standing(dag_id, run)
            )
        )

    def standing(self, dag_id: str, run: str) -> str:
        """Where each task of a run of the DAG stands, and what each said that was tried more than once or failed."""
        told = []
        for each in self.ask(
            "GET", f"/dags/{dag_id}/dagRuns/{run}/taskInstances", params={"limit": 100}
        )["task_instances"]:
            told.append(
                f"{each['task_id']}: {each['state']}, try {each['try_number']}, {each['start_date']} to {each['end_date']}"
            )
            if each["state"] in {"up_for_retry", "failed"} or each["try_number"] > 1:
                told.append(self.log(dag_id, run, each["task_id"])[-4000:])
        return "\n".join(told)

    def xcom(self, dag_id: str, run: str, task_id: str, key: str = "return_value") -> Any:
        """What a task left for others."""
        return self.ask("GET", f"{_task(dag_id, run, task_id)}/xcomEntries/{key}")["value"]

    def log(self, dag_id: str, run: str, task_id: str, attempt: int = 1) -> str:
        """What a task printed, a JSON object a line."""
        where = f"{_task(dag_id, run, task_id)}/logs/{attempt}"
        return self.http.get(
            where, params={"full_content": True}, headers={"Accept": "application/x-ndjson"}
        ).text

    def events(self, name: str) -> list[str]:
        """What Airflow's audit log says of the events of a name."""
        return [
            each["extra"]
            for each in self.ask("GET", "/eventLogs", params={"event": name, "limit": 100})[
                "event_logs"
            ]
        ]

    def mark(self, dag_id: str, run: str, task_id: str, state: str) -> None:
        self.ask("PATCH", _task(dag_id, run, task_id), json={"new_state": state})

    def clear(self, dag_id: str, run: str, *task_ids: str) -> None:
        body = {
            "dry_run": False,
            "dag_run_id": run,
            "task_ids": task_ids,
            "only_failed": False,
            "reset_dag_runs": True,
        }
        self.ask("POST", f"/dags/{dag_id}/clearTaskInstances", json=body)


def _task(dag_id: str, run: str, task_id: str) -> str:
    return f"/dags/{dag_id}/dagRuns/{run}/taskInstances/{task_id}"
