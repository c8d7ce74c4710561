"""`trainyard score`: submit a scoring, follow it, and show what became of it."""

from typing import Annotated, Any

import typer

from trainyard.cli.following import see_through
from trainyard.cli.options import AsJson, Detach, Key, Token, Url
from trainyard.cli.request_source import scored_data
from trainyard.client import TrainyardClient

ModelUri = Annotated[
    str,
    typer.Argument(
        help="The model: models:/NAME@ALIAS, models:/NAME/VERSION or runs:/RUN_ID/model",
        show_default=False,
    ),
]
ScoredData = Annotated[
    str,
    typer.Option(
        help="The rows: a builtin's name, a table, images, or JSON as in a request's data",
        show_default=False,
    ),
]
Target = Annotated[
    str | None, typer.Option(help="The table's column with the true values, for metrics")
]
Which = Annotated[
    str, typer.Option(help="all, or test: the test rows of the run that made the model")
]
Keep = Annotated[
    list[str] | None,
    typer.Option(help="A column to write beside the predictions; again for another"),
]
Output = Annotated[
    str | None,
    typer.Option(metavar="PATH", help="Where the service writes them too, below its output roots"),
]


def score(  # noqa: PLR0913 - one option each
    model_uri: ModelUri,
    *,
    data: ScoredData,
    target: Target = None,
    rows: Which = "all",
    keep: Keep = None,
    output: Output = None,
    experiment: Annotated[str | None, typer.Option(help="The experiment in MLflow")] = None,
    key: Key = None,
    detach: Detach = False,
    as_json: AsJson = False,
    url: Url = None,
    token: Token = None,
) -> None:
    """Score rows with a model of MLflow; the predictions are predictions.parquet of the run."""
    wanted: dict[str, Any] = {"model_uri": model_uri, "data": scored_data(data, target)}
    wanted |= {"rows": rows, "keep": keep or [], "output": output}
    if experiment is not None:
        wanted["experiment"] = experiment
    with TrainyardClient(url, token=token) as client:
        see_through(client, client.score, wanted, key=key, detach=detach, as_json=as_json)
