"""A request as it is sent from elsewhere: a shell, Python, an Airflow task."""

import json
import shlex
from collections.abc import Mapping
from pprint import pformat
from typing import Any

from trainyard.contract import RunKind


def snippets(service: str, url: str, kind: RunKind, request: Mapping[str, Any]) -> dict[str, str]:
    """Name to text; the token comes from TRAINYARD_TOKEN, or from Airflow's connection."""
    return {
        "JSON": json.dumps(request, indent=2, ensure_ascii=False),
        "curl": _curl(url, kind, request),
        "Python": _python(url, kind, request),
        "Airflow": _airflow(service, kind, request),
    }


def _curl(url: str, kind: RunKind, request: Mapping[str, Any]) -> str:
    body = shlex.quote(json.dumps(request, indent=2, ensure_ascii=False))
    return f'curl {url}/{kind.value} -H "Authorization: Bearer $TRAINYARD_TOKEN" -d {body}'


def _python(url: str, kind: RunKind, request: Mapping[str, Any]) -> str:
    call = "submit" if kind is RunKind.TRAIN else "score"
    return f"""from trainyard.client import TrainyardClient

request = {_literal(request)}
with TrainyardClient({url!r}) as client:
    run = client.wait(client.{call}(request).run_id)
print(run.status, run.metrics)
"""


def _airflow(service: str, kind: RunKind, request: Mapping[str, Any]) -> str:
    operator = "TrainOperator" if kind is RunKind.TRAIN else "ScoreOperator"
    return f"""from trainyard.airflow import {operator}

{operator}(
    task_id={kind.value!r},
    conn_id={f"trainyard_{service}"!r},
    request={_literal(request)},
)
"""


def _literal(request: Mapping[str, Any]) -> str:
    return pformat(dict(request), sort_dicts=False, width=88)
