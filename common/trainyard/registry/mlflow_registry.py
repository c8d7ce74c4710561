"""What a service and the command line do in MLflow's model registry.

Only `MlflowClient`. An MLflow that is away raises as MLflow does, for the caller to try again
(`tracking.availability.is_away`); what it refuses becomes `RegistryConflict`.
"""

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from functools import partial
from pathlib import Path

from mlflow import MlflowClient
from mlflow.entities.model_registry import ModelVersion
from mlflow.exceptions import MlflowException
from mlflow.protos.databricks_pb2 import RESOURCE_ALREADY_EXISTS, ErrorCode

from trainyard.contract import Promote, Promotion, Register, Registered, Rollback, When
from trainyard.errors import CannotPromote, RegistryConflict
from trainyard.registry.aliases import (
    former_holder,
    held_before,
    held_by,
    held_in,
    holder_of,
    is_missing,
    move,
    move_back,
    version_in,
)
from trainyard.registry.judged import Judged, keep, kept
from trainyard.registry.lock import model_lock
from trainyard.registry.notes import noted, noted_candidate, write_note
from trainyard.registry.promotion import (
    Candidate,
    Decision,
    Judgement,
    approved,
    awaiting,
    decide,
    given_back,
)
from trainyard.registry.recorded import candidate_of, recorded
from trainyard.registry.rejection import noted_rejection, turned_down
from trainyard.registry.turn import AnotherHolder, Turn, Turns
from trainyard.registry.version_tags import write_tags
from trainyard.tracking.availability import is_away

ROLLBACK_TAG = "trainyard.rollback."
"""With the alias after it, on the version that lost it."""
Judge = Callable[[ModelVersion], Judgement]
"""Scores the holder of an alias on the test rows of the version that may replace it."""


def register_run(  # noqa: PLR0913 - what a registration is made of, each by name
    client: MlflowClient,
    *,
    run_id: str,
    model_uri: str,
    request: Register,
    locks: Path,
    tags: Mapping[str, str],
    judge: Judge | None = None,
    holder: ModelVersion | None = None,
    turns: Turns | None = None,
) -> Registered:
    """Register the run's model, give it its alias, promote it; again with the same run changes nothing.

    Where `alias` and `promote.alias` are one, the promotion alone decides who gets it. `holder`, `judge` and `turns` are
    as in `promote`.
    """
    name, rule = request.name, request.promote
    with model_lock(name, locks):
        version = register(client, name=name, model_uri=model_uri, run_id=run_id, tags=tags)
    if request.alias and not (rule and rule.alias == request.alias):
        (turns or partial(taken, client, locks=locks))(
            Turn(name=name, version=version, alias=request.alias)
        )
    decision = (
        promote(
            client,
            name=name,
            version=version,
            rule=rule,
            locks=locks,
            judge=judge,
            holder=holder,
            turns=turns,
        )
        if rule
        else None
    )
    return registered(client, name=name, version=version, decision=decision)


def registered(
    client: MlflowClient, *, name: str, version: str, decision: Decision | None
) -> Registered:
    """The version as it stands in MLflow, with what was decided about it."""
    with conflicts(f"reading version {version} of {name!r} back"):
        aliases = sorted(client.get_model_version(name, version).aliases)
    return Registered(
        name=name,
        version=version,
        aliases=aliases,
        promoted=decision.promoted if decision else None,
        decision=decision.text if decision else None,
    )


def register(
    client: MlflowClient, *, name: str, model_uri: str, run_id: str, tags: Mapping[str, str]
) -> str:
    """The version of the run's model, made if it is not there: one run, one version.

    `model_uri` is a logged model's (`models:/m-…`) or whatever else MLflow takes as a source.
    """
    with conflicts(f"registering {model_uri} as {name!r}"):
        found = _versions(client, name, run_id)
        if found:
            return found[0]
        try:
            _make_version(client, name, model_uri, run_id, tags)
        except MlflowException as error:
            if not is_missing(error):
                raise
            _make_model(client, name)
            _make_version(client, name, model_uri, run_id, tags)
        # A POST whose answer is lost is sent again by some HTTP clients, and each one makes a version.
        kept, *again = _versions(client, name, run_id)
        for version in again:
            client.delete_model_version(name, version)
        return kept


def set_alias(client: MlflowClient, *, name: str, alias: str, version: str, locks: Path) -> None:
    """Give the alias to the version, and remember who held it.

    One that had it, and lost it to another, does not get it back: it is told again.
    """
    with model_lock(name, locks), conflicts(f"giving {alias!r} of {name!r} to version {version}"):
        holder = held_by(client, name, alias)
        if not held_before(client, name, alias, version, holder=holder):
            move(client, name, alias, version, holder=holder)


def promote(  # noqa: PLR0913 - what a promotion is made of, each by name
    client: MlflowClient,
    *,
    name: str,
    version: str,
    rule: Promote,
    locks: Path,
    judge: Judge | None = None,
    holder: ModelVersion | None = None,
    word: Promotion | None = None,
    turns: Turns | None = None,
) -> Decision:
    """Move `rule.alias` to the version if it beats the holder on the test rows of its own run.

    `judge` scores a holder on these rows, and has mostly scored `holder`, who had the alias a moment ago; without one, what MLflow has recorded of both runs must do. Promotions of
    one registered model take turns, and a holder that was replaced while it was judged is no longer the one to beat:
    the new one is judged. The decision is written on the version either way, after the alias has moved: a note
    never claims what did not happen. A rule that waits to be asked moves nothing; `word` is of whoever has asked.
    `turns` takes the turn in the place of this process, where another decides for all.
    """
    doing = f"promoting version {version} of {name!r}"
    if judge is None:
        with conflicts(doing):
            judge = recorded(client, client.get_model_version(name, version), rule.metric)
    while True:
        if holder is None:
            with conflicts(doing):
                holder = holder_of(client, name, rule.alias)
        known = None if holder is None else str(holder.version)
        with conflicts(doing):
            judgement = judge(holder) if holder is not None and known != version else None
        try:
            return (turns or partial(taken, client, locks=locks))(
                Turn(
                    name=name,
                    version=version,
                    rule=rule,
                    holder=known,
                    judgement=judgement,
                    word=word,
                )
            )
        except AnotherHolder:
            holder = None


def taken(client: MlflowClient, turn: Turn, *, locks: Path) -> Decision:
    """Take the turn, under the registered model's lock in `locks`: decide, move and note.

    Raises `AnotherHolder` where another version has the alias by now. A version that took the alias by this rule already
    is told what was decided then.
    """
    name, version, rule = turn.name, turn.version, turn.rule
    if turn.back is not None:
        return _given_back(client, turn, turn.back, locks)
    if rule is None:
        set_alias(client, name=name, alias=turn.alias, version=version, locks=locks)
        return Decision(promoted=True, text=f"version {version} was given {turn.alias!r}")
    if turned_down(turn):
        doing = f"noting that version {version} of {name!r} was rejected"
        with model_lock(name, locks), conflicts(doing):
            return noted_rejection(client, turn, rule)
    with model_lock(name, locks), conflicts(f"promoting version {version} of {name!r}"):
        model = client.get_registered_model(name)
        now, own = held_in(model, rule.alias), version_in(client, model, version)
        if before := noted(own, rule):
            lost = turn.word is None and held_before(client, name, rule.alias, version, holder=now)
            if now == version or lost:
                return before
        if now != turn.holder:
            raise AnotherHolder
        candidate = noted_candidate(own, rule.metric) or candidate_of(client, own, rule.metric)
        if turn.holder == version and (moved := _moved(own, rule, candidate)):
            decision = approved(moved[1], turn.word)
            _not_rolled_back(client, own, rule.alias)
            write_note(client, own, candidate.rows, moved[0], decision)
            return decision
        return _settled(client, own, candidate, turn, Judged(rule, turn.judgement))


def _moved(
    own: ModelVersion, rule: Promote, candidate: Candidate
) -> tuple[Judged, Decision] | None:
    """What gave the alias to a version that has it and no note: whoever decided died after the move.

    The case was kept before the move. None where it is not there, or would not have moved the alias: somebody else has.
    """
    try:
        case = kept(own)
    except CannotPromote:
        return None
    if (case.rule.alias, case.rule.metric) != (rule.alias, rule.metric):
        return None
    before = case.judgement.holder if case.judgement else None
    decision = decide(rule, candidate, before, case.judgement)
    return (case, decision) if decision.promoted else None


def _settled(
    client: MlflowClient, own: ModelVersion, candidate: Candidate, turn: Turn, case: Judged
) -> Decision:
    """Decide, move and note. The caller holds the model's lock, and `turn.holder` has the alias."""
    name, rule, holder = turn.name, case.rule, turn.holder
    decision = decide(rule, candidate, holder, case.judgement)
    if holder != candidate.version:
        keep(client, own, case)
        decision = awaiting(decision) if rule.when is When.ASKED else approved(decision, turn.word)
    if decision.promoted:
        move(client, name, rule.alias, candidate.version, holder=holder)
        _not_rolled_back(client, own, rule.alias)
    write_note(client, own, candidate.rows, case, decision)
    return decision


def _not_rolled_back(client: MlflowClient, own: ModelVersion, alias: str) -> None:
    """Take back that the version lost the alias by a rollback, where it did: it has won it again."""
    if own.tags.get(ROLLBACK_TAG + alias):
        write_tags(client, own, {ROLLBACK_TAG + alias: ""})


def rollback(
    client: MlflowClient, *, name: str, word: Rollback, locks: Path, turns: Turns | None = None
) -> Registered:
    """Give the alias that `word` names back to the version that held it before.

    Each call goes one holder further back; one that names the version that is to lose the alias, only from there.
    Versions that were deleted since are passed over. `turns` is as in `promote`.
    Raises `RegistryConflict` where there is no earlier holder, and where the alias moved meanwhile.
    """
    alias = word.alias
    with conflicts(f"rolling {alias!r} of {name!r} back"):
        holder = held_by(client, name, alias)
        _check_holder(name, word, holder)
        version = former_holder(client, name, alias, holder=holder)
    if version is None:
        held = f"version {holder} holds it" if holder else "nobody holds it"
        raise RegistryConflict(
            f"{name!r} has no earlier holder of {alias!r} to roll back to; {held} now"
        )
    turn = Turn(name=name, version=version, holder=holder, back=word)
    try:
        decision = (turns or partial(taken, client, locks=locks))(turn)
    except AnotherHolder as error:
        message = (
            f"{alias!r} of {name!r} moved while it was to be rolled back; see who holds it now"
        )
        raise RegistryConflict(message) from error
    return registered(client, name=name, version=version, decision=decision)


def _check_holder(name: str, word: Rollback, holder: str | None) -> None:
    """Raise `RegistryConflict` where another version holds the alias than was to lose it."""
    if word.holder in {None, holder}:
        return
    held = f"is held by version {holder}" if holder else "is held by nobody"
    raise RegistryConflict(
        f"{word.alias!r} of {name!r} {held}, and version {word.holder} was to lose it; it moved already, and nothing moved now"
    )


def _given_back(client: MlflowClient, turn: Turn, back: Rollback, locks: Path) -> Decision:
    """Move the alias back, and say so on the version that had it; again, where the answer was lost, changes nothing."""
    name, alias = turn.name, back.alias
    with model_lock(name, locks), conflicts(f"rolling {alias!r} of {name!r} back"):
        decision = given_back(turn.version, turn.holder, back)
        now = held_by(client, name, alias)
        if now not in {turn.holder, turn.version}:
            raise AnotherHolder
        if now == turn.holder:
            move_back(client, name, alias, turn.version, holder=now)
        if turn.holder is not None:
            tag = ROLLBACK_TAG + alias
            client.set_model_version_tag(name, turn.holder, tag, decision.text)
    return decision


def _versions(client: MlflowClient, name: str, run_id: str) -> list[str]:
    """The run's versions of the registered model, the first one first."""
    found = client.search_model_versions(f"run_id = '{run_id}'")
    return sorted((str(each.version) for each in found if each.name == name), key=int)


def _make_version(
    client: MlflowClient, name: str, model_uri: str, run_id: str, tags: Mapping[str, str]
) -> None:
    logged = model_uri.removeprefix("models:/")
    client.create_model_version(
        name,
        source=model_uri,
        run_id=run_id,
        tags=dict(tags),
        model_id=logged if logged.startswith("m-") else None,
    )


def _make_model(client: MlflowClient, name: str) -> None:
    """Make the registered model unless it is there."""
    try:
        client.create_registered_model(name)
    except MlflowException as error:
        if error.error_code != ErrorCode.Name(RESOURCE_ALREADY_EXISTS):
            raise


@contextmanager
def conflicts(doing: str) -> Iterator[None]:
    """Turn what MLflow refuses into `RegistryConflict`, which says what was being done."""
    try:
        yield
    except MlflowException as error:
        if is_away(error):
            raise
        message = f"{doing}: {error}"
        raise RegistryConflict(message) from error
