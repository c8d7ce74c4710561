"""How entries for MLflow are divided into calls: within its limits, and apart when it refuses some of them."""

from collections.abc import Callable, Iterator, Sequence
from typing import Any

from mlflow.entities import Metric, Param, RunTag

PARAMS_AND_TAGS_A_CALL = 100
"""MLflow's limit for each of the two. It also takes 1,000 entries a call at most, of all kinds."""

Entry = Metric | Param | RunTag | Callable[[], Any]


def calls(
    entries: Sequence[Entry],
) -> Iterator[tuple[list[Metric], list[Param], list[RunTag]]]:
    """The metrics, params and tags among the entries, as the arguments of as few `log_batch` as MLflow allows."""
    metrics = [entry for entry in entries if isinstance(entry, Metric)]
    params = [entry for entry in entries if isinstance(entry, Param)]
    tags = [entry for entry in entries if isinstance(entry, RunTag)]
    start = 0
    while metrics or start < max(len(params), len(tags)):
        end = start + PARAMS_AND_TAGS_A_CALL
        yield metrics, params[start:end], tags[start:end]
        metrics, start = [], end


def apart(entries: Sequence[Entry]) -> list[list[Entry]]:
    """The entries in groups that MLflow may refuse one by one: those of one metric together, all others alone."""
    by_metric: dict[str, list[Entry]] = {}
    alone: list[list[Entry]] = []
    for entry in entries:
        if isinstance(entry, Metric):
            by_metric.setdefault(entry.key, []).append(entry)
        else:
            alone.append([entry])
    return [*by_metric.values(), *alone]


def described(group: Sequence[Entry]) -> str:
    """What a group of `apart` is, for people."""
    first = group[0]
    if isinstance(first, Metric):
        return f"metric {first.key!r}"
    if isinstance(first, Param):
        return f"param {first.key!r}"
    return f"tag {first.key!r}" if isinstance(first, RunTag) else "the data set"
