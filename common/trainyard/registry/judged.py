"""What a run found about the holder, and the rule to decide by, kept on the run's version for whoever asks later."""

import json
from dataclasses import asdict, dataclass

from mlflow import MlflowClient
from mlflow.entities.model_registry import ModelVersion
from pydantic import TypeAdapter, ValidationError

from trainyard.contract import Promote
from trainyard.errors import CannotPromote
from trainyard.registry.promotion import Judgement
from trainyard.registry.version_tags import write_tags

JUDGED_TAG = "trainyard.judged."
"""With the alias after it. MLflow keeps 100,000 characters of a version's tag."""
JUDGEMENT: TypeAdapter[Judgement | None] = TypeAdapter(Judgement | None)


@dataclass(frozen=True)
class Judged:
    """A rule, and what was found about the version that held its alias."""

    rule: Promote
    judgement: Judgement | None
    """None where nobody held the alias."""


def as_tags(case: Judged) -> dict[str, str]:
    """The tag of a version that holds it."""
    whole = {
        "rule": case.rule.model_dump(mode="json"),
        "judgement": asdict(case.judgement) if case.judgement else None,
    }
    return {JUDGED_TAG + case.rule.alias: json.dumps(whole)}


def keep(client: MlflowClient, version: ModelVersion, case: Judged) -> None:
    """Write it on the version, where the alias's earlier one is replaced."""
    write_tags(client, version, as_tags(case))


def kept(version: ModelVersion) -> Judged:
    """What the version's run found. Raises `CannotPromote` where it was never judged, or the tag was changed."""
    named = f"version {version.version} of {version.name!r}"
    found = [value for key, value in version.tags.items() if key.startswith(JUDGED_TAG)]
    if not found:
        raise CannotPromote(
            f"{named} was not judged: its run was asked for no promotion; give its request"
            " `register.promote`, with `when` as `asked`"
        )
    try:
        whole = json.loads(found[0])
        rule = Promote.model_validate_json(json.dumps(whole["rule"]))
        return Judged(rule, JUDGEMENT.validate_python(whole["judgement"]))
    except (ValidationError, ValueError, KeyError, TypeError) as error:
        raise CannotPromote(
            f"the tag {JUDGED_TAG}… of {named} is not as its run wrote it; train it again"
        ) from error
