"""`make bench` for searches: 50 trials of XGBoost and 20 of `mlp`, beside Optuna in one warm process on the same cores.

Writes results/search.json: seconds, trials a second, the start of a trial, and what the best params reach on the test
rows beside the default ones and beside plain Optuna's, for SEARCH_SEEDS seeds (5) of split and training; the first seed
by Ray Tune too, ten trials of it, for information. SEARCH_TRIALS (50) makes it a quick look. A table that TRAINYARD_TEST_DATA does not name
is left out, and so is Ray Tune where .venvs/boosting-ray is not set up.
"""

import json
import os
import statistics
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple

from mlflow import MlflowClient

HERE = Path(__file__).resolve().parent
sys.path.insert(0, str(HERE.parent / "scripts"))

from background import free_port  # noqa: E402 - scripts/ is on the path only now
from caller import Caller, tracking, up  # noqa: E402
from programs import ROOT, trainer  # noqa: E402
from report import figure, ms, output_of, phase_at, write  # noqa: E402
from tables import DATA  # noqa: E402

SEEDS = range(1, 1 + int(os.environ.get("SEARCH_SEEDS", "5")))
TRIALS = int(os.environ.get("SEARCH_TRIALS", "50"))
RAY_TRIALS = min(TRIALS, 10)
"""Its own integration tells MLflow some forty things after each round, one by one: a trial takes half a minute."""
ROUNDS, CORES = 100, 2
NETWORK_TRIALS, EPOCHS = max(1, TRIALS * 2 // 5), 10
GOAL = "<= 0.6x"
RAY_PYTHON = ROOT / ".venvs/boosting-ray/bin/python"
GIVEN = Path(os.environ.get("TRAINYARD_TEST_DATA", "/nowhere"))


class Table(NamedTuple):
    """A table, and what is looked at on its test rows."""

    file: str
    target: str
    drop: list[str]
    task: str
    model: str
    metric: str

    @property
    def path(self) -> Path:
        """Where it lies."""
        return GIVEN / "tabular" / self.file


TABLES = (
    Table(
        "bank_marketing.csv",
        "y",
        ["duration"],
        "classification",
        "xgboost_classifier",
        "test_roc_auc",
    ),
    Table("bike_sharing_hourly.csv", "cnt", [], "regression", "xgboost_regressor", "test_r2"),
)


class Pair(NamedTuple):
    """One search by the service and one by the script, with the same seed."""

    ours_s: float
    whole_s: float
    plain_s: float
    ours_test: float
    plain_test: float
    default_test: float


class Bench(Caller):
    """A service, and the plain scripts with its libraries."""

    def __init__(self, api: str, service: str, tracking_uri: str) -> None:
        super().__init__(api)
        self.python = ROOT / f".venvs/{service}/bin/python"
        self.tracking_uri = tracking_uri

    def trees(self, table: Table) -> dict[str, Any]:
        """Searches of one table."""
        pairs = [self.pair(table, seed) for seed in SEEDS]
        ours, plain = [each.ours_s for each in pairs], [each.plain_s for each in pairs]
        name = f"{TRIALS} trials of {ROUNDS} rounds on {table.file}"
        return self.ray(table, name) | {
            f"{name}, the search": figure(ours, plain, "s", goal=GOAL)
            | {"trials_a_second": round(TRIALS / statistics.median(ours), 2)},
            f"{name}, submit to FINISHED": figure(
                [each.whole_s for each in pairs], plain, "s", goal=GOAL
            ),
            f"{table.metric} on {table.file}": quality(pairs),
        }

    def pair(self, table: Table, seed: int) -> Pair:
        """A search by each."""
        data = {
            "source": "file",
            "uri": str(table.path),
            "target": table.target,
            "drop": table.drop,
        }
        request = {
            "model": table.model,
            "params": {"n_estimators": ROUNDS},
            "data": data,
            "split": {"seed": seed, "stratify": table.task == "classification"},
            "seed": seed,
            "experiment": "bench-search",
            "search": {"trials": TRIALS, "parallel": CORES},
        }
        run, before, after = self.train(request)
        plain = self.plain("plain_search.py", *arguments(table, seed))
        print(f"{table.file}, seed {seed}: {run['searched']}, plain {plain}", flush=True)
        return Pair(
            phase_at(run, "training") - phase_at(run, "searching"),
            after - before,
            plain["seconds"],
            run["metrics"][table.metric],
            plain["test"],
            plain["default_test"],
        )

    def plain(self, script: str, *arguments: Any, python: Path | None = None) -> dict[str, Any]:
        """What the script prints."""
        words = [str(each) for each in (self.tracking_uri, *arguments)]
        printed = output_of([python or self.python, HERE / script, *words])
        found: dict[str, Any] = json.loads(printed.splitlines()[-1])
        return found

    def ray(self, table: Table, name: str) -> dict[str, Any]:
        """The first seed's search by Ray Tune."""
        if not RAY_PYTHON.exists():
            return {f"{name}, Ray Tune": "left out: make .venvs/boosting-ray/.ready sets it up"}
        _, *words = arguments(table, SEEDS[0])
        found = self.plain("plain_ray_search.py", RAY_TRIALS, *words, python=RAY_PYTHON)
        print(f"{table.file}, Ray Tune: {found}", flush=True)
        return {f"{name}, Ray Tune": found | {"trials": RAY_TRIALS}}

    def start(self) -> dict[str, Any]:
        """From the fork of a trial to its first round, of a model that trains nothing."""
        request = {
            "model": "instant",
            "data": {"source": "builtin", "name": "iris"},
            "experiment": "bench-search",
            "search": {"trials": TRIALS},
        }
        run, _, _ = self.train(request)
        client = MlflowClient(self.tracking_uri)
        parent = f"tags.`mlflow.parentRunId` = '{run['run_id']}'"
        starts = [
            client.get_metric_history(each.info.run_id, "train_log_loss")[0].timestamp
            - each.info.start_time
            for each in client.search_runs([run["experiment_id"]], parent)
        ]
        seconds = phase_at(run, "training") - phase_at(run, "searching")
        return {
            "start of a trial until its first round": {
                "median_ms": ms([each / 1000 for each in starts]),
                "a_whole_trial_of_nothing_ms": round(seconds / TRIALS * 1000, 1),
                "goal": "<= 50 ms",
            }
        }

    def network(self) -> dict[str, Any]:
        """20 trials of `mlp` on digits, twice."""
        ours, plain = [], []
        for seed in list(SEEDS)[:2]:
            request = {
                "model": "mlp",
                "params": {"epochs": EPOCHS},
                "data": {"source": "builtin", "name": "digits"},
                "experiment": "bench-search",
                "seed": seed,
                "search": {"trials": NETWORK_TRIALS, "parallel": CORES},
            }
            run, _, _ = self.train(request)
            ours.append(phase_at(run, "training") - phase_at(run, "searching"))
            found = self.plain("plain_network_search.py", DATA, CORES, NETWORK_TRIALS, EPOCHS, seed)
            print(f"mlp, seed {seed}: {run['searched']}, plain {found}", flush=True)
            plain.append(found["seconds"])
        name = f"{NETWORK_TRIALS} trials of mlp on digits, {EPOCHS} epochs, the search"
        return {name: figure(ours, plain, "s", goal=GOAL)}


def arguments(table: Table, seed: int) -> list[Any]:
    """What the plain searches are told of the table."""
    words = [table.path, table.target, ",".join(table.drop), table.task]
    return [TRIALS, *words, ROUNDS, seed]


def quality(pairs: list[Pair]) -> dict[str, Any]:
    """What is gained over the default params, and over plain Optuna, in each seed: mean and deviation among seeds."""
    return {
        "default": round(statistics.mean(each.default_test for each in pairs), 5),
        "service": round(statistics.mean(each.ours_test for each in pairs), 5),
        "plain": round(statistics.mean(each.plain_test for each in pairs), 5),
        "over_default": spread([each.ours_test - each.default_test for each in pairs]),
        "over_plain": spread([each.ours_test - each.plain_test for each in pairs]),
        "goal": "over_default above its deviation, over_plain not below 0 by more than its deviation",
    }


def spread(values: list[float]) -> dict[str, float]:
    """Mean, and standard deviation among the seeds."""
    deviation = statistics.stdev(values) if len(values) > 1 else 0.0
    return {"mean": round(statistics.mean(values), 5), "deviation": round(deviation, 5)}


@contextmanager
def served(service: str, tracking_uri: str) -> Iterator[Bench]:
    """The service with all cores in one slot."""
    roots = os.pathsep.join(filter(None, (str(DATA), os.environ.get("TRAINYARD_TEST_DATA"))))
    program = trainer(
        service,
        port=free_port(),
        tracking_uri=tracking_uri,
        name=f"bench-search-{service}",
        TRAINYARD_INSTANCE=f"bench-search-{service}",
        TRAINYARD_DATA_ROOTS=roots,
        TRAINYARD_SLOTS="1",
        TRAINYARD_THREADS=str(CORES),
        TRAINYARD_MODELS_PATH=str(HERE / "models"),
    )
    with up(program):
        yield Bench(f"http://127.0.0.1:{program.port}", service, tracking_uri)


def main() -> None:
    """Start the servers, measure, write, stop."""
    DATA.mkdir(parents=True, exist_ok=True)
    results: dict[str, Any] = {}
    with tracking() as tracking_uri:
        with served("boosting", tracking_uri) as bench:
            results |= bench.start()
            for table in TABLES:
                if table.path.exists():
                    results |= bench.trees(table)
                    write("search", results)
        with served("pytorch", tracking_uri) as bench:
            results |= bench.network()
    write("search", results)
    print(json.dumps(results, indent=2))


if __name__ == "__main__":
    main()
