"""What a model's files say of it, its predictions as a file, and the metrics made of them."""

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from mlflow.models import Model, ModelSignature
from mlflow.types import ColSpec, DataType, ParamSchema, ParamSpec, Schema, TensorSpec
from mlflow.types.schema import AnyType
from sklearn.metrics import accuracy_score, log_loss
from trainyard.contract import Task
from trainyard.datasets.scoring.rows import RowsToScore, Truth
from trainyard.worker import measured as measuring
from trainyard.worker.champion import CannotScore
from trainyard.worker.measured import Measured
from trainyard.worker.predictions_file import PredictionsFile
from trainyard.worker.scored_model import Predicted, ScoredModel, about, check_loadable

ONE = Schema([ColSpec(DataType.double, "a")])
METHOD = ParamSchema([ParamSpec("method", DataType.string, "predict")])


def description(
    output: Schema | None = None,
    *,
    inputs: Schema = ONE,
    method: bool = True,
    metadata: dict[str, Any] | None = None,
    **flavors: dict[str, Any],
) -> Model:
    signature = ModelSignature(inputs=inputs, outputs=output, params=METHOD if method else None)
    return Model(signature=signature, metadata=metadata, flavors=flavors)


@pytest.mark.parametrize(
    "kind, task, label_type",
    [
        (DataType.double, Task.REGRESSION, None),
        (DataType.long, Task.CLASSIFICATION, int),
        (DataType.boolean, Task.CLASSIFICATION, bool),
        (DataType.string, Task.CLASSIFICATION, str),
    ],
)
def test_the_signature_tells_what_a_model_does(
    kind: DataType, task: Task, label_type: type | None
) -> None:
    found = about(description(Schema([ColSpec(kind)])))
    assert (found.columns, found.task, found.label_type) == (("a",), task, label_type)


def test_a_model_of_images_has_no_columns_and_its_classes_are_in_its_metadata() -> None:
    tensor = Schema([TensorSpec(np.dtype("uint8"), (-1, 8, 8))])
    found = about(description(inputs=tensor, method=False, metadata={"classes": [0, 1]}))
    assert (found.columns, found.task, found.label_type) == (None, Task.CLASSIFICATION, int)


def test_a_model_of_somebody_else_is_taken_as_it_comes() -> None:
    assert about(description(Schema([ColSpec(DataType.double)]), method=False)).task is None


def test_what_is_missing_is_named(tmp_path: Path) -> None:
    requirements = tmp_path / "requirements.txt"
    requirements.write_text("# pinned\nmlflow==3.17.2\n--find-links .\nabsent-library>=1\n")
    here = {"loader_module": "mlflow.pyfunc.model"}
    check_loadable(description(python_function=here), None)
    for model, wanted, words in (
        (
            description(xgboost={}),
            None,
            "no python_function flavor, by which models are loaded; it has xgboost",
        ),
        (
            description(python_function={"loader_module": "absent.loader"}),
            None,
            "module 'absent.loader'",
        ),
        (description(python_function=here, catboost={}), None, "'catboost'"),
        (description(python_function=here), requirements, "'absent-library'"),
    ):
        with pytest.raises(CannotScore) as caught:
            check_loadable(model, wanted)
        assert words in str(caught.value)


def test_what_is_required_elsewhere_is_not_missing_here(tmp_path: Path) -> None:
    requirements = tmp_path / "requirements.txt"
    requirements.write_text(
        'absent-windows==0.4.6 ; sys_platform == "win32" \\\n    --hash=sha256:00\n'
        'absent-old>=1; python_version < "3.8"  # a backport\n'
        'mlflow ; python_version >= "3.8" and extra != "x"\n'
        "absent-local @ file:///somewhere ; sys_platform == 'win32'\n"
    )
    here = description(python_function={"loader_module": "mlflow.pyfunc.model"})
    check_loadable(here, requirements)
    requirements.write_text('absent-library[more]>=1 ; sys_platform == "linux"\n')
    with pytest.raises(CannotScore, match="'absent-library'"):
        check_loadable(here, requirements)


class Answering:
    """What `mlflow.pyfunc.load_model` gives, as far as it is asked here."""

    def __init__(self, metadata: Model, answer: Any) -> None:
        self.metadata = metadata
        self._answer = answer

    def predict(self, x: Any, params: Any = None) -> Any:  # noqa: ARG002 - MLflow's signature
        if isinstance(self._answer, BaseException):
            raise self._answer
        return self._answer


ROWS = pd.DataFrame({"a": [1.0, 2.0]})


def test_predictions_are_classes_as_the_data_has_them() -> None:
    answer = pd.DataFrame({"3": [0.1, 0.8], "10": [0.9, 0.2]})
    found = ScoredModel(Answering(description(Schema([ColSpec(DataType.long)])), answer)).predict(
        ROWS
    )
    assert found.labels == (3, 10)
    assert found.prediction.tolist() == [10, 3]


def test_plain_answers_have_no_classes() -> None:
    model = ScoredModel(Answering(description(method=False), np.array(["x", "y"])))
    assert (model.predict(ROWS).labels, model.predict(ROWS).prediction.tolist()) == (
        None,
        ["x", "y"],
    )


@pytest.mark.parametrize(
    "answer, words",
    [
        (ValueError("no such column"), "it fails on these rows (ValueError: no such column)"),
        (np.zeros(3), "not a value a row"),
        (np.array([np.nan, 1.0]), "no numbers"),
        (pd.DataFrame({"0": [-1.5, 0.2], "1": [2.5, 0.8]}), "answers with -1.5, which is no prob"),
        (pd.DataFrame({"0": [0.4], "1": [0.6]}), "it answers for 1 of 2 rows"),
        (pd.DataFrame({"no": [0.4, 1], "yes": [0.6, 0]}), "invalid literal for int"),
    ],
)
def test_a_model_that_cannot_score_says_why(answer: Any, words: str) -> None:
    kind = DataType.long if isinstance(answer, pd.DataFrame) else DataType.double
    model = ScoredModel(Answering(description(Schema([ColSpec(kind)])), answer))
    with pytest.raises(CannotScore) as caught:
        model.predict(ROWS)
    assert words in str(caught.value)


def test_a_model_that_runs_out_of_memory_is_not_taken_for_one_that_cannot_score() -> None:
    model = ScoredModel(Answering(description(Schema([ColSpec(DataType.double)])), MemoryError()))
    with pytest.raises(MemoryError):
        model.predict(ROWS)


def test_the_file_holds_what_is_kept_the_prediction_and_a_probability_a_class(
    tmp_path: Path,
) -> None:
    path = tmp_path / "p.parquet"
    with PredictionsFile(path) as file:
        for start in (0, 2):
            values = np.array([[0.25, 0.75], [1.0, 0.0]])
            file.write(Predicted(values, ("no", "yes")), pa.table({"id": [start, start + 1]}))
    found = pd.read_parquet(path)
    assert found.columns.tolist() == ["id", "prediction", "probability_no", "probability_yes"]
    assert found["id"].tolist() == [0, 1, 2, 3]
    assert found["prediction"].tolist() == ["yes", "no"] * 2
    assert found["probability_yes"].tolist() == [0.75, 0.0] * 2


@pytest.mark.parametrize(
    ("answers", "kept"),
    [
        ([np.array([1.5]), np.array([2])], [1.5, 2.0]),
        ([np.array(["x"]), np.array([None])], ["x", None]),
        ([np.array([1]), np.array([2.5])], "int64 for the first rows and with double for later"),
        ([np.array([1, "x"], dtype=object)], "of no one kind"),
    ],
)
def test_answers_are_of_one_kind_in_all_of_the_file_or_refused_in_words(
    tmp_path: Path, answers: list[Any], kept: list[Any] | str
) -> None:
    def write() -> list[Any]:
        with PredictionsFile(tmp_path / "p.parquet") as file:
            for each in answers:
                file.write(Predicted(each, None), None)
        return list(pq.read_table(tmp_path / "p.parquet")["prediction"].to_pylist())

    if isinstance(kept, list):
        assert write() == kept
    else:
        with pytest.raises(CannotScore, match=kept):
            write()


def rows(truth: Truth | None, total: int = 4, why: str = "") -> RowsToScore:
    return RowsToScore(total, lambda: iter(()), truth, why)


def test_metrics_are_of_the_rows_whose_truth_is_known_in_its_order() -> None:
    truth = Truth(np.array([1, 0, 1]), ("no", "yes"), None, np.array([3, 0, 1]))
    gathered = Measured(rows(truth), "scored")
    shares = np.array([[0.9, 0.1], [0.2, 0.8], [0.5, 0.5], [0.4, 0.6]])
    for part in (shares[:1], shares[1:]):
        gathered.add(Predicted(part, ("no", "yes")))
    found = gathered.metrics()
    assert found["scored_accuracy"] == 1.0
    assert found["scored_log_loss"] == log_loss([1, 0, 1], shares[[3, 0, 1]])


def test_a_class_that_the_model_does_not_know_counts_against_it() -> None:
    truth = Truth(np.array([0, 1, 2]), ("a", "b", "new"))
    gathered = Measured(rows(truth, 3), "scored")
    gathered.add(Predicted(np.array([[0.7, 0.3], [0.2, 0.8], [0.6, 0.4]]), ("a", "b")))
    assert gathered.metrics()["scored_accuracy"] == accuracy_score([0, 1, 2], [0, 1, 0])


@pytest.mark.parametrize(
    ("classes", "labels"), [((0, 1), (False, True)), ((False, True), (0, 1)), (("0", "1"), (0, 1))]
)
def test_classes_are_the_models_however_they_are_written(classes: Any, labels: Any) -> None:
    gathered = Measured(rows(Truth(np.array([0, 1]), classes), 2), "scored")
    gathered.add(Predicted(np.array([[0.7, 0.3], [0.2, 0.8]]), labels))
    found = gathered.metrics()
    assert (found["scored_accuracy"], found["scored_roc_auc"]) == (1.0, 1.0)


def test_rows_of_one_class_have_the_metrics_that_are_defined_for_them() -> None:
    gathered = Measured(rows(Truth(np.array([0, 0]), ("yes",)), 2), "scored")
    gathered.add(Predicted(np.array([[0.7, 0.3], [0.2, 0.8]]), ("no", "yes")))
    found = gathered.metrics()
    assert found["scored_accuracy"] == 0.5
    assert "scored_roc_auc" not in found


def test_a_class_that_only_the_model_knows_takes_its_share() -> None:
    truth = Truth(np.array([0, 1]), ("a", "b"))
    gathered = Measured(rows(truth, 2), "scored")
    gathered.add(Predicted(np.array([[0.3, 0.2, 0.5], [0.1, 0.8, 0.1]]), ("a", "b", "c")))
    assert gathered.metrics()["scored_accuracy"] == 0.5


def test_metrics_that_are_left_out_say_why(monkeypatch: pytest.MonkeyPatch) -> None:
    nothing = Measured(rows(None, why="the table has no column 'y'"), "scored")
    nothing.add(Predicted(np.zeros(4), None))
    assert (nothing.metrics(), nothing.left_out) == ({}, "the table has no column 'y'")
    monkeypatch.setattr(measuring, "MOST_NUMBERS", 7)
    large = Measured(rows(Truth(np.array([0, 1, 0, 1]), ("a", "b"))), "scored")
    large.add(Predicted(np.full((4, 2), 0.5), ("a", "b")))
    assert large.metrics() == {}
    assert "8 predictions" in large.left_out


class OfTrainyard(Answering):
    """One that MLflow would look at each value for."""

    def predict(self, x: Any, params: Any = None) -> Any:  # noqa: ARG002 - MLflow's signature
        raise AssertionError("MLflow looks at each value")

    def unwrap_python_model(self) -> Any:
        return SimpleNamespace(
            predict=lambda _context, _x, params: self._answer[params["method"]],
            about={"columns": [{"name": "a"}]},
        )


def test_a_table_model_of_trainyard_is_asked_without_mlflows_look_at_each_value() -> None:
    made = description(
        Schema([ColSpec(DataType.long)]),
        inputs=Schema([ColSpec(AnyType(), "a", required=False)]),
        python_function={"artifacts": {"preprocessing": {}, "booster": {}}},
    )
    answer = {"predict_proba": pd.DataFrame({"3": [0.1, 0.8], "10": [0.9, 0.2]})}
    model = ScoredModel(OfTrainyard(made, answer))
    assert model.predict(ROWS).prediction.tolist() == [10, 3]
    assert model.trained_on == ({"name": "a"},)
    other = description(Schema([ColSpec(DataType.long)]))
    assert ScoredModel(Answering(other, answer)).trained_on == ()
