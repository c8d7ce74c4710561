"""How a task instance finds its run again in another try: by its key, and by what it kept."""

import hashlib
import json
from collections.abc import Mapping
from typing import Any

from trainyard.client.calls import KEY

GIVEN = "given"
"""In the task's state: the run whose result was given on."""


def idempotency_key(ti: Any) -> str:
    """One key a task instance, the same in every try."""
    parts = f"{ti.dag_id}/{ti.run_id}/{ti.task_id}/{ti.map_index}"
    key = f"airflow/{parts}"
    return key if KEY.fullmatch(key) else f"airflow/{hashlib.sha256(parts.encode()).hexdigest()}"


def key_of_another(key: str, request: Mapping[str, Any]) -> str:
    """The key of the same task instance with a request other than the one that it sent before."""
    digest = hashlib.sha256(json.dumps(request, sort_keys=True).encode()).hexdigest()[:16]
    return f"{key[:200]}/{digest}"


def next_key(context: Any, request: Mapping[str, Any] | None = None) -> str:
    """The key of the run that this task instance wants: one until its result was given on, then that of the next.

    With `request` that of another request than the one which the key was used for.
    """
    own = idempotency_key(context["ti"])
    given = state_store(context).get(GIVEN)
    if given is None:
        return own if request is None else key_of_another(own, request)
    return key_of_another(own, {"after": given} | ({} if request is None else {"request": request}))


def give_on(context: Any, run_id: str) -> None:
    """Note that the task succeeds with this run: who clears it from now on wants another one."""
    state_store(context).set(GIVEN, run_id)


def state_store(context: Any) -> Any:
    """Airflow 3.3's task state, which outlives a try as XCom does not."""
    found = context.get("task_state_store")
    return _NoStore() if found is None else found


class _NoStore:
    """Where there is no task state: nothing is known of earlier tries."""

    def get(self, key: str) -> None:
        """Nothing."""

    def set(self, key: str, value: str) -> None:
        """Keep nothing."""
