"""Names of experiments, runs, tags, aliases and registered models: in any script, refused in words where MLflow refuses them."""

import posixpath
import re
import unicodedata
from typing import Annotated

from pydantic import AfterValidator, StringConstraints

WRITTEN_BY_US = ("trainyard.", "mlflow.runName", "mlflow.user", "mlflow.source.")
AIRFLOW_TASK = "airflow.task_url"
"""The tag with the address of the task in Airflow that asked for a run."""
NOT_IN_MODELS = "/:.%\"'?"
"""What MLflow, or an address of a model, has another use for."""
IN_TAGS = "_/.- :"
"""Beside letters and digits."""


def _readable(name: str) -> str:
    """What is shown and searched for must be seen, and be one line."""
    if not name.strip():
        message = f"{name!r} is blank; give it a letter at least"
        raise ValueError(message)
    for sign in name:
        if unicodedata.category(sign) == "Cc":
            message = f"{name!r} holds {sign!r}, which cannot be shown; leave it out"
            raise ValueError(message)
    return name


def _of_a_model(name: str) -> str:
    """MLflow's addresses of models are made of it: `models:/NAME/VERSION`, `models:/NAME@ALIAS`."""
    for sign in name:
        if sign in NOT_IN_MODELS or sign == "@":
            message = f"{name!r} holds {sign!r}, and the name of a registered model has none of / : . % ? \" ' @; take a dash in its place"
            raise ValueError(message)
    return name


def _of_a_tag(tag: str) -> str:
    """MLflow keeps tags by these signs, and in files whose paths they are."""
    for sign in tag:
        if not (sign.isalnum() or sign in IN_TAGS or unicodedata.category(sign)[0] == "M"):
            message = f"{tag!r} holds {sign!r}, and MLflow takes letters, digits, spaces and _ - . / : in the name of a tag"
            raise ValueError(message)
    plain = posixpath.normpath(tag)
    if plain != tag or plain == "." or plain.startswith(("..", "/")):
        message = f"{tag!r} is no name of a tag: as a path it would be {plain!r}; leave out the dots and slashes that stand alone"
        raise ValueError(message)
    return tag


def _not_our_own(tag: str) -> str:
    """What Trainyard itself reads back from a run must be its own writing."""
    if tag.startswith(WRITTEN_BY_US):
        message = f"{tag!r} is a tag that Trainyard writes itself; take another name"
        raise ValueError(message)
    return tag


def _of_an_alias(alias: str) -> str:
    """MLflow keeps `latest` and `v1`, `v2`, … for itself."""
    if alias.lower() == "latest" or re.fullmatch(r"[vV]\d+", alias):
        message = (
            f"{alias!r} is a name that MLflow keeps for itself; take another, such as 'champion'"
        )
        raise ValueError(message)
    for sign in alias:
        if not (sign.isascii() and (sign.isalnum() or sign in "_-")):
            message = f"{alias!r} holds {sign!r}, and an alias is made of the letters a to z, digits, dashes and underscores; take another, such as 'champion'"
            raise ValueError(message)
    return alias


Name = Annotated[str, StringConstraints(min_length=1, max_length=250), AfterValidator(_readable)]
"""Of an experiment or a run."""
ModelName = Annotated[Name, AfterValidator(_of_a_model)]
"""Of a registered model."""
Alias = Annotated[
    str, StringConstraints(min_length=1, max_length=200), AfterValidator(_of_an_alias)
]
"""MLflow takes 255 letters of one, and 250 of the tags that it is a part of."""
TagName = Annotated[
    str,
    StringConstraints(min_length=1, max_length=250),
    AfterValidator(_readable),
    AfterValidator(_of_a_tag),
    AfterValidator(_not_our_own),
]
ModelAsked = Annotated[
    str, StringConstraints(min_length=1, max_length=1000), AfterValidator(_readable)
]
"""What a run trains, or the model_uri that it scores."""
