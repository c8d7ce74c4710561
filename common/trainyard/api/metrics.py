"""The supervisor's statistics in Prometheus' words."""

import re
from collections.abc import Iterator

from prometheus_client import CollectorRegistry
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily
from prometheus_client.process_collector import ProcessCollector
from prometheus_client.registry import Collector

from trainyard.api.protocol import Runs

LABEL = re.compile(r'([a-z_]+)="([^"]*)"')
Family = CounterMetricFamily | GaugeMetricFamily


def registry_of(supervisor: Runs) -> CollectorRegistry:
    """A registry of this supervisor and this process, of no other's."""
    registry = CollectorRegistry(auto_describe=False)
    registry.register(Statistics(supervisor))
    ProcessCollector(registry=registry)
    return registry


class Statistics(Collector):
    """Reads `Runs.statistics()` when it is asked."""

    def __init__(self, supervisor: Runs) -> None:
        self.supervisor = supervisor

    def describe(self) -> Iterator[Family]:
        """Nothing beforehand: the names are the supervisor's."""
        return iter(())

    def collect(self) -> Iterator[Family]:
        """One family a name, one sample a set of labels."""
        families: dict[str, Family] = {}
        for flat_name, value in self.supervisor.statistics().items():
            name, _, braces = flat_name.partition("{")
            labels = dict(LABEL.findall(braces))
            if name not in families:
                families[name] = _family(name, list(labels))
            families[name].add_metric(list(labels.values()), value)
        yield from families.values()


def _family(name: str, labels: list[str]) -> Family:
    kind = CounterMetricFamily if name.endswith("_total") else GaugeMetricFamily
    words = name.removesuffix("_total").replace("_", " ")
    return kind(f"trainyard_{name}", words.capitalize(), labels=labels)
