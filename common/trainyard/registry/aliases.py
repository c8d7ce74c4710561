"""Who holds an alias of a registered model, and who held it before. The caller holds the model's lock."""

import json

from mlflow import MlflowClient
from mlflow.entities.model_registry import ModelVersion, RegisteredModel
from mlflow.exceptions import MlflowException
from mlflow.protos.databricks_pb2 import RESOURCE_DOES_NOT_EXIST, ErrorCode

from trainyard.registry.promotion import former_holders, history_after

HISTORY_TAG = "trainyard.previous."


def held_by(client: MlflowClient, name: str, alias: str) -> str | None:
    """The number of the version that holds the alias; None where none does."""
    return held_in(client.get_registered_model(name), alias)


def held_in(model: RegisteredModel, alias: str) -> str | None:
    """As `held_by`, of what MLflow has told."""
    version = model.aliases.get(alias)
    return None if version is None else str(version)


def version_in(client: MlflowClient, model: RegisteredModel, version: str) -> ModelVersion:
    """A version, which MLflow has told already where it is the newest one."""
    told = (each for each in model.latest_versions if str(each.version) == version)
    return next(told, None) or client.get_model_version(model.name, version)


def holder_of(client: MlflowClient, name: str, alias: str) -> ModelVersion | None:
    """The version that holds the alias; None where none does."""
    version = held_by(client, name, alias)
    return client.get_model_version(name, version) if version is not None else None


def holder_if_any(client: MlflowClient, name: str, alias: str) -> ModelVersion | None:
    """As `holder_of`; None also where there is no such registered model yet."""
    try:
        return holder_of(client, name, alias)
    except MlflowException as error:
        if not is_missing(error):
            raise
        return None


def move(client: MlflowClient, name: str, alias: str, version: str, *, holder: str | None) -> None:
    """Give the alias to the version, the history first: a move that dies in between loses nothing.

    `holder` is the version that has it now; None where none does.
    """
    if holder == version:
        return
    if holder is not None:
        history = history_after(_history(client, name, alias), holder)
        _write_history(client, name, alias, history)
    client.set_registered_model_alias(name, alias, version)


def held_before(
    client: MlflowClient, name: str, alias: str, version: str, *, holder: str | None
) -> bool:
    """Whether the version had the alias before its `holder`."""
    return holder != version and version in former_holders(_history(client, name, alias), holder)


def former_holder(client: MlflowClient, name: str, alias: str, *, holder: str | None) -> str | None:
    """The latest other version that held the alias before its `holder`, and still exists; None where there is none."""
    former = former_holders(_history(client, name, alias), holder)
    others = (each for each in reversed(former) if each != holder)
    return next((each for each in others if _exists(client, name, each)), None)


def move_back(
    client: MlflowClient, name: str, alias: str, version: str, *, holder: str | None
) -> None:
    """Give the alias of `holder` back to this `former_holder`; whoever held it after that is forgotten."""
    former = former_holders(_history(client, name, alias), holder)
    client.set_registered_model_alias(name, alias, version)
    while former and former.pop() != version:
        continue
    _write_history(client, name, alias, former)


def is_missing(error: MlflowException) -> bool:
    """Whether MLflow does not have what was asked for."""
    return bool(error.error_code == ErrorCode.Name(RESOURCE_DOES_NOT_EXIST))


def _history(client: MlflowClient, name: str, alias: str) -> list[str]:
    """As the tag has it; empty where somebody wrote something else there."""
    tags = client.get_registered_model(name).tags
    try:
        found = json.loads(tags.get(HISTORY_TAG + alias) or "[]")
    except ValueError:
        return []
    return [str(each) for each in found] if isinstance(found, list) else []


def _write_history(client: MlflowClient, name: str, alias: str, history: list[str]) -> None:
    client.set_registered_model_tag(name, HISTORY_TAG + alias, json.dumps(history))


def _exists(client: MlflowClient, name: str, version: str) -> bool:
    try:
        client.get_model_version(name, version)
    except MlflowException as error:
        if not is_missing(error):
            raise
        return False
    return True
