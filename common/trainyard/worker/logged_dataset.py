"""The data set of a run as MLflow's own kind of entry: its name, digest, source and profile."""

import hashlib
import json
from collections.abc import Mapping
from typing import Any

from mlflow.entities import Dataset, DatasetInput, InputTag

from trainyard.trainer import Data

LONGEST_NAME = 500
LONGEST_DIGEST = 36
LONGEST_PROFILE = 16_000
"""Characters. MLflow's page of a run shows the profile; the whole of it is the artifact `data_profile.json`."""


def dataset_input(data: Data) -> DatasetInput:
    """The entry for the training data; that of a table with versions says its version in the place of a digest, and which rows of it count. Its source has no secrets: `data.source` is redacted where it is read."""
    digest, version = _digest_and_version(data)
    source = {"uri": data.source} | ({} if version is None else {"version": version})
    dataset = Dataset(
        name=data.name[:LONGEST_NAME],
        digest=digest[:LONGEST_DIGEST],
        source_type="trainyard",
        source=json.dumps(source),
        profile=bounded_profile(data.profile),
    )
    return DatasetInput(dataset, [InputTag("mlflow.data.context", "training")])


def _digest_and_version(data: Data) -> tuple[str, int | str | None]:
    """What MLflow tells data sets of one name apart by; and the version, of a table that has versions."""
    profile, conditions = data.profile, data.profile.get("filter")
    some = ""
    if conditions:
        some = " " + hashlib.sha256(_json(conditions).encode()).hexdigest()[:7]
    if "delta" in profile:
        version = profile["delta"]["version"]
        return f"delta version {version}{some}", version
    if "iceberg" in profile:
        snapshot = profile["iceberg"]["snapshot_id"]
        return f"snapshot {snapshot}{some}", snapshot
    return data.digest, profile.get("sql", {}).get("rows")


def bounded_profile(profile: Mapping[str, Any], limit: int = LONGEST_PROFILE) -> str:
    """The profile as JSON of at most `limit` characters, valid however many columns and classes there are.

    Sketches are left out: they are for comparing data sets, and the artifact has them. Of what does not fit, the last
    columns (then the last classes) are left out too, and `columns_left_out` says how many.
    """
    shown = {name: value for name, value in profile.items() if name != "sketches"}
    for name in ("columns", "classes"):
        entries = shown.get(name)
        if isinstance(entries, Mapping) and len(_json(shown)) > limit:
            shown[name] = {}
            shown[f"{name}_left_out"] = len(entries)
            kept = _that_fit(entries, limit - len(_json(shown)))
            shown[name] = kept
            shown[f"{name}_left_out"] = len(entries) - len(kept)
    text = _json(shown)
    return text if len(text) <= limit else _json({"left_out": sorted(shown)})


def _that_fit(entries: Mapping[str, Any], room: int) -> dict[str, Any]:
    """The first entries, as many as take up no more than `room` characters of JSON."""
    kept = {}
    for name, value in entries.items():
        room -= len(
            _json({name: value})
        )  # the braces stand for the comma and the space between two
        if room < 0:
            break
        kept[name] = value
    return kept


def _json(value: object) -> str:
    return json.dumps(value, default=str)
