"""The MLflow model registry: register once, name by alias, promote by a metric, roll back.

Only `MlflowClient`. An MLflow that does not answer raises as MLflow does, for the caller to try again
(`buffering.is_away`); what it refuses becomes `RegistryConflict`.
"""

import fcntl
import hashlib
import json
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from mlflow import MlflowClient
from mlflow.entities import Run
from mlflow.entities.model_registry import ModelVersion
from mlflow.exceptions import MlflowException
from mlflow.protos.databricks_pb2 import RESOURCE_ALREADY_EXISTS, RESOURCE_DOES_NOT_EXIST, ErrorCode

from trainyard.buffering import is_away
from trainyard.contract import Promote, Register, Registered
from trainyard.errors import RegistryConflict

SAME = ("trainyard.data_digest", "trainyard.split")
HISTORY = "trainyard.previous."
KEPT_HOLDERS = 20


@dataclass(frozen=True)
class Decision:
    """Whether a version took the alias, and why."""

    promoted: bool
    text: str


def register_run(  # noqa: PLR0913 - what a registration is made of, each by name
    client: MlflowClient, *, run_id: str, model_uri: str, request: Register, locks: Path, tags: Mapping[str, str]
) -> Registered:
    """Register the run's model, give it its alias, promote it; again with the same run changes nothing."""
    version = register(client, name=request.name, model_uri=model_uri, run_id=run_id, tags=tags)
    if request.alias:
        set_alias(client, name=request.name, alias=request.alias, version=version, locks=locks)
    decision = None
    if request.promote:
        decision = promote(client, name=request.name, version=version, rule=request.promote, locks=locks)
    aliases = sorted(client.get_model_version(request.name, version).aliases)
    return Registered(
        name=request.name, version=version, aliases=aliases,
        promoted=decision.promoted if decision else None, decision=decision.text if decision else None,
    )


def register(client: MlflowClient, *, name: str, model_uri: str, run_id: str, tags: Mapping[str, str]) -> str:
    """The version of the run's model, made if it is not there: one run, one version."""
    with _conflicts(f"registering {model_uri} as {name!r}"):
        found = [each for each in client.search_model_versions(f"run_id = '{run_id}'") if each.name == name]
        if found:
            return str(found[0].version)
        try:
            client.create_registered_model(name)
        except MlflowException as error:
            if error.error_code != ErrorCode.Name(RESOURCE_ALREADY_EXISTS):
                raise
        made = client.create_model_version(
            name, source=model_uri, run_id=run_id, tags=dict(tags), model_id=model_uri.removeprefix("models:/")
        )
        return str(made.version)


def set_alias(client: MlflowClient, *, name: str, alias: str, version: str, locks: Path) -> None:
    """Give the alias to the version, and remember who held it."""
    with _alone(name, locks), _conflicts(f"giving {alias!r} of {name!r} to version {version}"):
        _move(client, name, alias, version)


def promote(client: MlflowClient, *, name: str, version: str, rule: Promote, locks: Path) -> Decision:
    """Move `rule.alias` to the version if its run beats the holder's on the same data and split.

    Promotions of one registered model take turns, so that each is compared with the winner of the one
    before. The decision is written on the version either way.
    """
    with _alone(name, locks), _conflicts(f"promoting version {version} of {name!r}"):
        holder = _holder(client, name, rule.alias)
        decision, values = _decide(client, name, version, rule, holder)
        if decision.promoted and (holder is None or str(holder.version) != version):
            _move(client, name, rule.alias, version)
        noted = {
            "decision": decision.text, "metric": rule.metric, "value": values[0], "champion_value": values[1],
            "champion_version": holder.version if holder else "", "at": datetime.now(UTC).isoformat(timespec="seconds"),
        }
        for key, value in noted.items():
            client.set_model_version_tag(name, version, f"trainyard.promotion.{key}", "" if value is None else str(value))
        return decision


def rollback(client: MlflowClient, *, name: str, alias: str, locks: Path) -> str:
    """Give the alias back to the version that held it before; each call goes one further. Returns that version."""
    with _alone(name, locks), _conflicts(f"rolling {alias!r} of {name!r} back"):
        earlier = _earlier(client, name, alias)
        if not earlier:
            message = f"{name!r} has no earlier holder of {alias!r} to roll back to"
            raise RegistryConflict(message)
        version = earlier.pop()
        client.set_registered_model_alias(name, alias, version)
        client.set_registered_model_tag(name, HISTORY + alias, json.dumps(earlier))
        return version


def _decide(
    client: MlflowClient, name: str, version: str, rule: Promote, holder: ModelVersion | None
) -> tuple[Decision, tuple[float | None, float | None]]:
    challenger = _run(client, client.get_model_version(name, version))
    value = challenger.data.metrics.get(rule.metric) if challenger else None
    if value is None:
        return Decision(promoted=False, text=f"not promoted: version {version} has no metric {rule.metric}"), (None, None)
    if holder is None:
        return Decision(promoted=True, text=f"promoted: nobody held {rule.alias!r}; {rule.metric} is {value:.6g}"), (value, None)
    if str(holder.version) == version:
        return Decision(promoted=True, text=f"promoted: version {version} holds {rule.alias!r}"), (value, value)
    champion = _run(client, holder)
    other = champion.data.metrics.get(rule.metric) if champion else None
    if champion is None or challenger is None or other is None:
        return Decision(promoted=False, text=f"not promoted: version {holder.version}, which holds {rule.alias!r}, has no metric {rule.metric}"), (value, None)
    for tag in SAME:
        if champion.data.tags.get(tag) != challenger.data.tags.get(tag):
            return Decision(promoted=False, text=f"not promoted: {tag} differs from that of version {holder.version}, so that {rule.metric} cannot be compared"), (value, other)
    gain = value - other if rule.greater_is_better else other - value
    better = gain > rule.min_delta
    sign = "beats" if better else "does not beat"
    text = f"{'promoted' if better else 'not promoted'}: {rule.metric} {value:.6g} {sign} version {holder.version}'s {other:.6g} by more than {rule.min_delta:g}"
    return Decision(promoted=better, text=text), (value, other)


def _run(client: MlflowClient, version: ModelVersion) -> Run | None:
    return client.get_run(version.run_id) if version.run_id else None


def _holder(client: MlflowClient, name: str, alias: str) -> ModelVersion | None:
    version = client.get_registered_model(name).aliases.get(alias)
    return client.get_model_version(name, version) if version is not None else None


def _move(client: MlflowClient, name: str, alias: str, version: str) -> None:
    holder = _holder(client, name, alias)
    if holder is not None and str(holder.version) == version:
        return
    if holder is not None:
        earlier = [*_earlier(client, name, alias), str(holder.version)][-KEPT_HOLDERS:]
        client.set_registered_model_tag(name, HISTORY + alias, json.dumps(earlier))
    client.set_registered_model_alias(name, alias, version)


def _earlier(client: MlflowClient, name: str, alias: str) -> list[str]:
    found: list[str] = json.loads(client.get_registered_model(name).tags.get(HISTORY + alias, "[]"))
    return found


@contextmanager
def _alone(name: str, locks: Path) -> Iterator[None]:
    """Hold the registered model's lock among the processes that share `locks`."""
    locks.mkdir(parents=True, exist_ok=True)
    with (locks / f"{hashlib.sha256(name.encode()).hexdigest()[:32]}.lock").open("a") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield


@contextmanager
def _conflicts(doing: str) -> Iterator[None]:
    try:
        yield
    except MlflowException as error:
        if is_away(error):
            raise
        missing = error.error_code == ErrorCode.Name(RESOURCE_DOES_NOT_EXIST)
        message = f"{doing}: {'there is no such model or version' if missing else error}"
        raise RegistryConflict(message) from error
