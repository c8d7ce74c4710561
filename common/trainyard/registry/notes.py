"""The decision about a promotion, written on the version as tags."""

from datetime import UTC, datetime

from mlflow import MlflowClient
from mlflow.entities.model_registry import ModelVersion

from trainyard.contract import Promote
from trainyard.registry.judged import Judged, as_tags
from trainyard.registry.promotion import Candidate, Decision, Judgement, decide
from trainyard.registry.version_tags import write_tags

NOTE_TAG = "trainyard.promotion."


def write_note(
    client: MlflowClient, version: ModelVersion, rows: int | None, case: Judged, decision: Decision
) -> None:
    """Write the decision on the version, its text last: where the text is, all of it is.

    `version`: as MLflow has it now; what its tags say already is not written again. `rows`: how many it was tested on.
    """
    now = datetime.now(UTC).isoformat(timespec="seconds")
    said = {NOTE_TAG + "at": now, NOTE_TAG + "decision": decision.text}
    write_tags(client, version, facts(rows, case, decision) | said)


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
    return as_tags(case) | {key: text for key, text in facts(rows, case, decision).items() if text}


def noted(holder: ModelVersion, rule: Promote) -> Decision | None:
    """The decision that gave the holder its alias by the same rule, where it was noted."""
    tags = holder.tags
    same = (
        tags.get(NOTE_TAG + "alias") == rule.alias and tags.get(NOTE_TAG + "metric") == rule.metric
    )
    text = tags.get(NOTE_TAG + "decision", "")
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
