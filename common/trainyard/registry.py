"""The MLflow model registry: register once, name by alias, promote by a metric, roll back.

Only `MlflowClient`. An MLflow that does not answer raises as MLflow does, for the caller to try again
(`buffering.is_away`); what it refuses becomes `RegistryConflict`.
"""

import fcntl
import hashlib
import json
import math
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, replace
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
NOTE = "trainyard.promotion."
KEPT_HOLDERS = 20


@dataclass(frozen=True)
class Decision:
    """Whether a version took the alias, why, and the two values that were compared."""

    promoted: bool
    text: str
    value: float | None = None
    champion_value: float | None = None


def register_run(  # noqa: PLR0913 - what a registration is made of, each by name
    client: MlflowClient, *, run_id: str, model_uri: str, request: Register, locks: Path, tags: Mapping[str, str]
) -> Registered:
    """Register the run's model, give it its alias, promote it; again with the same run changes nothing.

    Where `alias` and `promote.alias` are one, the promotion alone decides who gets it.
    """
    with _alone(request.name, locks):
        version = register(client, name=request.name, model_uri=model_uri, run_id=run_id, tags=tags)
    rule = request.promote
    if request.alias and not (rule and rule.alias == request.alias):
        set_alias(client, name=request.name, alias=request.alias, version=version, locks=locks)
    decision = promote(client, name=request.name, version=version, rule=rule, locks=locks) if rule else None
    with _conflicts(f"reading version {version} of {request.name!r} back"):
        aliases = sorted(client.get_model_version(request.name, version).aliases)
    return Registered(
        name=request.name, version=version, aliases=aliases,
        promoted=decision.promoted if decision else None, decision=decision.text if decision else None,
    )


def register(client: MlflowClient, *, name: str, model_uri: str, run_id: str, tags: Mapping[str, str]) -> str:
    """The version of the run's model, made if it is not there: one run, one version.

    `model_uri` is a logged model's (`models:/m-…`) or whatever else MLflow takes as a source.
    """
    with _conflicts(f"registering {model_uri} as {name!r}"):
        found = _versions(client, name, run_id)
        if found:
            return found[0]
        _make_model(client, name)
        logged = model_uri.removeprefix("models:/")
        client.create_model_version(
            name, source=model_uri, run_id=run_id, tags=dict(tags), model_id=logged if logged.startswith("m-") else None
        )
        # MLflow's HTTP client sends a POST again when its answer is lost, and each arrival makes a version.
        kept, *again = _versions(client, name, run_id)
        for version in again:
            client.delete_model_version(name, version)
        return kept


def set_alias(client: MlflowClient, *, name: str, alias: str, version: str, locks: Path) -> None:
    """Give the alias to the version, and remember who held it."""
    with _alone(name, locks), _conflicts(f"giving {alias!r} of {name!r} to version {version}"):
        _move(client, name, alias, version)


def promote(client: MlflowClient, *, name: str, version: str, rule: Promote, locks: Path) -> Decision:
    """Move `rule.alias` to the version if its run beats the holder's on the same data and split.

    Promotions of one registered model take turns, so that each is compared with the winner of the one
    before. The decision is written on the version either way, after the alias has moved: a note never
    claims what did not happen.
    """
    with _alone(name, locks), _conflicts(f"promoting version {version} of {name!r}"):
        holder = _holder(client, name, rule.alias)
        candidate = client.get_model_version(name, version)
        if holder is not None and str(holder.version) == version:
            noted = _noted(holder, rule)
            if noted:
                return noted
        decision = _decide(client, candidate, rule, holder)
        if decision.promoted:
            _move(client, name, rule.alias, version)
        _note(client, candidate, rule, holder, decision)
        return decision


def rollback(client: MlflowClient, *, name: str, alias: str, locks: Path) -> str:
    """Give the alias back to the version that held it before; each call goes one further. Returns that version.

    Versions deleted since are passed over.
    """
    with _alone(name, locks), _conflicts(f"rolling {alias!r} of {name!r} back"):
        holder = _holder(client, name, alias)
        earlier = _earlier(client, name, alias, holder)
        while earlier:
            version = earlier.pop()
            if _exists(client, name, version):
                client.set_registered_model_alias(name, alias, version)
                client.set_registered_model_tag(name, HISTORY + alias, json.dumps(earlier))
                return version
        held = f"version {holder.version} holds it" if holder else "nobody holds it"
        message = f"{name!r} has no earlier holder of {alias!r} to roll back to; {held} now"
        raise RegistryConflict(message)


def _decide(client: MlflowClient, candidate: ModelVersion, rule: Promote, holder: ModelVersion | None) -> Decision:
    challenger = _run(client, candidate)
    value = _metric(challenger, rule.metric)
    if holder is None:
        if value is None:
            return _no_metric(candidate, rule)
        return Decision(promoted=True, text=f"promoted: nobody held {rule.alias!r}; {rule.metric} is {value:.10g}", value=value)
    if holder.version == candidate.version:
        return Decision(promoted=True, text=f"promoted: version {holder.version} already holds {rule.alias!r}", value=value, champion_value=value)
    champion = _run(client, holder)
    other = _metric(champion, rule.metric)
    if value is None or other is None:
        return replace(_no_metric(candidate if value is None else holder, rule), value=value, champion_value=other)
    decision = _incomparable(challenger, champion, holder, rule) or _compare(value, other, holder, rule)
    return replace(decision, value=value, champion_value=other)


def _no_metric(version: ModelVersion, rule: Promote) -> Decision:
    return Decision(promoted=False, text=f"not promoted: the run of version {version.version} has no metric {rule.metric}, or it is NaN")


def _incomparable(challenger: Run | None, champion: Run | None, holder: ModelVersion, rule: Promote) -> Decision | None:
    for tag in SAME:
        mine = challenger.data.tags.get(tag) if challenger else None
        theirs = champion.data.tags.get(tag) if champion else None
        if mine is None or mine != theirs:
            text = f"not promoted: {tag} is {mine} and that of version {holder.version} is {theirs}, so that {rule.metric} cannot be compared"
            return Decision(promoted=False, text=text)
    return None


def _compare(value: float, other: float, holder: ModelVersion, rule: Promote) -> Decision:
    gain = value - other if rule.greater_is_better else other - value
    better = gain > rule.min_delta
    verdict = "promoted" if better else "not promoted"
    verb = "beats" if better else "does not beat"
    text = f"{verdict}: {rule.metric} {value:.10g} {verb} version {holder.version}'s {other:.10g} by more than {rule.min_delta:g}"
    return Decision(promoted=better, text=text)


def _note(client: MlflowClient, candidate: ModelVersion, rule: Promote, holder: ModelVersion | None, decision: Decision) -> None:
    """Write the decision on the version; its text last, so that where it is, all of it is."""
    noted = {
        "alias": rule.alias, "metric": rule.metric, "value": decision.value,
        "champion_version": holder.version if holder else None, "champion_value": decision.champion_value,
        "at": datetime.now(UTC).isoformat(timespec="seconds"), "decision": decision.text,
    }
    for key, value in noted.items():
        client.set_model_version_tag(candidate.name, candidate.version, NOTE + key, "" if value is None else str(value))


def _noted(holder: ModelVersion, rule: Promote) -> Decision | None:
    """The decision that gave the holder its alias by the same rule, where it was noted."""
    tags = holder.tags
    same = tags.get(NOTE + "alias") == rule.alias and tags.get(NOTE + "metric") == rule.metric
    text = tags.get(NOTE + "decision", "")
    return Decision(promoted=True, text=text) if same and text.startswith("promoted") else None


def _run(client: MlflowClient, version: ModelVersion) -> Run | None:
    """The version's run, or none where it was made without one or the run is deleted for good."""
    try:
        return client.get_run(version.run_id) if version.run_id else None
    except MlflowException as error:
        if not _is_missing(error):
            raise
        return None


def _metric(run: Run | None, name: str) -> float | None:
    value = run.data.metrics.get(name) if run else None
    return None if value is None or math.isnan(value) else float(value)


def _versions(client: MlflowClient, name: str, run_id: str) -> list[str]:
    """The run's versions of the registered model, the first one first."""
    found = client.search_model_versions(f"run_id = '{run_id}'")
    return sorted((str(each.version) for each in found if each.name == name), key=int)


def _make_model(client: MlflowClient, name: str) -> None:
    try:
        client.create_registered_model(name)
    except MlflowException as error:
        if error.error_code != ErrorCode.Name(RESOURCE_ALREADY_EXISTS):
            raise


def _exists(client: MlflowClient, name: str, version: str) -> bool:
    try:
        client.get_model_version(name, version)
    except MlflowException as error:
        if not _is_missing(error):
            raise
        return False
    return True


def _holder(client: MlflowClient, name: str, alias: str) -> ModelVersion | None:
    version = client.get_registered_model(name).aliases.get(alias)
    return client.get_model_version(name, version) if version is not None else None


def _move(client: MlflowClient, name: str, alias: str, version: str) -> None:
    holder = _holder(client, name, alias)
    if holder is not None and str(holder.version) == version:
        return
    if holder is not None:
        earlier = [*_earlier(client, name, alias, holder), str(holder.version)][-KEPT_HOLDERS:]
        client.set_registered_model_tag(name, HISTORY + alias, json.dumps(earlier))
    client.set_registered_model_alias(name, alias, version)


def _earlier(client: MlflowClient, name: str, alias: str, holder: ModelVersion | None) -> list[str]:
    """Who held the alias before the holder, the latest last."""
    found: list[str] = json.loads(client.get_registered_model(name).tags.get(HISTORY + alias) or "[]")
    while found and holder is not None and found[-1] == str(holder.version):
        found.pop()  # a move that died between its two writes left the holder here
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
        message = f"{doing}: {error}"
        raise RegistryConflict(message) from error


def _is_missing(error: MlflowException) -> bool:
    return bool(error.error_code == ErrorCode.Name(RESOURCE_DOES_NOT_EXIST))
