"""The TensorFlow service: which package holds its models, where it listens."""

from trainyard.service import Service

SERVICE = Service(
    name="tensorflow", package="trainyard_tensorflow", port=8002, shared_mb=520, own_mb=180
)
