"""A version that somebody does not want, whatever the rule says: a turn in which nothing moves."""

from mlflow import MlflowClient

from trainyard.contract import Promote, When
from trainyard.errors import CannotPromote
from trainyard.registry.aliases import held_by
from trainyard.registry.judged import Judged
from trainyard.registry.notes import write_note
from trainyard.registry.promotion import Decision, decide, rejected
from trainyard.registry.recorded import candidate_of
from trainyard.registry.turn import Turn


def turned_down(turn: Turn) -> bool:
    """Whether whoever asks says no."""
    return turn.word is not None and not turn.word.approved


def waiting(rule: Promote) -> Promote:
    """The rule of a turn that is turned down: by it nothing moves either, whoever takes the turn."""
    return rule.model_copy(update={"when": When.ASKED})


def noted_rejection(client: MlflowClient, turn: Turn, rule: Promote) -> Decision:
    """Say it on the version; the caller holds the model's lock. Raises `CannotPromote` for a version that holds the alias."""
    name, version, word, judgement = turn.name, turn.version, turn.word, turn.judgement
    if word is None:
        raise TypeError("nobody has said no")
    if held_by(client, name, rule.alias) == version:
        raise CannotPromote(
            f"version {version} of {name!r} holds {rule.alias!r} already; `trainyard rollback` gives it back"
        )
    own = client.get_model_version(name, version)
    candidate = candidate_of(client, own, rule.metric)
    judged = judgement.holder if judgement else None
    decision = rejected(decide(rule, candidate, judged, judgement), word)
    write_note(client, own, candidate.rows, Judged(rule, judgement), decision)
    return decision
