"""Tags of a version, written where they say something new: MLflow takes one a call, and each call takes it two requests."""

from collections.abc import Mapping

from mlflow import MlflowClient
from mlflow.entities.model_registry import ModelVersion


def write_tags(client: MlflowClient, version: ModelVersion, tags: Mapping[str, str]) -> None:
    """Write them one after another, in their order. An empty text takes the place of what stood there, and of nothing else.

    `version`: as MLflow has it now, with its tags.
    """
    for key, text in tags.items():
        if version.tags.get(key, "") != text:
            client.set_model_version_tag(version.name, version.version, key, text)
