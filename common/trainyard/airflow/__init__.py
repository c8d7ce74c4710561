"""Trainyard from Airflow: operators that submit a training or a scoring and wait without a worker slot.

    from trainyard.airflow import TrainOperator

Airflow reads `trainyard.airflow.provider` while it is still starting, so nothing is imported before it is asked for.
"""

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from trainyard.airflow.operator import TrainOperator
    from trainyard.airflow.pipeline import champion_asset, training_pipeline
    from trainyard.airflow.promotion import PromoteOperator
    from trainyard.airflow.ready import ServiceReadySensor
    from trainyard.airflow.scoring import ScoreOperator

__all__ = [
    "PromoteOperator",
    "ScoreOperator",
    "ServiceReadySensor",
    "TrainOperator",
    "champion_asset",
    "training_pipeline",
]

HOMES = {
    "PromoteOperator": "promotion",
    "ServiceReadySensor": "ready",
    "ScoreOperator": "scoring",
    "TrainOperator": "operator",
    "champion_asset": "pipeline",
    "training_pipeline": "pipeline",
}


def __getattr__(name: str) -> Any:
    from importlib import import_module

    if name not in HOMES:
        message = f"module {__name__!r} has no attribute {name!r}"
        raise AttributeError(message)
    return getattr(import_module(f"{__name__}.{HOMES[name]}"), name)
