"""What people look for in a search: a table of its trials, the best params, and Optuna's pictures."""

import csv
import json
import sys
import warnings
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import matplotlib as mpl
import optuna

from trainyard.contract import Searched
from trainyard.worker.search.record import TrialRecord

DPI = 120


def write_table(folder: Path, records: Sequence[TrialRecord]) -> None:
    """Write `trials.csv`: a row a trial."""
    names = sorted({name for each in records for name in each.params})
    with (folder / "trials.csv").open("w", newline="", encoding="utf-8") as file:
        table = csv.writer(file)
        table.writerow(["trial", "end", "value", "seconds", *names])
        for each in records:
            value = "" if each.value is None or each.end != "completed" else each.value
            params = [_cell(each.params.get(name, "")) for name in names]
            table.writerow([each.number, each.in_words, value, round(each.seconds, 3), *params])


def write_best(folder: Path, found: Searched) -> None:
    """Write `best_params.json`."""
    (folder / "best_params.json").write_text(found.model_dump_json(indent=2))


def write_pictures(folder: Path, study: optuna.Study, metric: str) -> None:
    """Write Optuna's plots as PNGs; one that a study is too small for is left out."""
    from optuna.visualization import matplotlib as drawn

    plots: dict[str, Callable[[], Any]] = {
        "history": lambda: drawn.plot_optimization_history(study, target_name=metric),
        "importances": lambda: drawn.plot_param_importances(study),
        "parallel_coordinates": lambda: drawn.plot_parallel_coordinate(study, target_name=metric),
        "slices": lambda: drawn.plot_slice(study, target_name=metric),
    }
    mpl.use("Agg")
    from matplotlib import pyplot as plt

    for name, plot in plots.items():
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")
                plot()
                plt.gcf().savefig(folder / f"{name}.png", dpi=DPI, bbox_inches="tight")
        except Exception as error:  # noqa: BLE001 - too few trials, or all alike: each plot has its own way to say so
            sys.stdout.write(f"no picture of the search's {name}: {error}\n")
        finally:
            plt.close("all")


def _cell(value: Any) -> Any:
    return json.dumps(value) if isinstance(value, list | dict) else value
