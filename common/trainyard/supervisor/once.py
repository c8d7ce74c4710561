"""One training without HTTP."""

import asyncio
import shutil
import signal
import uuid
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from trainyard.contract import Run, TrainRequest
from trainyard.errors import Unavailable
from trainyard.rundir.folder import run_folders
from trainyard.service import Service
from trainyard.settings import Settings
from trainyard.supervisor.protocol import Runs

LOOK_AGAIN_SECONDS = 60.0
WARM_WITHIN_SECONDS = 120.0


def run_once(
    service: Service, settings: Settings, request: TrainRequest, *, on_change: Callable[[Run], None]
) -> Run:
    """Train and return the run as it ended; SIGINT and SIGTERM cancel it.

    `on_change` is given each version of the run. Raises `RequestError` when the request is refused
    and `ServiceError` when the service cannot start.
    """
    from trainyard.supervisor.supervisor import Supervisor

    with of_its_own(service, settings) as own:
        return asyncio.run(train_once(Supervisor(service, own), request, on_change=on_change))


@contextmanager
def of_its_own(service: Service, settings: Settings) -> Iterator[Settings]:
    """The settings with an instance and a work directory that are no service's, unless an instance is named.

    Under its service's name it would take up, or fail, what the service trains at this moment. It knows the services
    that there are, among which nobody calls it.
    """
    if settings.instance:
        yield settings
        return
    name = f"{service.name}-once-{uuid.uuid4().hex[:12]}"
    folder = settings.work_dir.resolve() / name
    known = settings.services and (*settings.services, (name, ""))
    yield settings.model_copy(
        update={
            "instance": name,
            "services": known,
            "work_dir": folder,
            "locks_dir": settings.locks,
        }
    )
    if all(run.closed for run in run_folders(folder / "runs")):
        shutil.rmtree(folder, ignore_errors=True)


async def train_once(
    supervisor: Runs, request: TrainRequest, *, on_change: Callable[[Run], None]
) -> Run:
    """Train with this supervisor, which is started and stopped here."""
    asked_to_stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(number, asked_to_stop.set)
    await supervisor.start()
    try:
        await _warm(supervisor)
        run, _ = await supervisor.submit(request, None)
        canceller = asyncio.ensure_future(_cancel_when(asked_to_stop, supervisor, run.run_id))
        try:
            return await _watch(supervisor, run, on_change)
        finally:
            canceller.cancel()
    finally:
        await supervisor.stop()
        for number in (signal.SIGINT, signal.SIGTERM):
            loop.remove_signal_handler(number)


async def _warm(supervisor: Runs) -> None:
    """Wait for the models, which a service that listens would refuse submits for meanwhile."""
    try:
        async with asyncio.timeout(WARM_WITHIN_SECONDS):
            while not (supervisor.models or supervisor.broken_models):  # noqa: ASYNC110 - it has no event
                await asyncio.sleep(0.05)
    except TimeoutError as error:
        raise Unavailable(f"no model was loaded within {WARM_WITHIN_SECONDS:g} s") from error


async def _watch(supervisor: Runs, run: Run, on_change: Callable[[Run], None]) -> Run:
    on_change(run)
    while not run.status.ended:
        newer = await supervisor.wait(run.run_id, LOOK_AGAIN_SECONDS, run.version)
        if newer.version > run.version:
            on_change(newer)
        run = newer
    return run


async def _cancel_when(asked: asyncio.Event, supervisor: Runs, run_id: str) -> None:
    await asked.wait()
    await supervisor.cancel(run_id)
