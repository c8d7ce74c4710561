"""What Airflow is told of this package: the link buttons. Imports nothing of Airflow."""

from typing import Any

from trainyard import __version__


def get_provider_info() -> dict[str, Any]:
    """The entry point `apache_airflow_provider`."""
    return {
        "package-name": "trainyard",
        "name": "Trainyard",
        "description": "Training as a service, scheduled by Airflow",
        "versions": [__version__],
        "extra-links": [
            "trainyard.airflow.links.MlflowRunLink",
            "trainyard.airflow.links.RegisteredModelLink",
        ],
    }
