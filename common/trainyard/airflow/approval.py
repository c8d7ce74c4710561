"""The task in which a person approves or rejects a new champion, with what there is to know in its text."""

from collections.abc import Sequence
from typing import Any

from airflow.providers.standard.operators.hitl import HITLOperator
from airflow.sdk.exceptions import AirflowSkipException

from trainyard.airflow.promotion import APPROVE
from trainyard.contract.promotion import WOULD_NOT_BE_PROMOTED

REJECT = "Reject"
DECISION = "{{ ti.xcom_pull(task_ids='TRAIN')['registered']['decision'] }}"
BODY = """{% set run = ti.xcom_pull(task_ids='TRAIN') %}{% set metrics = run['metrics'] %}
Version {{ run['registered']['version'] }} of **{{ run['registered']['name'] }}**, run `{{ run['run_id'] }}`.

{{ run['registered']['decision'] }}

| metric, on the same test rows | new version | champion |
| --- | --- | --- |
{% for name in metrics | sort if name.startswith('test_') -%}
| {{ name }} | {{ '%.5g' | format(metrics[name]) }} | {{ '%.5g' | format(metrics['champion_' ~ name]) if 'champion_' ~ name in metrics else 'none' }} |
{% endfor %}
"""


class ApprovalOperator(HITLOperator):
    """Asks a person, unless the run's `decision` is that the rule would not promote its version in any case."""

    template_fields: Sequence[str] = (*HITLOperator.template_fields, "decision")

    def __init__(self, *, decision: str, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.decision = decision

    def execute(self, context: Any) -> None:
        """Ask; skipped with the decision where no answer would change it."""
        if str(self.decision).startswith(WOULD_NOT_BE_PROMOTED):
            raise AirflowSkipException(str(self.decision))
        super().execute(context)


def approval(registered: str, *, train: str) -> ApprovalOperator:
    """Waits for a person, for as long as it takes; its XCom is what `PromoteOperator` takes as `answer`.

    It is skipped, and so is what comes after it, where the rule would not promote the version: an approval would
    change nothing. It holds no worker while it waits. What is rejected does not fail: the promoting task tells the service.

    :param train: The task_id of the training.
    """
    return ApprovalOperator(
        task_id="approve",
        decision=DECISION.replace("TRAIN", train),
        subject=f"Promote the new version of {registered}?",
        body=BODY.replace("TRAIN", train),
        options=[APPROVE, REJECT],
        # Of the pipeline's own, Airflow would make how long a person may take.
        execution_timeout=None,
    )
