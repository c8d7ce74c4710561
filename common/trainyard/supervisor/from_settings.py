"""What the service's settings say to the parts below the supervisor: launcher, tracking, and each run's job."""

from trainyard.errors import ServiceError
from trainyard.launcher.fork_launcher import ForkLauncher
from trainyard.launcher.messages import Job
from trainyard.launcher.protocol import Launcher
from trainyard.peers.services import Peers, peer_secret
from trainyard.service import Service
from trainyard.settings import Settings
from trainyard.supervisor.live_run import LiveRun
from trainyard.tracking.runs import Tracking


def fork_launcher(service: Service, settings: Settings) -> Launcher:
    """The engine of this machine, for the service's own models and those of `TRAINYARD_MODELS_PATH`."""
    return ForkLauncher(
        service.package,
        settings.models_path,
        threads=settings.threads_a_slot,
        tracking_uri=settings.tracking_uri,
        judge_seconds=settings.judge_seconds,
        judge_memory_mb=settings.judge_memory_mb,
        peers=peers_of(settings, settings.instance or service.name),
    )


def peers_of(settings: Settings, instance: str) -> Peers:
    """The other services. Raises `ServiceError` where there are some, and this one is not named among them."""
    urls = dict(settings.services)
    if urls and instance not in urls:
        raise ServiceError(
            f"TRAINYARD_SERVICES names {', '.join(urls)}, and not this service, which is {instance!r}: name all services"
            " of one MLflow, in the same order everywhere"
        )
    return Peers(instance, urls, peer_secret(settings.shared_secret))


def tracking_of(settings: Settings, instance: str) -> Tracking:
    """The MLflow that runs are kept in."""
    return Tracking(
        uri=settings.tracking_uri,
        ui_url=settings.mlflow_ui_url or settings.tracking_uri,
        instance=instance,
    )


def job_of(settings: Settings, instance: str, live: LiveRun) -> Job:
    """What the run's process is told."""
    return Job(
        submission=live.submission,
        folder=live.folder.path,
        service=instance,
        tracking_uri=settings.tracking_uri,
        threads=settings.threads_a_slot,
        access=settings.data_access,
        locks=settings.locks,
        peers=peers_of(settings, instance),
        patience_seconds=settings.tracking_patience_seconds,
        git_commit=settings.git_commit,
        log_limit_mb=settings.log_limit_mb,
        halvings=live.state.halvings,
    )
