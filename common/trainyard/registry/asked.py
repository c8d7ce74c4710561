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
    """Nobody has judged the version that holds the alias."""

    def __init__(self, detail: str, holder: str) -> None:
        super().__init__(detail)
        self.holder = holder


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
    """A judge that knows the holders who were judged, and others by what their runs have recorded."""
    by_records = recorded(client, own, case.rule.metric)

    def judge(holder: ModelVersion) -> Judgement:
        if case.judgement and case.judgement.holder == str(holder.version):
            return case.judgement
        if str(holder.version) in judged:
            return judged[str(holder.version)]
        found = by_records(holder)
        more = [name for name in ("confidence", "max_drift") if getattr(case.rule, name)]
        why = found.incomparable or (f"the rule asks for {' and '.join(more)}" if more else None)
        if why:
            raise Unjudged(_changed(own, holder, case, why), str(holder.version))
        return found

    return judge


def _changed(own: ModelVersion, holder: ModelVersion, case: Judged, why: str) -> str:
    before = f"version {case.judgement.holder} did" if case.judgement else "nobody did"
    return (
        f"version {holder.version} holds {case.rule.alias!r} of {own.name!r} now, and {before} when version"
        f" {own.version} was judged; what MLflow has of both runs does not compare them ({why}); train it again"
    )
