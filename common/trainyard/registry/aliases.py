"""Who holds an alias of a registered model, and who held it before. The caller holds the model's lock."""

import json

from mlflow import MlflowClient
from mlflow.entities.model_registry import ModelVersion
from mlflow.exceptions import MlflowException
from mlflow.protos.databricks_pb2 import RESOURCE_DOES_NOT_EXIST, ErrorCode

from trainyard.registry.promotion import former_holders, history_after

HISTORY_TAG = "trainyard.previous."


def holder_of(client: MlflowClient, name: str, alias: str) -> ModelVersion | None:
    """The version that holds the alias; None where none does."""
    version = client.get_registered_model(name).aliases.get(alias)
    return client.get_model_version(name, version) if version is not None else None


def holder_if_any(client: MlflowClient, name: str, alias: str) -> ModelVersion | None:
    """As `holder_of`; None also where there is no such registered model yet."""
    try:
        return holder_of(client, name, alias)
    except MlflowException as error:
        if not is_missing(error):
            raise
        return None


def move(client: MlflowClient, name: str, alias: str, version: str) -> None:
    """Give the alias to the version, the history first: a move that dies in between loses nothing."""
    holder = holder_of(client, name, alias)
    if holder is not None and str(holder.version) == version:
        return
    if holder is not None:
        history = history_after(_history(client, name, alias), str(holder.version))
        _write_history(client, name, alias, history)
    client.set_registered_model_alias(name, alias, version)


def former_holder(client: MlflowClient, name: str, alias: str) -> str | None:
    """The latest version that held the alias before its holder, and still exists; None where there is none."""
    former = _former(client, name, alias)
    return next((each for each in reversed(former) if _exists(client, name, each)), None)


def move_back(client: MlflowClient, name: str, alias: str, version: str) -> None:
    """Give the alias back to this `former_holder`; whoever held it after that is forgotten."""
    former = _former(client, name, alias)
    client.set_registered_model_alias(name, alias, version)
    while former and former.pop() != version:
        continue
    _write_history(client, name, alias, former)


def _former(client: MlflowClient, name: str, alias: str) -> list[str]:
    holder = holder_of(client, name, alias)
    return former_holders(_history(client, name, alias), str(holder.version) if holder else None)


def is_missing(error: MlflowException) -> bool:
    """Whether MLflow does not have what was asked for."""
    return bool(error.error_code == ErrorCode.Name(RESOURCE_DOES_NOT_EXIST))


def _history(client: MlflowClient, name: str, alias: str) -> list[str]:
    tags = client.get_registered_model(name).tags
    return list(json.loads(tags.get(HISTORY_TAG + alias) or "[]"))


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
