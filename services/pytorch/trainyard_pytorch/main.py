"""The PyTorch service: which package holds its models, where it listens."""

from trainyard.service import Service

SERVICE = Service(name="pytorch", package="trainyard_pytorch", port=8003, shared_mb=440, own_mb=130)
