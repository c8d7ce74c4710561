"""What the service's settings say to the parts below the supervisor: launcher, tracking, and each run's job."""

from dataclasses import replace

from trainyard.contract import Placement, RunRequest
from trainyard.datasets.access import DataAccess
from trainyard.errors import ServiceError
from trainyard.launcher.host_messages import Offer, OnOffers
from trainyard.launcher.messages import Job, Share
from trainyard.launcher.process_id import id_of_all, new_id_on
from trainyard.launcher.protocol import Launcher
from trainyard.peers.services import Peers
from trainyard.service import Service
from trainyard.settings import Engine, Settings
from trainyard.supervisor.instance_lock import instance_uids
from trainyard.supervisor.live_run import LiveRun
from trainyard.supervisor.own_machine import fork_launcher, peers_of
from trainyard.supervisor.room import Allotment, Need, There
from trainyard.tracking.runs import Tracking

NO_DEVICE = "-1"
"""As CUDA reads it: an empty list would do too, but TensorFlow warns of one."""


def launcher_of(service: Service, settings: Settings, *, on_offers: OnOffers) -> Launcher:
    """The engine that the settings name. Raises `ServiceError` where it lacks a setting."""
    local = fork_launcher(service, settings)
    if settings.engine is Engine.LOCAL:
        return local
    if not settings.services:
        raise ServiceError(
            "TRAINYARD_ENGINE=ray needs TRAINYARD_SERVICES: runs on other hosts ask the first service there, at its"
            " address, to decide about promotions; name this one at least, as name=http://host:port"
        )
    from trainyard.launcher.remote_launcher import RemoteLauncher

    files = settings.work_dir.resolve() / (settings.instance or service.name)
    return RemoteLauncher(
        local,
        bridge=[
            *("-m", "trainyard.host.bridging", settings.instance or service.name),
            *(settings.ray_address, settings.node_address),
        ],
        owner=lambda: instance_uids(files.with_name(f"{files.name}.hosts"))[0],
        lease_file=files.with_name(f"{files.name}.lease"),
        lease_seconds=settings.host_lease_seconds,
        on_offers=on_offers,
        log_limit_mb=settings.log_limit_mb,
    )


def offered(offer: Offer) -> tuple[Placement, There]:
    """What a host has that has joined this service."""
    usual = Need(
        cpus=offer.usual_cpus,
        own_cores=offer.own_cores,
        gpus=offer.usual_gpus,
        memory_mb=offer.usual_memory_mb,
    )
    found = There(offer.slots, offer.cpus, offer.cores, offer.gpus, offer.memory_mb, usual)
    return offer.placement, found


def peers_of_run(settings: Settings, instance: str, has: Allotment) -> Peers:
    """The services as a run's process sees them. On another host it shares no lock with this one: it asks who decides."""
    peers = peers_of(settings, instance)
    return replace(peers, own="") if has.placement else peers


def tracking_of(settings: Settings, instance: str) -> Tracking:
    """The MLflow that runs are kept in."""
    return Tracking(
        uri=settings.tracking_uri,
        ui_url=settings.mlflow_ui_url or settings.tracking_uri,
        instance=instance,
    )


def access_of(settings: Settings, request: RunRequest) -> DataAccess:
    """Where the run's data may come from, and how much memory a table may take."""
    asked = request.resources.memory_mb if request.resources else None
    access = replace(settings.data_access, workers=request.workers, judged=request.judged)
    return replace(access, memory_mb=settings.left_for_data(asked)) if asked else access


def job_of(settings: Settings, instance: str, live: LiveRun, has: Allotment) -> Job:
    """What the run's process is told, or each of its ranks."""
    each = has.shares
    one = each[0]
    return Job(
        submission=live.submission,
        folder=live.folder.path,
        service=instance,
        tracking_uri=settings.tracking_uri,
        threads=one.cpus,
        cores=one.cores,
        gpus=len(one.gpus or ()),
        memory_limit_mb=one.memory_mb,
        environment=environment_of(one),
        shares=tuple(map(_share, each)) if has.workers > 1 else (),
        collective_seconds=settings.collective_seconds,
        access=access_of(settings, live.submission.request),
        locks=settings.locks,
        peers=peers_of_run(settings, instance, has),
        placement=has.placement,
        checkpoints=settings.checkpoints if has.placement else "",
        process_id=id_of_all(new_id_on(place.node) for place in has.placement),
        patience_seconds=settings.tracking_patience_seconds,
        git_commit=settings.git_commit,
        log_limit_mb=settings.log_limit_mb,
        niceness=settings.niceness,
        halvings=live.state.halvings,
    )


def forget_checkpoints(settings: Settings, live: LiveRun) -> None:
    """Remove what an ended run kept where all hosts find it. Raises OSError."""
    if settings.checkpoints and live.state.held:
        from trainyard.rundir.checkpoint_store import CheckpointStore

        CheckpointStore(settings.checkpoints, live.run_id, settings.data_access).remove()


def _share(has: Allotment) -> Share:
    return Share(
        threads=has.cpus,
        cores=has.cores,
        gpus=len(has.gpus or ()),
        memory_limit_mb=has.memory_mb,
        environment=environment_of(has),
    )


def environment_of(has: Allotment) -> dict[str, str]:
    """What libraries read as they start: threads, and which GPUs there are."""
    found = {"OMP_NUM_THREADS": str(has.cpus)}
    if has.gpus is not None:
        found["CUDA_VISIBLE_DEVICES"] = ",".join(has.gpus) or NO_DEVICE
    return found
