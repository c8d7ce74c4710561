"""What can be known at submit of a scoring: whether this service can load the model, and whether the data has what it reads."""

import os
import tempfile
from collections.abc import Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path

import requests
from mlflow.exceptions import MlflowException
from mlflow.models import Model
from mlflow.store.artifact.artifact_repository_registry import get_artifact_repository

from trainyard.contract import (
    AnyTable,
    BuiltinData,
    DataVersion,
    FileData,
    ImageData,
    ScoreRequest,
    Split,
    TableData,
    Task,
)
from trainyard.datasets.access import DataAccess
from trainyard.datasets.builtin import BUILTINS, builtin_table, usable
from trainyard.datasets.loading import inspect
from trainyard.datasets.outputs import check_output
from trainyard.datasets.tables.head import column_names, column_names_of_tests
from trainyard.errors import InvalidData
from trainyard.suggestions import suggestion
from trainyard.tracking.availability import is_away
from trainyard.worker.champion import CannotScore
from trainyard.worker.scored_model import About, about, check_loadable


class ModelUnavailable(Exception):
    """MLflow, or its artifact store, does not answer."""


def described(uri: str) -> About:
    """What the model's files say of it. Raises `CannotScore`, and `ModelUnavailable` where nobody can tell now."""
    os.environ |= {"MLFLOW_HTTP_REQUEST_MAX_RETRIES": "1", "MLFLOW_HTTP_REQUEST_TIMEOUT": "10"}
    with tempfile.TemporaryDirectory() as folder:
        description = _fetched(uri, "MLmodel", folder)
        if description is None:
            raise CannotScore(f"{uri!r} has no file MLmodel in MLflow's artifact store")
        try:
            model = Model.load(str(description))
        except Exception as error:  # whatever a damaged file makes of a parser
            raise CannotScore(f"its file MLmodel cannot be read: {error}") from error
        check_loadable(model, _fetched(uri, "requirements.txt", folder))
    return about(model)


def inspect_scored(request: ScoreRequest, model: About, access: DataAccess) -> DataVersion | None:
    """Raise `InvalidData`, with a pointer, for the first field that cannot be right.

    The answer is the version of the data that counts now, where it has versions.
    """
    if request.output is not None:
        check_output(request.output, access)
    if model.columns is None:
        _inspect_images(request, access)
        return None
    if isinstance(request.data, ImageData):
        raise InvalidData(
            "the model takes a table, and source 'images' gives images", "/data/source"
        )
    if request.rows == "test":
        return _inspect_tests(request, model, access)
    return _inspect_all(request, model.columns, access)


def _inspect_images(request: ScoreRequest, access: DataAccess) -> None:
    if request.keep:
        raise InvalidData("images have no columns to keep; leave keep out", "/keep")
    if isinstance(request.data, TableData):
        raise InvalidData(
            f"the model takes images, and source {request.data.source!r} gives a table",
            "/data/source",
        )
    split = request.split or Split()
    task = Task.CLASSIFICATION
    inspect(request.data, task=task, kinds=("images",), access=access, split=split)


def _inspect_tests(request: ScoreRequest, model: About, access: DataAccess) -> DataVersion | None:
    """That rows can be divided as the split says, and have what is needed. The data is looked at once: a database may take long."""
    if model.task is None:
        raise InvalidData(
            "the model does not say whether it predicts classes or values, and test rows are told by the target; set rows to 'all'",
            "/rows",
        )
    data, needed = request.data, model.columns or ()
    split = request.split or Split()
    streamed = replace(access, memory_mb=None)  # a scoring never has the whole table in memory
    looked = partial(inspect, task=model.task, kinds=("table",), access=streamed, split=split)
    if isinstance(data, BuiltinData):
        _check_builtin(request, data, needed)
        return looked(data)
    if isinstance(data, ImageData):
        raise TypeError("images are no table")
    if data.target is None:
        raise InvalidData("test rows are told by the target; name its column", "/data/target")
    _check_test_table(request, data, needed, access)
    features = [name for name in needed if name not in {data.target, data.weight}]
    plain = {"features": features, "drop": [], "categorical": [], "columns": {}}
    return looked(
        data.model_copy(update=plain),
        check_names=lambda names: _check_there(request, needed, names, data.pointer),
    )


def _inspect_all(
    request: ScoreRequest, needed: tuple[str, ...], access: DataAccess
) -> DataVersion | None:
    """That the data has what the model reads and the caller keeps, as far as that can be told without all of it."""
    data = request.data
    if isinstance(data, BuiltinData):
        _check_builtin(request, data, needed)
    if isinstance(data, BuiltinData | ImageData):
        return None
    version, names = column_names(data, access)
    _check_there(request, needed, names, data.pointer)
    _check_test_table(request, data, needed, access)
    return version


def _check_builtin(request: ScoreRequest, data: BuiltinData, needed: tuple[str, ...]) -> None:
    known = BUILTINS.get(data.name)
    usable(data.name, known.task if known else Task.CLASSIFICATION, ("table",))
    _check_there(request, needed, builtin_table(data.name).column_names, "/data/name")


def _check_test_table(
    request: ScoreRequest, data: AnyTable, needed: tuple[str, ...], access: DataAccess
) -> None:
    if isinstance(data, FileData) and data.test_uri is not None:
        tested = column_names_of_tests(data, data.test_uri, access)
        _check_there(request, needed, tested, "/data/test_uri")


def _check_there(
    request: ScoreRequest, needed: tuple[str, ...], there: Sequence[str] | None, pointer: str
) -> None:
    if there is None:
        return
    known = dict.fromkeys(there)
    gone = [name for name in needed if name not in known]
    if gone:
        more = f" and {len(gone) - 1} more" if len(gone) > 1 else ""
        raise InvalidData(
            f"the data has no column {gone[0]!r}{more}, which {request.model_uri} reads", pointer
        )
    for position, name in enumerate(request.keep):
        if name not in known:
            hint = suggestion(name, known, otherwise="the columns are")
            raise InvalidData(f"{name!r} is not a column; {hint}", f"/keep/{position}")


def _fetched(uri: str, file: str, folder: str) -> Path | None:
    """A file of the model; None where it has none. Raises `ModelUnavailable`."""
    try:
        files = get_artifact_repository(uri)
        if not any(Path(each.path).name == file for each in files.list_artifacts("")):
            return None
        return Path(files.download_artifacts(file, folder))
    except (MlflowException, requests.RequestException) as error:
        if is_away(error):
            raise ModelUnavailable(
                f"MLflow does not give the file {file} of {uri}: {error}"
            ) from error
        return None
    except OSError:
        return None
