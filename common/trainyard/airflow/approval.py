"""The task in which a person approves or rejects a new champion, with what there is to know in its text."""

from airflow.providers.standard.operators.hitl import HITLOperator

from trainyard.airflow.promotion import APPROVE

REJECT = "Reject"
BODY = """{% set run = ti.xcom_pull(task_ids='TRAIN') %}{% set metrics = run['metrics'] %}
Version {{ run['registered']['version'] }} of **{{ run['registered']['name'] }}**, run `{{ run['run_id'] }}`.

{{ run['registered']['decision'] }}

| metric, on the same test rows | new version | champion |
| --- | --- | --- |
{% for name in metrics | sort if name.startswith('test_') -%}
| {{ name }} | {{ '%.5g' | format(metrics[name]) }} | {{ '%.5g' | format(metrics['champion_' ~ name]) if 'champion_' ~ name in metrics else 'none' }} |
{% endfor %}
"""


def approval(registered: str, *, train: str) -> HITLOperator:
    """Waits for a person, for as long as it takes; its XCom is what `PromoteOperator` takes as `answer`.

    It holds no worker while it waits. What is rejected does not fail: the promoting task tells the service.

    :param train: The task_id of the training.
    """
    return HITLOperator(
        task_id="approve",
        subject=f"Promote the new version of {registered}?",
        body=BODY.replace("TRAIN", train),
        options=[APPROVE, REJECT],
        # Of the pipeline's own, Airflow would make how long a person may take.
        execution_timeout=None,
    )
