"""The rules of promotion, without MLflow: a rule, a candidate and what was found about the holder give a decision.

Also the history of an alias: the versions that held it before its present holder, the latest last.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace

from trainyard.contract import OnIncomparable, Promote, Promotion, Rollback
from trainyard.contract.promotion import WOULD_BE_PROMOTED, WOULD_NOT_BE_PROMOTED

HISTORY_LIMIT = 20
SHOWN_CONFIDENCE = 0.95
"""Of the interval in a decision's text where the rule asks for none."""


@dataclass(frozen=True)
class Candidate:
    """The version that may take the alias: its metric on the test rows of its run, None where there is none."""

    version: str
    value: float | None
    rows: int | None = None
    """How many test rows there were, where it is known."""


@dataclass(frozen=True)
class Interval:
    """Where the difference of the two metrics, candidate minus holder, lies with this confidence."""

    low: float
    high: float
    confidence: float


@dataclass(frozen=True)
class Judgement:
    """What was found when the holder was scored on the candidate's test rows, or why it was not."""

    holder: str
    """The holder's version."""
    value: float | None = None
    """The holder's metric on the candidate's test rows."""
    interval: Interval | None = None
    incomparable: str | None = None
    """Why there is no such value, in words."""
    seen: int | None = None
    """How many of the rows the holder was trained on; None where it cannot be told."""
    tested_on: str | None = None
    """Which rows these are, where they are more than a random share: a phrase such as `the newest rows, …`."""
    max_drift: float | None = None
    """The largest population stability index of a column, against the data of the holder's run."""
    drift: str | None = None
    """The columns that moved most, in words."""
    breaks: tuple[str, ...] = ()
    """What callers of the holder would have to change, a phrase each."""


@dataclass(frozen=True)
class Decision:
    """Whether a version took the alias, why, and the two values that were compared."""

    promoted: bool | None
    """None where it waits to be asked for."""
    text: str
    value: float | None = None
    champion_value: float | None = None


def decide(
    rule: Promote, candidate: Candidate, holder: str | None, judgement: Judgement | None
) -> Decision:
    """Whether the candidate takes `rule.alias` from the version `holder`; None where nobody holds it.

    `judgement` is about that holder; None where there was nothing to judge.
    """
    if holder == candidate.version:
        text = f"promoted: version {holder} already holds {rule.alias!r}"
        return Decision(promoted=True, text=text, value=candidate.value)
    held_back = _held_back(rule, candidate)
    if held_back or candidate.value is None:
        return Decision(promoted=False, text=f"not promoted: {held_back}", value=candidate.value)
    if holder is None:
        text = f"promoted: nobody held {rule.alias!r}; {rule.metric} is {candidate.value:.5g}{_on(candidate, None)}"
        return Decision(promoted=True, text=text, value=candidate.value)
    judged = judgement or Judgement(holder, incomparable="it was not scored on these rows")
    if judged.value is None:
        return _unjudged(rule, candidate, judged)
    return _compared(rule, candidate, candidate.value, judged, judged.value)


def awaiting(decision: Decision) -> Decision:
    """What the rule says, where it moves nothing before somebody asks for it."""
    would = WOULD_BE_PROMOTED if decision.promoted else WOULD_NOT_BE_PROMOTED
    return replace(decision, promoted=None, text=would + _found(decision))


def rejected(decision: Decision, word: Promotion) -> Decision:
    """Somebody's no, whatever the rule says."""
    text = f"not promoted: rejected{_by(word)}; {_found(decision)}"
    return replace(decision, promoted=False, text=text)


def approved(decision: Decision, word: Promotion | None) -> Decision:
    """The rule's decision, with whoever asked for it, where that was said."""
    by = _by(word) if word else ""
    return replace(decision, text=f"{decision.text}; asked for{by}") if by else decision


def given_back(version: str, holder: str | None, word: Rollback) -> Decision:
    """Somebody's wish to have the version back that held the alias before."""
    before = f", and version {holder} does not any more" if holder else ""
    text = f"rolled back: version {version} holds {word.alias!r} again{before}"
    by = _by(word)
    return Decision(promoted=True, text=f"{text}; asked for{by}" if by else text)


def _by(word: Promotion | Rollback) -> str:
    by = f" by {word.by}" if word.by else ""
    return f"{by} ({word.comment})" if word.comment else by


def _found(decision: Decision) -> str:
    """The text of a decision without its verdict."""
    return decision.text.partition(": ")[2]


def former_holders(history: Sequence[str], holder: str | None) -> list[str]:
    """The history without the holder at its end.

    It stands there when a move died after it wrote the history and before it moved the alias. Earlier
    mentions of the same version stay: it held the alias, lost it, and won it back.
    """
    former = list(history)
    while former and former[-1] == holder:
        former.pop()
    return former


def history_after(history: Sequence[str], holder: str) -> list[str]:
    """The history once the holder has given the alias to another; the oldest holders are forgotten."""
    return [*former_holders(history, holder), holder][-HISTORY_LIMIT:]


def _held_back(rule: Promote, candidate: Candidate) -> str | None:
    """Why the candidate is not even compared; None where it is."""
    if candidate.value is None:
        return f"the run of version {candidate.version} has no metric {rule.metric}, or it is no number"
    if candidate.rows is not None and candidate.rows < rule.min_test_rows:
        return f"version {candidate.version} was tested on {candidate.rows:,} rows, and the rule asks for {rule.min_test_rows:,}"
    return None


def _unjudged(rule: Promote, candidate: Candidate, judged: Judgement) -> Decision:
    promoted = rule.on_incomparable is OnIncomparable.PROMOTE
    text = (
        f"{_verdict(promoted)}: version {judged.holder}, which holds {rule.alias!r}, cannot be compared"
        f" on the test rows: {judged.incomparable}; on_incomparable is {rule.on_incomparable}"
    )
    return Decision(promoted=promoted, text=text, value=candidate.value)


def _compared(
    rule: Promote, candidate: Candidate, value: float, judged: Judgement, holders: float
) -> Decision:
    sign = 1.0 if rule.more_is_better else -1.0
    reasons = []
    if not sign * (value - holders) > rule.min_delta:
        reasons.append(_short_of(rule))
    elif rule.confidence and not _surely(rule, sign, judged.interval):
        reasons.append(
            f"that is not sure enough: the rule asks for it with {_percent(rule.confidence)} confidence"
        )
    if rule.max_drift and judged.max_drift is not None and judged.max_drift > rule.max_drift:
        reasons.append(
            f"the data moved further than max_drift {rule.max_drift:g} allows ({judged.drift})"
        )
    said: list[str] = []
    if rule.max_drift and judged.max_drift is None:
        about = f" ({judged.drift})" if judged.drift else ""
        unknown = f"how far the data moved is not known{about}, and the rule has max_drift {rule.max_drift:g}; on_incomparable is {rule.on_incomparable}"
        (said if rule.on_incomparable is OnIncomparable.PROMOTE else reasons).append(unknown)
    told = _told(rule, candidate, value, judged, holders)
    text = "; ".join((f"{_verdict(not reasons)}: {told}", *said, *reasons))
    return Decision(promoted=not reasons, text=text, value=value, champion_value=holders)


def _short_of(rule: Promote) -> str:
    least = f" by more than {rule.min_delta:g}" if rule.min_delta else ""
    return f"the rule asks for {'more' if rule.more_is_better else 'less'}{least}"


def _surely(rule: Promote, sign: float, interval: Interval | None) -> bool:
    """Whether the difference passes `min_delta` even at the worse end of its interval."""
    if interval is None:
        return False
    return min(sign * interval.low, sign * interval.high) > rule.min_delta


def _told(
    rule: Promote, candidate: Candidate, value: float, judged: Judgement, holders: float
) -> str:
    """What was measured, as sentences for people."""
    told = f"{rule.metric} is {value:.5g}{_on(candidate, judged.tested_on)}, and version {judged.holder} has {holders:.5g} on the same rows"
    told += f" (difference {value - holders:+.3g}{_between(judged.interval)})"
    if judged.seen:
        told += f"; version {judged.holder} was trained on {judged.seen:,} of these rows, which flatters it"
    if judged.breaks:
        told += f"; callers of version {judged.holder} must change: {', '.join(judged.breaks)}"
    return told


def _between(interval: Interval | None) -> str:
    if interval is None:
        return ""
    return f", between {interval.low:+.3g} and {interval.high:+.3g} with {_percent(interval.confidence)} confidence"


def _percent(share: float) -> str:
    """Never 100% of what is less."""
    return f"{100 * share:.10g}%"


def _on(candidate: Candidate, which: str | None) -> str:
    rows = "" if candidate.rows is None else f" on {candidate.rows:,} test rows"
    return f"{rows} ({which})" if which else rows


def _verdict(promoted: bool) -> str:
    return "promoted" if promoted else "not promoted"
