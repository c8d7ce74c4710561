"""What this machine has and does by its settings, for its own service or for one that it has joined.

Whoever joins a cluster loads this: neither MLflow nor data frames are behind it.
"""

from trainyard.contract import Placement, Resources
from trainyard.datasets.sources.memory import available_mb
from trainyard.errors import ServiceError
from trainyard.hardware import cores_there
from trainyard.launcher.fork_launcher import ForkLauncher
from trainyard.launcher.host_messages import Offer
from trainyard.peers.services import Peers, peer_secret
from trainyard.service import Service
from trainyard.settings import Settings
from trainyard.supervisor.room import Need, There


def fork_launcher(
    service: Service, settings: Settings, *, line_grace_seconds: float = 10.0
) -> ForkLauncher:
    """The engine of this machine, for the service's own models and those of `TRAINYARD_MODELS_PATH`."""
    return ForkLauncher(
        service.package,
        settings.models_path,
        threads=settings.threads_a_slot,
        tracking_uri=settings.tracking_uri,
        judge_seconds=settings.judge_seconds,
        judge_memory_mb=settings.judge_memory_mb,
        peers=peers_of(settings, settings.instance or service.name),
        line_grace_seconds=line_grace_seconds,
    )


def offer_of(settings: Settings, placement: Placement) -> Offer:
    """What this machine has for the runs of a service that it has joined. Raises `ServiceError` as `there`."""
    found = there(settings)
    return Offer(
        placement=placement,
        slots=found.slots,
        cpus=found.cpus,
        cores=found.cores,
        gpus=found.gpus,
        memory_mb=found.memory_mb,
        usual_cpus=found.usual.cpus,
        own_cores=found.usual.own_cores,
        usual_gpus=found.usual.gpus,
        usual_memory_mb=found.usual.memory_mb,
    )


def there(settings: Settings) -> There:
    """What this machine has for runs. Raises `ServiceError` where the settings give a run more than there is."""
    gpus = settings.gpus_there
    one_each = 1 if gpus and len(gpus) >= settings.runs_at_once else None
    found = There(
        slots=settings.runs_at_once,
        cpus=settings.cpus_there,
        cores=cores_there(),
        gpus=gpus,
        memory_mb=available_mb(),
        usual=Need(
            cpus=settings.run_cpus or settings.threads_a_slot,
            own_cores=bool(settings.run_cpus),
            gpus=settings.run_gpus or one_each,
            memory_mb=settings.run_memory_mb or None,
        ),
    )
    usual = {
        "cpus": settings.run_cpus or None,
        "gpus": settings.run_gpus or None,
        "memory_mb": max(64, settings.run_memory_mb),
    }
    for each in found.never_fits(Resources.model_validate(usual)):
        variable = each.pointer.replace("/resources/", "TRAINYARD_RUN_").upper()
        raise ServiceError(f"{variable}: {each.detail}")
    return found


def peers_of(settings: Settings, instance: str) -> Peers:
    """The other services. Raises `ServiceError` where there are some, and this one is not named among them."""
    urls = dict(settings.services)
    if urls and instance not in urls:
        raise ServiceError(
            f"TRAINYARD_SERVICES names {', '.join(urls)}, and not this service, which is {instance!r}: name all services"
            " of one MLflow, in the same order everywhere"
        )
    return Peers(instance, urls, peer_secret(settings.shared_secret))
