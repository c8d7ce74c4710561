"""What the bridge tells of the cluster's nodes, over a Ray that says what the test says."""

import asyncio
import sys
from types import ModuleType, SimpleNamespace
from typing import Any, cast

import pytest
from trainyard.launcher.host_messages import Nodes, bridge_reports
from virtual_time import in_no_time


@pytest.fixture
def nodes(monkeypatch: pytest.MonkeyPatch) -> list[dict[str, Any]]:
    """Those that Ray knows, of which there are none at first."""
    there: list[dict[str, Any]] = []
    for name, has in {
        "ray": {"nodes": lambda: there, "remote": lambda actor: actor},
        "ray.exceptions": {"RayError": OSError},
        "ray.util": {},
        "ray.util.scheduling_strategies": {"NodeAffinitySchedulingStrategy": object},
    }.items():
        module = ModuleType(name)
        vars(module).update(has)
        monkeypatch.setitem(sys.modules, name, module)
    monkeypatch.delitem(sys.modules, "trainyard.host.bridge", raising=False)
    return there


def test_a_bridge_that_finds_no_node_says_so_once(nodes: list[dict[str, Any]]) -> None:
    """The service may know of nodes that left while there was no bridge."""
    from trainyard.host.bridge import LOOK_SECONDS, Bridge

    told: list[tuple[str, ...]] = []

    def write(line: bytes) -> None:
        report = bridge_reports.validate_json(line)
        assert isinstance(report, Nodes)
        told.append(tuple(node.id for node in report.nodes))

    async def test() -> None:
        bridge = Bridge("svc", cast("asyncio.StreamWriter", SimpleNamespace(write=write)))
        watch = asyncio.create_task(bridge._watch())
        await asyncio.sleep(LOOK_SECONDS * 3.5)
        assert told == [()]
        nodes.append(
            {
                "NodeID": "a",
                "NodeManagerAddress": "10.0.0.1",
                "NodeManagerPort": 9,
                "Alive": True,
                "Resources": {"trainyard:svc": 1},
            }
        )
        await asyncio.sleep(LOOK_SECONDS * 3)
        assert told == [(), ("a",)]
        watch.cancel()

    in_no_time(test())
    sys.modules.pop("trainyard.host.bridge")
