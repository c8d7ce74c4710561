"""The space of a search and its study, without services."""

import json
import os
from pathlib import Path
from typing import Any, Literal

import optuna
import pytest
from optuna.storages import JournalStorage
from optuna.storages.journal import JournalFileBackend
from optuna.trial import TrialState
from pydantic import Field, ValidationError
from trainyard.cli.request_source import request_of
from trainyard.contract import Direction, Search, Task, TrainRequest
from trainyard.supervisor.idempotency import digest_of
from trainyard.trainer import Params
from trainyard.worker.search.metric import comparable, direction_of, pruned_by, wrong_metric
from trainyard.worker.search.space import space_of, types_of, wrong_space
from trainyard.worker.search.study import END, NAME, PARAMS, Study


class KnobParams(Params):
    depth: int = Field(3, ge=1, le=20)
    rate: float = Field(0.1, gt=0, le=1)
    layers: list[int] = Field([8])
    kind: Literal["plain", "deep"] = "plain"


class Knobs:
    """As much of a trainer as a space needs."""

    name = "knobs"
    task = Task.CLASSIFICATION
    params = KnobParams


def asked(params: dict[str, Any] | None = None, **search: Any) -> TrainRequest:
    body = {
        "model": "knobs",
        "params": params or {},
        "data": {"source": "builtin", "name": "iris"},
        "search": search,
    }
    return TrainRequest.model_validate_json(json.dumps(body))


def wrong(request: TrainRequest) -> dict[str, str]:
    return {each.pointer: each.detail for each in wrong_space(request, Knobs())}  # type: ignore[arg-type]


def study_in(folder: Path, request: TrainRequest) -> Study:
    assert request.search is not None
    space = space_of(request, Knobs())  # type: ignore[arg-type]
    return Study(
        folder,
        request.search,
        space=space,
        types=types_of(space, KnobParams),
        direction=Direction.MINIMIZE,
        seed=request.seed,
    )


def test_a_request_without_a_search_keeps_its_digest() -> None:
    body = {"model": "knobs", "data": {"source": "builtin", "name": "iris"}}
    request = TrainRequest.model_validate_json(json.dumps(body))
    explicit = TrainRequest.model_validate_json(json.dumps({**body, "search": None}))
    assert digest_of(request) == digest_of(explicit) != digest_of(asked(trials=50))
    assert "search" not in json.dumps(request.model_dump(mode="json", exclude_defaults=True))


def test_what_the_model_would_refuse_is_named_with_its_bounds() -> None:
    found = wrong(
        asked(
            {"kind": "deep"},
            space={
                "depth": {"low": 0, "high": 30},
                "rate": {"low": 0.1, "high": 0.5},
                "kind": ["plain"],
                "layers": {"low": 1, "high": 2},
                "dept": [1],
            },
        )
    )
    assert set(found) == {
        f"/search/space/{name}" for name in ("depth/low", "depth/high", "kind", "layers", "dept")
    }
    assert "20" in found["/search/space/depth/high"]
    assert "did you mean 'depth'?" in found["/search/space/dept"]


def test_a_condition_names_a_param_with_choices_and_some_of_them() -> None:
    space: dict[str, Any] = {"kind": ["plain", "deep"], "rate": {"low": 0.1, "high": 0.5}}
    depth = {"low": 1, "high": 5}
    assert not wrong(asked(space={**space, "depth": {**depth, "when": {"kind": ["deep"]}}}))
    for when in ({"kind": ["other"]}, {"rate": [0.1]}, {"layers": [[8]]}):
        found = wrong(asked(space={**space, "depth": {**depth, "when": when}}))
        assert list(found) == [f"/search/space/depth/when/{next(iter(when))}"]


def test_a_model_without_a_space_needs_one() -> None:
    assert list(wrong(asked(trials=5))) == ["/search/space"]


def test_warm_starts_lie_in_the_space() -> None:
    space: dict[str, Any] = {"depth": {"low": 2, "high": 5}, "kind": ["plain", "deep"]}
    found = wrong(
        asked(space=space, warm_start=[{"depth": 3}, {"depth": 9, "kind": "x", "rate": 1}])
    )
    assert set(found) == {f"/search/warm_start/1/{name}" for name in ("depth", "kind", "rate")}


@pytest.mark.parametrize(
    "bad",
    [
        {"low": 3},
        {"low": 3, "high": 1},
        {"low": 0, "high": 1, "log": True},
        {"low": 1, "high": 2, "choices": [1]},
    ],
)
def test_a_range_that_is_none_is_refused(bad: dict[str, Any]) -> None:
    with pytest.raises(ValidationError):
        Search.model_validate({"space": {"depth": bad}})


def test_the_metric_is_one_that_there_is_and_never_of_the_test_rows() -> None:
    assert not wrong_metric(asked(metric="validation_roc_auc"), Task.CLASSIFICATION)
    assert wrong_metric(asked(metric="validation_r2"), Task.CLASSIFICATION)
    with pytest.raises(ValidationError, match="never sees"):
        Search(metric="test_roc_auc")
    assert (
        direction_of(Search(metric="validation_roc_auc"), Task.CLASSIFICATION) is Direction.MAXIMIZE
    )
    assert direction_of(Search(), Task.REGRESSION) is Direction.MINIMIZE


def test_pruning_compares_what_the_rounds_report_in_the_searchs_own_direction() -> None:
    reported = ("train_log_loss", "validation_log_loss")
    assert pruned_by("validation_log_loss", reported) == "validation_log_loss"
    assert pruned_by("validation_roc_auc", reported) == "validation_log_loss"
    assert pruned_by("validation_roc_auc", ("train_log_loss",)) is None
    assert comparable("validation_log_loss", 0.5, Direction.MAXIMIZE) == -0.5


def test_conditional_params_and_lists_are_drawn_as_the_request_says(tmp_path: Path) -> None:
    space = {
        "depth": {"low": 4, "high": 9, "when": {"kind": ["deep"]}},
        "kind": ["plain", "deep"],
        "layers": [[8], [16, 8]],
    }
    study = study_in(tmp_path, asked(space=space, sampler="random"))
    drawn = [study.ask()[1] for _ in range(40)]
    assert all(("depth" in each) is (each["kind"] == "deep") for each in drawn)
    assert {json.dumps(each["layers"]) for each in drawn} == {"[8]", "[16, 8]"}


def test_a_study_that_is_opened_again_counts_what_ended_and_tries_what_was_lost_again(
    tmp_path: Path,
) -> None:
    request = asked(space={"depth": {"low": 1, "high": 20}, "rate": {"low": 0.1, "high": 0.9}})
    first = study_in(tmp_path, request)
    for value in (0.5, 0.3):
        trial, _ = first.ask()
        first.completed(trial, value)
    _, under_way = first.ask()
    with (tmp_path / "study.log").open("a") as journal:  # its process was killed while it wrote
        journal.write('{"op_code": 6, "trial')

    second = study_in(tmp_path, request)
    assert len(second.ended) == 2
    assert [each.user_attrs[END] for each in second.all_ended] == ["completed", "completed", "lost"]
    assert second.best is not None
    assert second.best.value == 0.3
    trial, again = second.ask()
    assert again == under_way
    second.completed(trial, 0.1)
    _, new = second.ask()
    assert new not in [each.user_attrs[PARAMS] for each in second.all_ended]
    assert len(second.ended) == 3


def test_the_journal_is_optunas_own_and_waits_for_the_disk_where_a_trial_ends(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    synced: list[int] = []
    monkeypatch.setattr(os, "fsync", synced.append)
    study = study_in(tmp_path, asked(space={"depth": {"low": 1, "high": 20}}))
    trial, _ = study.ask()
    for step in range(5):
        trial.report(1 / (step + 1), step)
    assert not synced
    study.completed(trial, 0.5)
    assert len(synced) == 1
    storage = JournalStorage(JournalFileBackend(str(tmp_path / "study.log")))
    [found] = optuna.load_study(study_name=NAME, storage=storage).trials
    assert (found.value, len(found.intermediate_values)) == (0.5, 5)


def test_a_grid_ends_with_its_last_point(tmp_path: Path) -> None:
    request = asked(
        space={"depth": {"low": 1, "high": 3}, "kind": ["plain", "deep"]}, sampler="grid"
    )
    study = study_in(tmp_path, request)
    assert study.wanted == 6, "trials at once are no more than there are points left"
    found = []
    while not study.exhausted:
        trial, params = study.ask()
        found.append((params["depth"], params["kind"]))
        study.completed(trial, 0.0)
    assert sorted(found) == [(depth, kind) for depth in (1, 2, 3) for kind in ("deep", "plain")]


@pytest.mark.parametrize("under_way", [1, 4])
def test_each_point_of_a_grid_counts_once_however_often_the_search_is_taken_up_again(
    tmp_path: Path, under_way: int
) -> None:
    request = asked(
        space={"depth": {"low": 1, "high": 4}, "kind": ["plain", "deep"]}, sampler="grid"
    )
    found = []

    def end_one(study: Study) -> None:
        trial, params = study.ask()
        found.append((params["depth"], params["kind"]))
        study.completed(trial, 0.0)

    for _ in range(2):
        killed = study_in(tmp_path, request)
        end_one(killed)
        for _ in range(under_way):
            killed.ask()
    study = study_in(tmp_path, request)
    while not study.exhausted and len(study.ended) < study.wanted:
        end_one(study)
    assert sorted(found) == [(depth, kind) for depth in (1, 2, 3, 4) for kind in ("deep", "plain")]


def test_a_grid_of_fractions_needs_a_step_though_its_bounds_are_whole() -> None:
    request = asked(space={"rate": {"low": 1, "high": 1}}, sampler="grid")
    assert wrong(request) == {"/search/space/rate": "a grid needs choices, a step, or integers"}


def test_a_grids_points_are_written_as_its_step(tmp_path: Path) -> None:
    request = asked(space={"rate": {"low": 0.1, "high": 0.3, "step": 0.1}}, sampler="grid")
    study = study_in(tmp_path, request)
    assert sorted(study.ask()[1]["rate"] for _ in range(study.wanted)) == [0.1, 0.2, 0.3]


def test_a_failed_trial_is_no_best_one(tmp_path: Path) -> None:
    study = study_in(tmp_path, asked(space={"depth": {"low": 1, "high": 3}}))
    trial, _ = study.ask()
    study.failed(trial, "diverged: it did")
    assert study.best is None
    assert [each.state for each in study.ended] == [TrialState.FAIL]


def test_the_command_line_says_a_space() -> None:
    body = request_of(
        None,
        model="knobs",
        data="iris",
        target=None,
        params=[],
        register=None,
        search=["depth=3..10", "rate=0.01..0.3:log", "kind=plain,deep"],
        trials=20,
    )
    assert body["search"] == {
        "space": {
            "depth": {"low": 3, "high": 10},
            "rate": {"low": 0.01, "high": 0.3, "log": True},
            "kind": ["plain", "deep"],
        },
        "trials": 20,
    }
