"""What `/metrics` answers: the supervisor's measures, and this process's memory, CPU time and files."""

from prometheus_client import CollectorRegistry
from prometheus_client.exposition import CONTENT_TYPE_LATEST, generate_latest
from prometheus_client.process_collector import ProcessCollector
from starlette.responses import Response

from trainyard.supervisor.protocol import Runs


def exposition(runs: Runs) -> Response:
    """Everything in Prometheus' text format."""
    process = CollectorRegistry()
    ProcessCollector(registry=process)
    content = generate_latest(runs.registry) + generate_latest(process)
    return Response(content, headers={"Content-Type": CONTENT_TYPE_LATEST})
