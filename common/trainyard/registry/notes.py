"""The decision about a promotion, written on the version as tags."""

import math
from datetime import UTC, datetime, timedelta

from mlflow import MlflowClient
from mlflow.entities.model_registry import ModelVersion

from trainyard.contract import Promote
from trainyard.registry.judged import Judged, as_tags
from trainyard.registry.promotion import Candidate, Decision, Judgement, decide
from trainyard.registry.version_tags import write_tags

NOTE_TAG = "trainyard.promotion."
AT_TAG = f"{NOTE_TAG}at"
TEXT_TAG = f"{NOTE_TAG}decision"
JUST_NOW = timedelta(seconds=2)
"""A version that came with its note a moment ago need not be told the time again."""


def write_note(
    client: MlflowClient, version: ModelVersion, rows: int | None, case: Judged, decision: Decision
) -> None:
    """Write the decision on the version, its text last: where the text is, all of it is.

    `version`: as MLflow has it now; what its tags say already is not written again. `rows`: how many it was tested on.
    """
    at = {} if _just_now(version.tags.get(AT_TAG)) else _at()
    write_tags(client, version, facts(rows, case, decision) | at | {TEXT_TAG: decision.text})


def _at() -> dict[str, str]:
    return {AT_TAG: datetime.now(UTC).isoformat(timespec="seconds")}


def _just_now(said: str | None) -> bool:
    """Whether a moment that a tag says has just been."""
    try:
        moment = datetime.fromisoformat(said or "")
    except ValueError:
        return False
    return moment.tzinfo is not None and abs(datetime.now(UTC) - moment) <= JUST_NOW


def facts(rows: int | None, case: Judged, decision: Decision) -> dict[str, str]:
    """The numbers of a note, as tags: all but when it was decided, and what."""
    numbers = {
        "alias": case.rule.alias,
        "metric": case.rule.metric,
        "value": decision.value,
        "test_rows": rows,
        **_about(case.judgement, decision),
    }
    return {NOTE_TAG + key: "" if value is None else str(value) for key, value in numbers.items()}


def foreseen(
    rule: Promote, value: float | None, rows: int | None, judgement: Judgement | None
) -> dict[str, str]:
    """What the tags of a version are going to say if the holder that was judged is still there: they come with it then.

    `value`, `rows`: the version's own metric, and on how many rows. `judgement`: None where nobody holds the alias.
    """
    case, holder = Judged(rule, judgement), judgement.holder if judgement else None
    decision = decide(rule, Candidate("of its run", value, rows), holder, judgement)
    known = {key: text for key, text in facts(rows, case, decision).items() if text}
    return as_tags(case) | known | _at()


def noted_candidate(version: ModelVersion, metric: str) -> Candidate | None:
    """A version that came with its own metric, as its run foresaw it: the run need not be asked. None for another metric."""
    tags = version.tags
    if tags.get(NOTE_TAG + "metric") != metric:
        return None
    value, rows = (tags.get(NOTE_TAG + each, "") for each in ("value", "test_rows"))
    try:
        found = Candidate(str(version.version), float(value), int(rows))
    except ValueError:
        return None
    return found if math.isfinite(float(value)) else None


def noted(holder: ModelVersion, rule: Promote) -> Decision | None:
    """The decision that gave the holder its alias by the same rule, where it was noted."""
    tags = holder.tags
    same = (
        tags.get(NOTE_TAG + "alias") == rule.alias and tags.get(NOTE_TAG + "metric") == rule.metric
    )
    text = tags.get(TEXT_TAG, "")
    return Decision(promoted=True, text=text) if same and text.startswith("promoted") else None


def _about(judged: Judgement | None, decision: Decision) -> dict[str, object]:
    """What was found about the holder; all of it is empty where nobody held the alias."""
    between = judged.interval if judged else None
    return {
        "champion_version": judged.holder if judged else None,
        "champion_value": decision.champion_value,
        "difference_low": between.low if between else None,
        "difference_high": between.high if between else None,
        "confidence": between.confidence if between else None,
        "rows_seen_by_champion": judged.seen if judged else None,
        "drift_max_psi": judged.max_drift if judged else None,
        "breaks": "; ".join(judged.breaks) if judged else None,
    }
