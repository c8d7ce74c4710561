"""The boosting service: which package holds its models, what to import ahead, where it listens."""

from trainyard.service import Service

SERVICE = Service(
    name="boosting", package="trainyard_boosting", port=8001, shared_mb=240, own_mb=80
)
