"""The service's way into a Ray cluster, in a process of its own; `bridging` starts it.

Ray ends the process of its driver when the cluster's head is away for a minute, so the driver is here and not in the
service, which starts another. It holds nothing that matters: actors are found by their names, and know the runs.
"""

import asyncio
import os
import socket
import sys
from contextlib import suppress
from typing import Any

import ray
from pydantic import BaseModel, ValidationError
from ray.exceptions import RayError
from ray.util.scheduling_strategies import NodeAffinitySchedulingStrategy

from trainyard.host.actor import HostActor
from trainyard.host.cluster import NAMESPACE, resource_of
from trainyard.launcher.host_messages import (
    Answered,
    Ask,
    Connected,
    Node,
    Nodes,
    Unanswered,
    bridge_orders,
    host_answers,
)
from trainyard.launcher.messages import Alive, Ping, as_line

LONGEST_LINE_BYTES = 16 * 1024 * 1024
LOOK_SECONDS = 1.0


class Bridge:
    """Hands orders on to the actors of the nodes that are there."""

    def __init__(self, instance: str, writer: asyncio.StreamWriter) -> None:
        self._instance = instance
        self._writer = writer
        self._actor = ray.remote(HostActor)
        self._nodes: dict[str, Node] | None = None
        self._handles: dict[str, Any] = {}
        self._work: set[asyncio.Task[None]] = set()

    async def serve(self, reader: asyncio.StreamReader) -> None:
        """Until the service hangs up."""
        self._tell(Connected())
        watch = asyncio.create_task(self._watch())
        watch.add_done_callback(_leave_if_it_broke)
        while text := await reader.readline():
            try:
                order = bridge_orders.validate_json(text)
            except ValidationError as error:
                sys.stderr.write(f"the service sent an order that is none: {error}\n")
                continue
            if isinstance(order, Ping):
                self._tell(Alive(number=order.number))
            else:
                task = asyncio.create_task(self._hand_on(order))
                self._work.add(task)
                task.add_done_callback(self._work.discard)

    async def _watch(self) -> None:
        """Tell which nodes there are, also that there is none, and whenever that changes. Raises where the cluster is gone."""
        wanted = resource_of(self._instance)
        while True:
            listed = await asyncio.to_thread(ray.nodes)
            found = {
                each["NodeID"]: Node(
                    id=each["NodeID"],
                    address=each["NodeManagerAddress"],
                    port=each["NodeManagerPort"],
                )
                for each in listed
                if each["Alive"] and wanted in each["Resources"]
            }
            if found != self._nodes:
                self._nodes = found
                self._handles = {
                    node: handle for node, handle in self._handles.items() if node in found
                }
                self._tell(Nodes(nodes=tuple(found.values())))
            await asyncio.sleep(LOOK_SECONDS)

    async def _hand_on(self, ask: Ask) -> None:
        try:
            async with asyncio.timeout(ask.seconds):
                handle = await self._handle(ask.node)
                text = await handle.carry_out.remote(ask.order.model_dump_json(by_alias=True))
            answer = host_answers.validate_json(text)
        except TimeoutError:
            self._unanswered(ask, f"not within {ask.seconds:g} s")
        except (RayError, ValueError, KeyError) as error:
            self._handles.pop(ask.node, None)
            self._unanswered(ask, f"{type(error).__name__}: {error}"[:1000])
        else:
            self._tell(Answered(number=ask.number, answer=answer))

    async def _handle(self, node: str) -> Any:
        """The actor on the node, which is made where there is none. Raises KeyError for a node that is not there."""
        if node not in self._handles:
            there = (self._nodes or {})[node]
            self._handles[node] = self._actor.options(
                name=f"{self._instance}:{node}",
                namespace=NAMESPACE,
                lifetime="detached",
                get_if_exists=True,
                num_cpus=0,
                scheduling_strategy=NodeAffinitySchedulingStrategy(node, soft=False),
            ).remote(self._instance, node, there.address)
        return self._handles[node]

    def _unanswered(self, ask: Ask, detail: str) -> None:
        self._tell(Unanswered(number=ask.number, detail=detail))

    def _tell(self, report: BaseModel) -> None:
        self._writer.write(as_line(report))


def _leave_if_it_broke(watch: asyncio.Task[None]) -> None:
    if not watch.cancelled() and watch.exception():
        sys.stderr.write(f"the cluster is gone: {watch.exception()}\n")
        os._exit(1)


async def _serve(instance: str, connection: socket.socket) -> None:
    reader, writer = await asyncio.open_connection(sock=connection, limit=LONGEST_LINE_BYTES)
    await Bridge(instance, writer).serve(reader)


def bridge(instance: str, head: str, address: str, service: socket.socket) -> None:
    """Connect to the cluster by the node that is on this host, and serve until the service hangs up."""
    ray.init(
        head,
        namespace=NAMESPACE,
        log_to_driver=False,
        logging_level="error",
        _node_ip_address=address,
    )
    with suppress(ConnectionError):
        asyncio.run(_serve(instance, service))
