"""How a task instance finds its run again in another try: by its key, and by what it kept."""

import hashlib
import json
from collections.abc import Mapping
from typing import Any

from trainyard.client.calls import KEY


def idempotency_key(ti: Any) -> str:
    """One key a task instance, the same in every try."""
    parts = f"{ti.dag_id}/{ti.run_id}/{ti.task_id}/{ti.map_index}"
    key = f"airflow/{parts}"
    return key if KEY.fullmatch(key) else f"airflow/{hashlib.sha256(parts.encode()).hexdigest()}"


def key_of_another(key: str, request: Mapping[str, Any]) -> str:
    """The key of the same task instance with a request other than the one that it sent before."""
    digest = hashlib.sha256(json.dumps(request, sort_keys=True).encode()).hexdigest()[:16]
    return f"{key[:200]}/{digest}"


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
