"""The decision about a promotion, written on the version as tags."""

from datetime import UTC, datetime

from mlflow import MlflowClient
from mlflow.entities.model_registry import ModelVersion

from trainyard.contract import Promote
from trainyard.registry.judged import Judged
from trainyard.registry.promotion import Candidate, Decision, Judgement

NOTE_TAG = "trainyard.promotion."


def write_note(
    client: MlflowClient, name: str, candidate: Candidate, case: Judged, decision: Decision
) -> None:
    """Write the decision on the version, its text last: where the text is, all of it is."""
    note = {
        "alias": case.rule.alias,
        "metric": case.rule.metric,
        "value": decision.value,
        "test_rows": candidate.rows,
        **_about(case.judgement, decision),
        "at": datetime.now(UTC).isoformat(timespec="seconds"),
        "decision": decision.text,
    }
    for key, value in note.items():
        text = "" if value is None else str(value)
        client.set_model_version_tag(name, candidate.version, NOTE_TAG + key, text)


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
