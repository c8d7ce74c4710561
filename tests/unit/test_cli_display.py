"""What the program shows in a terminal of 80 columns: nothing is cut."""

import io
import json
from datetime import UTC, datetime

import pytest
from rich.console import Console
from trainyard.cli.display import (
    LiveRunView,
    show_capacity,
    show_datasets,
    show_model,
    show_models,
    show_page,
    show_run,
    show_usage,
)
from trainyard.contract import (
    Capacity,
    DatasetInfo,
    Direction,
    Links,
    ModelInfo,
    Phase,
    Progress,
    Reason,
    Registered,
    Run,
    RunPage,
    RunStatus,
    Searched,
    UsageReport,
)


def info(kind, fields):
    """As a service says it."""
    return kind.model_validate_json(json.dumps(fields))


RUN = Run(
    run_id="0123456789abcdef0123456789abcdef",
    status=RunStatus.FAILED,
    reason=Reason.TRACKING_UNAVAILABLE,
    message="MLflow was away",
    version=9,
    model="xgboost_classifier",
    service="boosting",
    experiment="bank-marketing-of-the-north",
    experiment_id="1",
    run_name="nightly",
    metrics={"validation_root_mean_squared_error": 0.123456, "test_roc_auc": 0.98765},
    model_uri="models:/m-0123456789abcdef0123456789abcdef",
    registered=Registered(name="bank-marketing-xgboost", version="12", aliases=["champion"]),
    submitted_at=datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC),
    links=Links.model_validate({"self": "/a", "logs": "/b", "mlflow": "http://127.0.0.1:5000/#/x"}),
)
MODEL = info(
    ModelInfo,
    {
        "name": "xgboost_classifier",
        "task": "classification",
        "data": ["table", "images"],
        "framework": "xgboost-cpu",
        "framework_version": "3.1.2",
        "description": "Gradient-boosted trees that tell classes apart, by XGBoost",
        "params_schema": {
            "properties": {
                "early_stopping_rounds": {
                    "description": "Stop after so many rounds without a better validation metric"
                }
            }
        },
        "defaults": {"early_stopping_rounds": 20},
        "example": {},
    },
)
DATA = info(
    DatasetInfo,
    {
        "source": "file",
        "name": "s3://a-bucket-with-a-name/and/a/folder/of/a/team/bank_marketing.parquet",
        "task": "classification",
        "size_bytes": 123456789,
    },
)


def shown(show, what):
    """Each word that is shown at 80 columns, none longer than its line."""
    out = io.StringIO()
    show(Console(file=out, width=80, highlight=False, markup=False), what)
    lines = out.getvalue().splitlines()
    assert max(map(len, lines)) <= 80
    assert "\N{HORIZONTAL ELLIPSIS}" not in out.getvalue()
    return out.getvalue().split()


@pytest.mark.parametrize(
    ("show", "what", "whole"),
    [
        (
            show_page,
            RunPage(runs=[RUN, RUN]),
            [RUN.run_id, RUN.model, RUN.experiment, "FAILED", "tracking_unavailable"],
        ),
        (
            show_run,
            RUN,
            [RUN.run_id, RUN.model, *RUN.metrics, "bank-marketing-xgboost", "12", RUN.model_uri],
        ),
        (show_models, [MODEL, MODEL], [MODEL.name, "classification", "3.1.2", "XGBoost"]),
        (show_model, MODEL, [f"{MODEL.name}:", "early_stopping_rounds", "20", "validation"]),
    ],
)
def test_nothing_is_cut_at_80_columns(show, what, whole):
    assert set(whole) <= set(shown(show, what))


def test_a_name_that_is_longer_than_the_line_goes_on_in_the_next():
    assert DATA.name in "".join(shown(show_datasets, [DATA]))


def test_what_fits_is_a_table():
    small = DATA.model_copy(update={"name": "bank.csv"})
    assert shown(show_datasets, [small])[:5] == ["source", "name", "task", "bytes", "file"]


def searching(done, best=None):
    """A run that has tried so many of fifty trials."""
    changes = {
        "status": RunStatus.RUNNING,
        "phase": Phase.SEARCHING,
        "metrics": {} if best is None else {"best_validation_log_loss": best},
        "progress": Progress(done=done, total=50, unit="trials", eta_seconds=90.0, running=4),
    }
    return RUN.model_copy(update=changes)


SEEN = [searching(0), searching(1, 0.5), searching(2, 0.5), searching(7, 0.25), searching(8, 0.25)]


def test_a_search_in_a_terminal_is_a_table_of_its_best_values_with_what_runs_and_is_left():
    out = io.StringIO()
    console = Console(file=out, width=80, force_terminal=True, color_system=None, markup=False)
    with LiveRunView(console) as view:
        for run in SEEN:
            view.show(run)
        out.truncate(0)
        view._bar.refresh()
        table = out.getvalue()
        view.show(searching(50, 0.25).model_copy(update={"phase": Phase.TRAINING}))
        out.truncate(0)
        view._bar.refresh()
        assert "best so far" not in out.getvalue()
    rows = [" ".join(line.split()) for line in table.splitlines()]
    assert [row for row in rows if "validation_log_loss" in row] == [
        "1 validation_log_loss 0.5",
        "7 validation_log_loss 0.25",
    ]
    assert "8/50 4 running 90 s left" in rows


def test_a_search_elsewhere_is_a_line_for_each_best_value():
    out = io.StringIO()
    with LiveRunView(Console(file=out, width=200, markup=False)) as view:
        for run in SEEN:
            view.show(run)
    assert [line for line in out.getvalue().splitlines() if line] == [
        f"{RUN.run_id} searching",
        f"{RUN.run_id} validation_log_loss 0.5 after 1/50 trials",
        f"{RUN.run_id} validation_log_loss 0.25 after 7/50 trials",
    ]


def test_a_run_that_searched_shows_its_best_params():
    found = Searched(
        metric="validation_log_loss",
        direction=Direction.MINIMIZE,
        best_trial=7,
        best_value=0.25,
        best_params={"max_depth": 5, "learning_rate": 0.0362333658, "grow_policy": "lossguide"},
        trials=50,
        completed=30,
        pruned=19,
        failed=1,
    )
    out = on_a_wide_one(show_run, RUN.model_copy(update={"searched": found}))
    assert "max_depth=5 learning_rate=0.0362334 grow_policy=lossguide (trial 7, " in out
    assert "validation_log_loss 0.25; 50 trials, 19 pruned, 1 failed)" in out


def on_a_wide_one(show, value):
    console = Console(file=io.StringIO(), width=200)
    show(console, value)
    return console.file.getvalue()


def test_capacity_shows_what_there_is_who_has_it_and_why_others_wait():
    one = {"total": 2, "used": 1, "waited_for": 3}
    has = {
        "run_id": "a" * 32,
        "model": "cnn",
        "submitted_by": "ana",
        "submitted_at": "2026-01-02T03:04:05Z",
        "cpus": 2,
        "cores": [4, 5],
        "gpus": 1,
        "devices": ["GPU-7"],
        "memory_mb": 900,
    }
    waits = has | {"cores": [], "devices": [], "waits_for": "a slot, while somebody runs"}
    kinds = dict.fromkeys(("slots", "cpus", "gpus", "memory_mb"), one)
    whole = {"service": "s", **kinds, "running": [has], "waiting": [waits]}
    text = on_a_wide_one(show_capacity, info(Capacity, whole))
    for part in ("waited for", "2 (cores 4, 5)", "1 (GPU-7)", "900", "a slot, while somebody"):
        assert part in text


def test_usage_is_shown_in_hours():
    row = {
        "month": "2026-11",
        "team": "growth",
        "runs": 12,
        "finished": 9,
        "queue_seconds": 0.0,
        "run_seconds": 5400.0,
        "cpu_seconds": 9000.0,
        "gpu_seconds": 0.0,
        "not_seen": 2,
    }
    text = on_a_wide_one(show_usage, info(UsageReport, {"service": "s", "usage": [row]}))
    assert text.splitlines()[1].split() == [
        "2026-11",
        "growth",
        "12",
        "9",
        "0.00",
        "1.50",
        "2.50",
        "0.00",
        "2",
    ]
