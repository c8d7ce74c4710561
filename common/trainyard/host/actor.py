"""The actor of a service on one node of the Ray cluster. Ray starts it in a process of its own on that node.

It knows nothing of Ray but that its methods are called: orders and answers are JSON, as on a line.
"""

import asyncio
import socket
from functools import partial


class HostActor:
    """What this host has, by its own settings, at a service's command."""

    def __init__(self, instance: str, node: str, address: str) -> None:
        # Here, because the bridge too loads this module, and starts sooner without them.
        from trainyard.contract import Placement
        from trainyard.disk_space import lacks_room
        from trainyard.host.folders import HostFolders
        from trainyard.host.hosted_runs import HostedRuns, as_on
        from trainyard.host.lease_guard import LeaseGuard
        from trainyard.launcher.host_messages import LINE_GRACE_SECONDS, host_orders
        from trainyard.service import installed_service
        from trainyard.settings import Settings
        from trainyard.supervisor.own_machine import fork_launcher, offer_of

        self._orders = host_orders
        service = installed_service()
        settings = Settings().model_copy(update={"instance": instance}).of(service)
        self._launcher = fork_launcher(service, settings, line_grace_seconds=LINE_GRACE_SECONDS)
        place = Placement(host=socket.gethostname(), address=address, node=node)
        self._folders = HostFolders(settings.work_dir.resolve() / "hosted", node)
        self._runs = HostedRuns(
            self._launcher,
            offer_of(settings, place),
            self._folders,
            as_here=partial(
                as_on,
                access=settings.data_access,
                left_for_data=settings.left_for_data,
                tracking_uri=settings.tracking_uri,
                locks=settings.locks,
            ),
            guard=LeaseGuard(self._folders.own).tell,
            lacks=partial(lacks_room, self._folders.own, settings.min_free_disk_mb),
        )
        self._ready: asyncio.Task[None] | None = None
        self._keeper: asyncio.Task[None] | None = None

    async def carry_out(self, order: str) -> str:
        """The answer to an order of the service."""
        failed = self._ready and self._ready.done() and self._ready.exception()
        if self._ready is None or failed:
            self._ready = asyncio.create_task(self._begin())
        await asyncio.shield(self._ready)
        answer = await self._runs.carry_out(self._orders.validate_json(order))
        return answer.model_dump_json(by_alias=True)

    async def _begin(self) -> None:
        """Before the first order is carried out; again where that failed."""
        await self._folders.take(self._launcher.find)
        await self._launcher.start()
        self._keeper = asyncio.create_task(self._runs.keep())
