"""What is told about the data of a champion, whose run may be anybody's."""

from dataclasses import replace
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

pytest.importorskip("mlflow")

from mlflow.exceptions import MlflowException
from mlflow.protos.databricks_pb2 import PERMISSION_DENIED
from trainyard.contract import Promote, Split, Task, TrainRequest
from trainyard.datasets.access import DataAccess
from trainyard.datasets.loading import load
from trainyard.datasets.tables.raw import KeptTable
from trainyard.drift.categories import New
from trainyard.drift.comparison import ColumnDrift, Drift, KindChange
from trainyard.drift.stability import Bin
from trainyard.errors import TrackingUnavailable
from trainyard.registry.promotion import Candidate, Judgement, decide
from trainyard.registry.recorded import DIGEST_TAG, SPLIT_TAG
from trainyard.worker.examining import Dossier, examined
from trainyard.worker.held_out_rows import HeldOutRows
from trainyard.worker.holders import NotHere
from trainyard.worker.judging import furthest

DENIED = MlflowException("Permission denied", error_code=PERMISSION_DENIED)


class Somebodys:
    """A champion's run, which is not as Trainyard writes it, and a model that another service has."""

    def __init__(self, tags: dict[str, str], profile: Any, error: Exception | None = None) -> None:
        self._tags, self._profile, self._error = tags, profile, error

    def model(self, _: Any) -> Any:
        raise NotHere("torch is not here")

    def run(self, _: Any) -> Any:
        if self._error:
            raise self._error
        return SimpleNamespace(data=SimpleNamespace(tags=self._tags))

    def profile(self, _: Any) -> Any:
        return self._profile


@pytest.fixture
def look(tmp_path: Any) -> Any:
    table = "when,x,y\n" + "".join(f"{each},{each % 7},{each % 2}\n" for each in range(100))
    (tmp_path / "t.csv").write_text(table)
    body = {"model": "m", "data": {"source": "file", "uri": "t.csv", "target": "y"}}

    def looked(by: dict[str, str], tags: dict[str, str], *rest: Any) -> Any:
        request = TrainRequest.model_validate(body | {"split": by})
        access, kept = DataAccess(roots=(tmp_path,), data_dir=tmp_path), KeptTable()
        data = load(request.data, request.split, task=Task.CLASSIFICATION, access=access, keep=kept)
        holder: Any = SimpleNamespace(version="1")
        return examined(
            holder,
            data,
            HeldOutRows(request, data, access, kept),
            holders=Somebodys({DIGEST_TAG: data.digest or ""} | tags, *rest),  # type: ignore[arg-type]
            elsewhere=lambda *_: np.full((len(data.test), 2), 0.5),
        )

    return looked


@pytest.mark.parametrize(
    ("by", "tags", "rest", "why"),
    [
        ({}, {}, ({}, DENIED), "Permission denied"),
        ({"by": "time", "column": "when"}, {}, ({"split": 0.2},), "'float' object"),
        ({}, {SPLIT_TAG: '{"by": "moon"}'}, ({},), "moon"),
    ],
    ids=["no permission", "a profile of somebody else's", "a split of another version"],
)
def test_a_champion_whose_run_tells_nothing_is_compared_all_the_same(  # noqa: PLR0913, PLR0917 - a case's parts
    look: Any, capsys: Any, by: Any, tags: Any, rest: Any, why: str
) -> None:
    found = look(by, tags, *rest)
    assert found.incomparable is None
    assert len(found.predicted) == 20
    assert found.dossier == Dossier()
    told = capsys.readouterr().out
    assert "what the data of version 1 was like cannot be told" in told
    assert why in told


def test_an_mlflow_that_is_away_is_asked_again_later(look: Any) -> None:
    with pytest.raises(TrackingUnavailable):
        look({}, {}, {}, TrackingUnavailable("it does not answer"))


def test_how_many_rows_a_champion_of_another_service_has_seen_is_told(look: Any) -> None:
    found = look({}, {SPLIT_TAG: Split(seed=7).model_dump_json()}, {})
    assert found.dossier.seen


def test_a_column_of_another_kind_leaves_unknown_how_far_the_data_moved() -> None:
    """No number can tell, unless another column is past the limit anyway."""
    other = Drift((), changed=(KindChange("age", "number", "category"),))
    moved = ColumnDrift("b", "number", 0.1, Bin("above 1", 0.1, 0.2), 0.0, 0.0, New())
    both = replace(other, columns=(moved,))
    assert furthest(other, None) is None
    assert [furthest(both, limit) for limit in (None, 0.05, 0.2)] == [0.1, 0.1, None]
    assert furthest(replace(both, changed=()), 0.2) == 0.1
    judged = Judgement("1", 0.5, max_drift=furthest(both, 0.2), drift=both.sentence())
    rule = Promote(metric="test_roc_auc", max_drift=0.2)
    decision = decide(rule, Candidate("2", 0.9), "1", judged)
    assert decision.promoted is False
    assert "age (number before, category now)" in decision.text
