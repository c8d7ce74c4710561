"""The rules of promotion and the history of an alias, without MLflow."""

import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError
from trainyard.contract import OnIncomparable, Promote, Promotion
from trainyard.registry.promotion import (
    HISTORY_LIMIT,
    Candidate,
    Decision,
    Interval,
    Judgement,
    approved,
    awaiting,
    decide,
    former_holders,
    history_after,
    rejected,
)

ROWS = 8_000


def decided(value: float | None, judged: Judgement | None, **rule: Any) -> Decision:
    """What becomes of version 2, which has this `test_roc_auc` on 8,000 rows."""
    candidate = Candidate("2", value, ROWS)
    promote = Promote.model_validate({"metric": "test_roc_auc", **rule})
    return decide(promote, candidate, judged.holder if judged else None, judged)


def test_a_free_alias_goes_to_a_version_that_has_the_metric() -> None:
    decision = decided(0.5, None)
    assert decision.promoted
    assert decision.text == (
        "promoted: nobody held 'champion'; test_roc_auc is 0.5 on 8,000 test rows"
    )
    assert not decided(None, None).promoted


def test_the_holder_keeps_its_alias_even_without_the_metric() -> None:
    decision = decide(Promote(metric="test_roc_auc"), Candidate("1", None), "1", None)
    assert (decision.promoted, decision.value, decision.champion_value) == (True, None, None)


@given(value=st.floats(0, 1), held=st.floats(0, 1), delta=st.floats(0, 0.5), greater=st.booleans())
def test_a_version_wins_by_more_than_the_margin_and_by_nothing_less(
    value: float, held: float, delta: float, greater: bool
) -> None:
    decision = decided(value, Judgement("1", held), min_delta=delta, greater_is_better=greater)
    assert decision.promoted is ((value - held if greater else held - value) > delta)
    assert (decision.value, decision.champion_value) == (value, held)
    assert decision.text.startswith("promoted" if decision.promoted else "not promoted")


@pytest.mark.parametrize(
    ("metric", "more_is_better"),
    [
        ("test_roc_auc", True),
        ("test_r2", True),
        ("test_accuracy", True),
        ("test_log_loss", False),
        ("test_mean_absolute_error", False),
        ("test_root_mean_squared_error", False),
    ],
)
def test_whether_more_is_better_follows_from_the_name_unless_it_is_said(
    metric: str, more_is_better: bool
) -> None:
    assert Promote(metric=metric).more_is_better is more_is_better
    assert Promote(metric=metric, greater_is_better=True).more_is_better
    lower = decide(Promote(metric=metric), Candidate("2", 0.4), "1", Judgement("1", 0.5))
    assert lower.promoted is not more_is_better


def test_the_decision_is_a_sentence_that_says_what_was_compared_and_how_sure_it_is() -> None:
    judged = Judgement(
        "1",
        0.594,
        Interval(0.07123, 0.10301, 0.95),
        seen=1_200,
        tested_on="the newest rows, 2024-04-01 to 2024-06-30",
    )
    assert decided(0.681, judged).text == (
        "promoted: test_roc_auc is 0.681 on 8,000 test rows (the newest rows, 2024-04-01 to 2024-06-30),"
        " and version 1 has 0.594 on the same rows"
        " (difference +0.087, between +0.0712 and +0.103 with 95% confidence);"
        " version 1 was trained on 1,200 of these rows, which flatters it"
    )


@pytest.mark.parametrize(
    ("low", "high", "rule", "promoted"),
    [
        (-0.01, 0.09, {}, True),
        (-0.01, 0.09, {"confidence": 0.9}, False),
        (0.01, 0.09, {"confidence": 0.9}, True),
        (0.01, 0.09, {"confidence": 0.9, "min_delta": 0.02}, False),
        (-0.09, -0.01, {"confidence": 0.9, "greater_is_better": False}, True),
        (-0.09, 0.01, {"confidence": 0.9, "greater_is_better": False}, False),
    ],
)
def test_confidence_asks_that_the_worse_end_of_the_interval_passes_too(
    low: float, high: float, rule: dict[str, Any], promoted: bool
) -> None:
    gain = -0.05 if rule.get("greater_is_better") is False else 0.05
    decision = decided(0.5 + gain, Judgement("1", 0.5, Interval(low, high, 0.9)), **rule)
    assert decision.promoted is promoted
    assert ("not sure enough" in decision.text) is not promoted


@pytest.mark.parametrize(("confidence", "said"), [(0.995, "99.5%"), (0.9, "90%"), (0.57, "57%")])
def test_the_confidence_is_said_as_it_was_asked_for(confidence: float, said: str) -> None:
    judged = Judgement("1", 0.5, Interval(-0.1, 0.2, confidence))
    told = decided(0.55, judged, confidence=confidence).text
    assert f"+0.2 with {said} confidence" in told
    assert told.endswith(f"the rule asks for it with {said} confidence")


def test_confidence_is_not_taken_on_trust_where_there_is_no_interval() -> None:
    assert not decided(0.9, Judgement("1", 0.5), confidence=0.9).promoted


@pytest.mark.parametrize(("on_incomparable", "promoted"), [("keep", False), ("promote", True)])
def test_a_holder_that_cannot_be_scored_is_said_and_dealt_with_as_the_rule_has_it(
    on_incomparable: str, promoted: bool
) -> None:
    judged = Judgement("1", incomparable="the data has no column 'age', which it needs")
    decision = decided(0.5, judged, on_incomparable=OnIncomparable(on_incomparable))
    assert decision.promoted is promoted
    assert "no column 'age'" in decision.text
    assert f"on_incomparable is {on_incomparable}" in decision.text


def test_too_few_test_rows_promote_nothing_even_where_nobody_holds_the_alias() -> None:
    assert not decided(0.9, None, min_test_rows=ROWS + 1).promoted
    assert (
        "tested on 8,000 rows, and the rule asks for 8,001"
        in decided(0.9, Judgement("1", 0.5), min_test_rows=ROWS + 1).text
    )
    assert decided(0.9, None, min_test_rows=ROWS).promoted


def test_data_that_moved_too_far_holds_the_promotion() -> None:
    judged = Judgement("1", 0.5, max_drift=0.4, drift="'balance' moved much")
    held = decided(0.9, judged, max_drift=0.25)
    assert not held.promoted
    assert "'balance' moved much" in held.text
    assert decided(0.9, judged, max_drift=0.5).promoted
    assert decided(0.9, judged).promoted


@pytest.mark.parametrize(("on_incomparable", "promoted"), [("keep", False), ("promote", True)])
def test_drift_that_nobody_can_tell_is_said_and_dealt_with_as_the_rule_has_it(
    on_incomparable: str, promoted: bool
) -> None:
    rule = {"max_drift": 0.25, "on_incomparable": OnIncomparable(on_incomparable)}
    decision = decided(0.55, Judgement("1", 0.5), **rule)
    assert decision.promoted is promoted
    assert "how far the data moved is not known, and the rule has max_drift 0.25" in decision.text
    assert "not known" not in decided(0.55, Judgement("1", 0.5)).text


def test_what_callers_must_change_is_said() -> None:
    judged = Judgement("1", 0.5, breaks=("the column 'age' is needed now",))
    assert (
        "callers of version 1 must change: the column 'age' is needed now"
        in decided(0.9, judged).text
    )


@pytest.mark.parametrize("metric", ["validation_roc_auc", "train_log_loss", "accuracy", "test "])
def test_only_metrics_of_the_test_rows_are_compared(metric: str) -> None:
    with pytest.raises(ValidationError):
        Promote(metric=metric)


def test_a_move_that_died_before_the_alias_moved_is_forgotten() -> None:
    assert former_holders(["1", "2", "2"], "2") == ["1"]


def test_a_holder_that_won_the_alias_back_is_still_among_the_former_holders() -> None:
    history = history_after(history_after(history_after([], "1"), "2"), "1")
    assert history == ["1", "2", "1"]
    assert former_holders(history, "3") == ["1", "2", "1"]
    assert former_holders(["1", "2"], "1") == ["1", "2"]


def test_the_history_forgets_the_oldest_holders() -> None:
    history: list[str] = []
    for version in range(HISTORY_LIMIT + 5):
        history = history_after(history, str(version))
    assert history == [str(version) for version in range(5, HISTORY_LIMIT + 5)]


def test_the_rules_need_no_mlflow() -> None:
    code = "import sys, trainyard.registry.promotion; sys.exit('mlflow' in sys.modules)"
    assert (
        subprocess.run([sys.executable, "-c", code], check=False, cwd=Path.home()).returncode == 0
    )


def test_a_rule_that_waits_says_what_it_would_do_and_why() -> None:
    for value, would in ((0.9, "would be promoted"), (0.4, "would not be promoted")):
        rule = decided(value, Judgement("1", 0.5))
        waiting = awaiting(rule)
        assert waiting.promoted is None
        assert waiting.text.startswith(f"not decided yet: when it is asked for, it {would}: ")
        assert waiting.text.endswith(rule.text.partition(": ")[2])


def test_a_rejection_keeps_what_was_found_and_names_who_rejected_it() -> None:
    rule = decided(0.9, Judgement("1", 0.5))
    word = Promotion(approved=False, by="anna", comment="a holiday")
    refused = rejected(rule, word)
    assert refused.promoted is False
    assert refused.text.startswith("not promoted: rejected by anna (a holiday); test_roc_auc is")
    assert refused.value == rule.value


def test_an_approval_is_said_after_the_decision_where_somebody_is_named() -> None:
    rule = decided(0.9, Judgement("1", 0.5))
    assert approved(rule, Promotion(by="anna")).text == f"{rule.text}; asked for by anna"
    assert approved(rule, Promotion()) == approved(rule, None) == rule
