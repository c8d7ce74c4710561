"""A bridge to one host that is this process: `python loopback_bridge.py HOME FD`. What Ray would carry, it hands over.

While there is a file `silent` in HOME nothing reaches that host or comes from it, as over a line that drops every packet.
While there is a file `full` there, the host's disk has no room for a run.
"""

import asyncio
import socket
import sys
from functools import partial
from pathlib import Path

from pydantic import BaseModel
from trainyard.contract import Placement
from trainyard.datasets.access import DataAccess
from trainyard.host.folders import HostFolders
from trainyard.host.hosted_runs import HostedRuns, as_on
from trainyard.launcher.fork_launcher import ForkLauncher
from trainyard.launcher.host_messages import (
    Answered,
    Ask,
    Connected,
    Node,
    Nodes,
    Offer,
    Unanswered,
    bridge_orders,
)
from trainyard.launcher.messages import Alive, as_line

NODE = "n1"
LIMIT = 16 * 1024 * 1024


async def serve(home: Path, service: socket.socket) -> None:
    """Until the service hangs up."""
    reader, writer = await asyncio.open_connection(sock=service, limit=LIMIT)
    launcher = ForkLauncher(
        "trainyard_boosting", home / "models", threads=1, tracking_uri="http://127.0.0.1:9"
    )
    folders = HostFolders(home / "hosted", NODE)
    place = Placement(host="loopback", address="127.0.0.1", node=NODE)
    here = partial(
        as_on,
        access=DataAccess((home,), home / "data"),
        left_for_data=int,
        tracking_uri="http://127.0.0.1:9",
        locks=home,
    )
    runs = HostedRuns(
        launcher,
        Offer(placement=place, slots=2, cpus=2),
        folders,
        as_here=here,
        lacks=lambda: "its disk is full" if (home / "full").exists() else "",
    )
    await folders.take(launcher.find)
    await launcher.start()
    keeper = asyncio.create_task(runs.keep())

    def tell(report: BaseModel) -> None:
        writer.write(as_line(report))

    async def answer(ask: Ask) -> None:
        silent = (home / "silent").exists
        found = None if silent() else await runs.carry_out(ask.order)
        if found is None or silent():
            tell(Unanswered(number=ask.number, detail="it is silent"))
        else:
            tell(Answered(number=ask.number, answer=found))

    tell(Connected())
    tell(Nodes(nodes=(Node(id=NODE, address="127.0.0.1", port=9),)))
    work = set[asyncio.Task[None]]()
    while text := await reader.readline():
        order = bridge_orders.validate_json(text)
        if not isinstance(order, Ask):
            tell(Alive(number=order.number))
        else:
            task = asyncio.create_task(answer(order))
            work.add(task)
            task.add_done_callback(work.discard)
    keeper.cancel()
    await launcher.stop()


if __name__ == "__main__":
    asyncio.run(serve(Path(sys.argv[1]), socket.socket(fileno=int(sys.argv[2]))))
