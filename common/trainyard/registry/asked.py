"""A promotion that somebody asks for after the run has ended: the run's own rule, and what the run found.

No model is loaded here. A holder that the run has not judged is compared where its own run was tested on the very
same rows, or where the caller has had it judged since; otherwise `Unjudged` names it, and nothing moves.
"""

from collections.abc import Callable, Mapping
from functools import partial
from pathlib import Path

from mlflow import MlflowClient
from mlflow.entities.model_registry import ModelVersion

from trainyard.contract import Promotion, Registered, When
from trainyard.errors import ChampionChanged
from trainyard.registry.judged import Judged, kept
from trainyard.registry.mlflow_registry import conflicts, promote, registered, taken
from trainyard.registry.promotion import Judgement
from trainyard.registry.recorded import recorded
from trainyard.registry.rejection import waiting
from trainyard.registry.turn import Turn, Turns


class Unjudged(ChampionChanged):
    """Nobody has compared the version that holds the alias; `known` is why not, where somebody has tried."""

    def __init__(self, detail: str, holder: str, known: Judgement | None = None) -> None:
        super().__init__(detail)
        self.holder = holder
        self.known = known


def promote_when_asked(  # noqa: PLR0913 - what a decision is made of, each by name
    client: MlflowClient,
    *,
    name: str,
    version: str,
    word: Promotion,
    locks: Path,
    judged: Mapping[str, Judgement] | None = None,
    turns: Turns | None = None,
) -> Registered:
    """Decide about the version of a run that was judged, and note it on the version.

    `judged` has what was found since about other holders than the run's, by their version. Raises `CannotPromote`,
    `Unjudged`, and `RegistryConflict` where MLflow refuses.
    """
    with conflicts(f"reading version {version} of {name!r}"):
        own = client.get_model_version(name, version)
    case = kept(own)
    take = turns or partial(taken, client, locks=locks)
    if not word.approved:
        turn = Turn(
            name=name,
            version=version,
            rule=waiting(case.rule),
            judgement=case.judgement,
            word=word,
        )
        return registered(client, name=name, version=version, decision=take(turn))
    decision = promote(
        client,
        name=name,
        version=version,
        rule=case.rule.model_copy(update={"when": When.NOW}),
        locks=locks,
        judge=_remembering(client, own, case, judged or {}),
        word=word,
        turns=take,
    )
    return registered(client, name=name, version=version, decision=decision)


def _remembering(
    client: MlflowClient, own: ModelVersion, case: Judged, judged: Mapping[str, Judgement]
) -> Callable[[ModelVersion], Judgement]:
    """A judge that knows the holders who were compared, and others by what their runs have recorded.

    One that could not be compared may be now: a peer was away, an artifact store refused, or time was up.
    """
    with conflicts(f"reading the run of version {own.version} of {own.name!r}"):
        by_records = recorded(client, own, case.rule.metric)

    def judge(holder: ModelVersion) -> Judgement:
        number = str(holder.version)
        known = case.judgement if case.judgement and case.judgement.holder == number else None
        if number in judged:
            return judged[number]
        if known and known.incomparable is None:
            return known
        found = by_records(holder)
        more = [name for name in ("confidence", "max_drift") if getattr(case.rule, name)]
        why = found.incomparable or (f"the rule asks for {' and '.join(more)}" if more else None)
        if why:
            raise Unjudged(_changed(own, holder, case, why), number, known)
        return found

    return judge


def _changed(own: ModelVersion, holder: ModelVersion, case: Judged, why: str) -> str:
    if case.judgement and case.judgement.holder == str(holder.version):
        return (
            f"version {holder.version} holds {case.rule.alias!r} of {own.name!r}, and could not be compared when version"
            f" {own.version} was judged ({case.judgement.incomparable}); what MLflow has of both runs does not compare"
            f" them either ({why}); train it again"
        )
    before = f"version {case.judgement.holder} did" if case.judgement else "nobody did"
    return (
        f"version {holder.version} holds {case.rule.alias!r} of {own.name!r} now, and {before} when version"
        f" {own.version} was judged; what MLflow has of both runs does not compare them ({why}); train it again"
    )
