"""What people look for in a search: a table of its trials, the best params, and Optuna's pictures."""

import csv
import json
import os
import select
import sys
import warnings
from collections.abc import Callable, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any, NoReturn

import matplotlib as mpl
import optuna

from trainyard.contract import Searched
from trainyard.worker.search.forker import Forker, ForkerGone
from trainyard.worker.search.record import TrialRecord
from trainyard.worker.search.trial import settle

DPI = 120
LONGEST_DRAWING_SECONDS = 60.0


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


class Drawing:
    """Optuna's plots, drawn by a process of their own while the winner is trained: they take a second or two."""

    def __init__(self, folder: Path, study: optuna.Study, metric: str) -> None:
        """Begin. The PNGs will be in this folder."""

        def draw(*_: object) -> NoReturn:
            settle()
            _write_pictures(folder, study, metric)
            sys.stdout.flush()
            os._exit(0)

        self._forker = Forker(lambda: draw)
        with suppress(ForkerGone):
            self._forker.start(0, {}, 1).close()

    def finish(self) -> None:
        """Wait for them; what is not there after so long is left out."""
        with suppress(ForkerGone):
            ready, _, _ = select.select([self._forker], [], [], LONGEST_DRAWING_SECONDS)
            if ready:
                self._forker.heard()
        self._forker.close()


def _write_pictures(folder: Path, study: optuna.Study, metric: str) -> None:
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
