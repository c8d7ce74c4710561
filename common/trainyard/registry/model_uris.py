"""From the name of a model to the one model that it means now, and how the run that made it divided its rows."""

from dataclasses import dataclass

from mlflow import MlflowClient
from mlflow.exceptions import MlflowException
from pydantic import ValidationError

from trainyard.contract import ScoreRequest, Split
from trainyard.errors import Invalid
from trainyard.registry.recorded import SPLIT_TAG
from trainyard.tracking.availability import is_away

HERE = "/model_uri"


@dataclass(frozen=True)
class Named:
    """A model that stays the same whatever becomes of aliases, and the run that made it where that is known."""

    uri: str
    run_id: str | None


def resolved(client: MlflowClient, request: ScoreRequest) -> ScoreRequest:
    """The request with one model in the place of an alias, and with the split of the model's run where it needs one.

    Raises `Invalid` for a model that MLflow does not have, or a split that nobody has said.
    """
    try:
        named = _named(client, request.model_uri)
    except MlflowException as error:
        if is_away(error):
            raise
        raise Invalid.field(
            HERE, f"{request.model_uri!r} is no model that MLflow has: {_said(error)}"
        ) from error
    split = request.split
    if request.rows == "test" and split is None:
        split = _split_of(client, named)
    return request.model_copy(update={"model_uri": named.uri, "split": split})


def _named(client: MlflowClient, uri: str) -> Named:
    scheme, _, rest = uri.partition(":/")
    if scheme == "runs":
        run_id, _, name = rest.partition("/")
        return _logged_by(client, run_id, name)
    if rest.startswith("m-") and "/" not in rest and "@" not in rest:
        return Named(uri, client.get_logged_model(rest).source_run_id)
    name, at, alias = rest.partition("@")
    if at:
        version = client.get_model_version_by_alias(name, alias)
    else:
        name, _, number = rest.partition("/")
        version = client.get_model_version(name, number)
    return Named(f"models:/{name}/{version.version}", version.run_id or None)


def _logged_by(client: MlflowClient, run_id: str, name: str) -> Named:
    """The run's newest logged model of this name; where it has none, the files below that name."""
    run = client.get_run(run_id)
    found = client.search_logged_models(
        [run.info.experiment_id],
        filter_string=f"source_run_id = '{run_id}'",
        order_by=[{"field_name": "creation_timestamp", "ascending": False}],
    )
    for each in found:
        if each.name == name and each.status == "READY":
            return Named(str(each.model_uri), run_id)
    return Named(f"runs:/{run_id}/{name}", run_id)


def _split_of(client: MlflowClient, named: Named) -> Split:
    """How the run that made the model divided its rows, as it recorded it."""
    unknown = f"the run that made {named.uri} has not recorded how it divided its rows; say it here"
    if named.run_id is None:
        raise Invalid.field("/split", unknown)
    try:
        recorded = client.get_run(named.run_id).data.tags.get(SPLIT_TAG, "")
        return Split.model_validate_json(recorded)
    except MlflowException as error:
        if is_away(error):
            raise
        raise Invalid.field("/split", unknown) from error
    except ValidationError as error:
        raise Invalid.field("/split", unknown) from error


def _said(error: MlflowException) -> str:
    return " ".join(str(error.message).split())[:300]
