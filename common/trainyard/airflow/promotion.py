"""The promoting task: an alias moves to the version that a training registered, if it beats the holder's.

It does from Airflow, where a gate can come before it, what a request with `promote` does inside a run: the same
comparison on the same data and split, the same notes on the version, the same history for `trainyard rollback`
(`trainyard.registry`, which needs MLflow installed).
"""

import json
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

from airflow.sdk import BaseOperator
from airflow.sdk.exceptions import AirflowException, AirflowSkipException

from trainyard.airflow.connection import find
from trainyard.airflow.mlflow_api import MlflowRefused, Registry, Version

SAME = ("trainyard.data_digest", "trainyard.split")
HISTORY = "trainyard.previous."
NOTE = "trainyard.promotion."
KEPT_HOLDERS = 20


class PromoteOperator(BaseOperator):
    """Gives the alias to the version of a training if its metric beats the holder's on the same data and split.

    Succeeds, and emits its `outlets` with the version in their `extra`, where the alias is the version's in the
    end; is skipped otherwise, so that nothing downstream takes the old champion for a new one. Give the tasks
    that promote one registered model one `pool` with one slot where several may do so at the same time.

    :param registered: `name` and `version`, as the training task's XCom `registered` has them. (templated)
    :param metric: The metric to compare, such as `test_roc_auc`. (templated)
    :param alias: What moves. (templated)
    :param greater_is_better: Whether more of the metric is better.
    :param min_delta: By how much it must be better.
    :param conn_id: The HTTP connection of MLflow. (templated)
    """

    template_fields: Sequence[str] = ("registered", "metric", "alias", "conn_id")

    def __init__(  # noqa: PLR0913 - each by name
        self, *, registered: Mapping[str, Any] | Any, metric: str, alias: str = "champion",
        greater_is_better: bool = True, min_delta: float = 0.0, conn_id: str = "trainyard_mlflow", **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self.registered = registered
        self.metric = metric
        self.alias = alias
        self.greater_is_better = greater_is_better
        self.min_delta = min_delta
        self.conn_id = conn_id

    def execute(self, context: Any) -> dict[str, Any]:
        """Compare, perhaps move the alias, note the decision, emit the outlets."""
        name, version = self.registered["name"], str(self.registered["version"])
        try:
            with Registry(find(self.conn_id), name) as registry:
                promoted, decision = self._promote(registry, version)
        except MlflowRefused as error:
            raise AirflowException(str(error)) from error
        self.log.info("%s version %s %s", name, version, decision)
        if not promoted:
            raise AirflowSkipException(decision)
        champion = {"name": name, "version": version, "alias": self.alias, "decision": decision}
        for asset in self.outlets:
            context["outlet_events"][asset].extra = champion
        return champion

    def _promote(self, registry: Registry, number: str) -> tuple[bool, str]:
        holder = registry.holder(self.alias)
        if holder == number:
            return True, f"promoted: it already holds {self.alias!r}"
        candidate = registry.version(number)
        champion = registry.version(holder) if holder else None
        promoted, decision = self._decide(candidate, champion)
        if promoted:
            earlier = [each for each in json.loads(registry.tag(HISTORY + self.alias) or "[]") if each != holder]
            if holder:
                registry.set_tag(HISTORY + self.alias, json.dumps([*earlier, holder][-KEPT_HOLDERS:]))
            registry.set_alias(self.alias, number)
        self._note(registry, candidate, champion, decision)
        return promoted, decision

    def _decide(self, candidate: Version, champion: Version | None) -> tuple[bool, str]:
        value = candidate.metrics.get(self.metric)
        if value is None:
            return False, f"not promoted: its run has no metric {self.metric}"
        if champion is None:
            return True, f"promoted: nobody held {self.alias!r}; {self.metric} is {value:.10g}"
        other = champion.metrics.get(self.metric)
        if other is None:
            return False, f"not promoted: the run of version {champion.number} has no metric {self.metric}"
        for tag in SAME:
            mine, theirs = candidate.run_tags.get(tag), champion.run_tags.get(tag)
            if mine is None or mine != theirs:
                return False, f"not promoted: {tag} is {mine} and that of version {champion.number} is {theirs}, so that {self.metric} cannot be compared"
        gain = value - other if self.greater_is_better else other - value
        better = gain > self.min_delta
        verdict, verb = ("promoted", "beats") if better else ("not promoted", "does not beat")
        return better, f"{verdict}: {self.metric} {value:.10g} {verb} version {champion.number}'s {other:.10g} by more than {self.min_delta:g}"

    def _note(self, registry: Registry, candidate: Version, champion: Version | None, decision: str) -> None:
        noted = {
            "alias": self.alias, "metric": self.metric, "value": candidate.metrics.get(self.metric),
            "champion_version": champion.number if champion else None,
            "champion_value": champion.metrics.get(self.metric) if champion else None,
            "at": datetime.now(UTC).isoformat(timespec="seconds"), "decision": decision,
        }
        for key, value in noted.items():
            registry.set_version_tag(candidate.number, NOTE + key, "" if value is None else str(value))
