"""What MLflow's registry holds, for people to look at."""

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime

from mlflow import MlflowClient
from mlflow.entities.model_registry import ModelVersion
from mlflow.entities.model_registry import RegisteredModel as MlflowModel
from mlflow.store.entities.paged_list import PagedList

from trainyard.contract import ModelVersionInfo, RegisteredModel
from trainyard.registry.judged import JUDGED_TAG
from trainyard.registry.mlflow_registry import ROLLBACK_TAG
from trainyard.registry.notes import NOTE_TAG

MODELS_A_PAGE = 50
MOST_VERSIONS = 50


def models_page(client: MlflowClient, token: str | None) -> PagedList[MlflowModel]:
    """A page of the registered models, by name."""
    return client.search_registered_models(
        max_results=MODELS_A_PAGE, order_by=["name ASC"], page_token=token
    )


def as_model(found: MlflowModel) -> RegisteredModel:
    """A registered model, and who holds its aliases."""
    aliases = {alias: str(version) for alias, version in sorted(found.aliases.items())}
    return RegisteredModel(name=found.name, aliases=aliases)


def versions_of(client: MlflowClient, name: str) -> list[ModelVersionInfo]:
    """The newest versions of the registered model, `MOST_VERSIONS` at most. Raises MLflow's error where there is no such model."""
    holds: dict[str, list[str]] = {}
    for alias, version in client.get_registered_model(name).aliases.items():
        holds.setdefault(str(version), []).append(alias)
    quoted = name.replace("'", "''")
    found = client.search_model_versions(
        f"name = '{quoted}'", max_results=MOST_VERSIONS, order_by=["version_number DESC"]
    )
    return [_as_version(each, sorted(holds.get(str(each.version), []))) for each in found]


def _as_version(version: ModelVersion, aliases: list[str]) -> ModelVersionInfo:
    tags = version.tags
    note = {key: text for key in NOTED if (text := tags.get(NOTE_TAG + key))}
    return ModelVersionInfo(
        version=str(version.version),
        run_id=version.run_id,
        aliases=aliases,
        registered_at=datetime.fromtimestamp(version.creation_timestamp / 1000, UTC),
        judged=any(key.startswith(JUDGED_TAG) for key in tags),
        metric=note.get("metric"),
        value=_number(note.get("value")),
        champion_version=note.get("champion_version"),
        champion_value=_number(note.get("champion_value")),
        decision=note.get("decision"),
        decided_at=_moment(note.get("at")) if note.get("decision") else None,
        rolled_back=_rolled_back(tags, aliases),
    )


def _rolled_back(tags: Mapping[str, str], aliases: Sequence[str]) -> str | None:
    """Of an alias that it lost so; nothing of one that it has won again since."""
    lost = {
        key.removeprefix(ROLLBACK_TAG): text
        for key, text in tags.items()
        if key.startswith(ROLLBACK_TAG)
    }
    return next((text for alias, text in lost.items() if text and alias not in aliases), None)


NOTED = ("at", "metric", "value", "champion_version", "champion_value", "decision")


def _moment(text: str | None) -> datetime | None:
    """The tag's time; None where somebody wrote something else."""
    try:
        return datetime.fromisoformat(text) if text else None
    except ValueError:
        return None


def _number(text: str | None) -> float | None:
    """The tag's number; None where somebody wrote something else."""
    try:
        return float(text) if text else None
    except ValueError:
        return None
