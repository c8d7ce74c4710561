"""Optuna's study of a search, in a journal in the run's folder: it outlives the process that began it.

One process has it at a time. A trial that runs when that process is killed is neither lost nor counted: it is marked
as lost, and its params are tried again.
"""

import math
import warnings
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path

import optuna
from optuna.samplers import (
    BaseSampler,
    CmaEsSampler,
    GPSampler,
    GridSampler,
    RandomSampler,
    TPESampler,
)
from optuna.storages import JournalStorage
from optuna.trial import FrozenTrial, Trial, TrialState

from trainyard.contract import Direction, PrunerName, SamplerName, Search
from trainyard.worker.search.first import first_of
from trainyard.worker.search.journal import SoleJournal
from trainyard.worker.search.space import Dimensions, Params, as_category, drawn, grid_of

NAME = "search"
JOURNAL = "study.log"
LOST = "lost"
STOPPED = "stopped"
END = "end"
PARAMS = "params"
SECONDS = "seconds"
NOT_COUNTED = frozenset({LOST, STOPPED})


class Study:
    """The trials that there are, and what to try next."""

    def __init__(  # noqa: PLR0913 - what a study is made of
        self,
        folder: Path,
        search: Search,
        *,
        space: Dimensions,
        types: Mapping[str, type],
        direction: Direction,
        seed: int,
    ) -> None:
        """Open the study in this folder, or begin it. Raises OSError."""
        optuna.logging.set_verbosity(optuna.logging.WARNING)
        warnings.filterwarnings("ignore", module="optuna")
        self._space, self._types = space, types
        first = first_of(search, space)
        grid = grid_of(space, types) if search.sampler is SamplerName.GRID else None
        points = None if grid is None else math.prod(map(len, grid.values())) + len(first)
        self._wanted = search.trials if points is None else min(search.trials, points)
        self._ended: list[FrozenTrial] | None = None
        self._study = optuna.create_study(
            study_name=NAME,
            storage=JournalStorage(SoleJournal(folder / JOURNAL)),
            load_if_exists=True,
            direction=direction.value,
            pruner=_pruner(search.pruner),
        )
        begun = self._study.get_trials(deepcopy=False)
        self._study.sampler = self._sampler(search, seed, len(begun))
        if not begun:
            for params in first:
                self._enqueue(params)
        for trial in begun:
            if trial.state is TrialState.RUNNING:
                self._give_up(trial)

    @property
    def optuna(self) -> optuna.Study:
        """The study itself, for pictures."""
        return self._study

    @property
    def ended(self) -> list[FrozenTrial]:
        """Trials that ended and count, in order."""
        return [each for each in self.all_ended if each.user_attrs.get(END) not in NOT_COUNTED]

    @property
    def all_ended(self) -> list[FrozenTrial]:
        """Trials that ended, also those that were lost; not those that were lost before they had their params."""
        if self._ended is None:  # it is asked for after every word of a trial
            self._ended = [
                each
                for each in self._study.get_trials(deepcopy=False)
                if each.state.is_finished() and PARAMS in each.user_attrs
            ]
        return self._ended

    @property
    def best(self) -> FrozenTrial | None:
        """The best trial that was trained to its end; None before there is one."""
        with suppress(ValueError):
            return self._study.best_trial
        return None

    @property
    def seconds(self) -> float:
        """How long was searched, by all processes together."""
        return float(self._study.user_attrs.get(SECONDS, 0.0))

    def searched_for(self, seconds: float) -> None:
        """Keep how long was searched."""
        self._study.set_user_attr(SECONDS, seconds)

    @property
    def wanted(self) -> int:
        """How many trials there will be: no more than a grid has points, and what is tried first."""
        return self._wanted

    @property
    def exhausted(self) -> bool:
        """Whether there is nothing more to try: all points of a grid were, and none that was lost waits to be tried again."""
        sampler = self._study.sampler
        if not isinstance(sampler, GridSampler) or not sampler.is_exhausted(self._study):
            return False
        return not self._study.get_trials(deepcopy=False, states=(TrialState.WAITING,))

    def ask(self) -> tuple[Trial, Params]:
        """The next trial, which runs from now on, and its params."""
        trial = self._study.ask()
        params = drawn(self._space, trial, self._types)
        trial.set_user_attr(PARAMS, params)
        return trial, params

    def completed(self, trial: Trial, value: float) -> None:
        """The trial was trained to its end."""
        trial.set_user_attr(END, "completed")
        self._tell(trial, value, TrialState.COMPLETE)

    def pruned(self, trial: Trial) -> None:
        """The trial fell behind."""
        trial.set_user_attr(END, "pruned")
        self._tell(trial, None, TrialState.PRUNED)

    def failed(self, trial: Trial, why: str) -> None:
        """The trial came to no value."""
        trial.set_user_attr("why", why)
        trial.set_user_attr(END, "failed")
        self._tell(trial, None, TrialState.FAIL)

    def stopped(self, trial: Trial) -> None:
        """The search was over before the trial was; it does not count."""
        trial.set_user_attr(END, STOPPED)
        self._tell(trial, None, TrialState.FAIL)

    def lost(self, trial: Trial) -> None:
        """The trial was ended by no fault of its own; its params are tried again."""
        self._give_up(self._study.trials[trial.number])

    def _tell(self, trial: Trial, value: float | None, state: TrialState) -> None:
        # A grid that is exhausted stops `optimize`, which is not what runs here; the trial has ended all the same.
        with suppress(RuntimeError, KeyError):
            self._study.tell(trial, value, state)
        self._ended = None

    def _give_up(self, trial: FrozenTrial) -> None:
        storage = self._study._storage  # noqa: SLF001 - there is no other way to end another process's trial with a note
        storage.set_trial_user_attr(trial._trial_id, END, LOST)  # noqa: SLF001
        storage.set_trial_state_values(trial._trial_id, TrialState.FAIL)  # noqa: SLF001
        self._ended = None
        whole = trial.params if PARAMS in trial.user_attrs else None
        if params := trial.system_attrs.get("fixed_params") or whole:
            self._study.enqueue_trial(params)

    def _enqueue(self, params: Params) -> None:
        self._study.enqueue_trial({name: as_category(each) for name, each in params.items()})

    def _sampler(self, search: Search, seed: int, begun: int) -> BaseSampler:
        """A study that goes on draws from another seed: from the same it would draw the same again.

        Not so a grid, whose seed orders its points: trials know theirs by its place in that order.
        """
        if search.sampler is not SamplerName.GRID:
            seed += begun
        match search.sampler:
            case SamplerName.TPE:
                return TPESampler(seed=seed, constant_liar=search.parallel > 1)
            case SamplerName.RANDOM:
                return RandomSampler(seed=seed)
            case SamplerName.GRID:
                return GridSampler(grid_of(self._space, self._types) or {}, seed=seed)
            case SamplerName.CMAES:
                return CmaEsSampler(seed=seed)
            case SamplerName.GP:
                return GPSampler(seed=seed)


def _pruner(name: PrunerName) -> optuna.pruners.BasePruner:
    match name:
        case PrunerName.MEDIAN:
            return optuna.pruners.MedianPruner()
        case PrunerName.HYPERBAND:
            return optuna.pruners.HyperbandPruner()
        case PrunerName.NONE:
            return optuna.pruners.NopPruner()
