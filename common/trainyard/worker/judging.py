"""The holder of an alias, judged on the test rows of the run that may replace it."""

import sys
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any, Protocol

import numpy.typing as npt
from mlflow.entities.model_registry import ModelVersion
from mlflow.protos.model_registry_pb2 import ModelVersion as Message

from trainyard.contract import Promote
from trainyard.datasets.splitting import described
from trainyard.drift.comparison import Drift
from trainyard.registry.notes import foreseen
from trainyard.registry.promotion import SHOWN_CONFIDENCE, Interval, Judgement
from trainyard.trainer import Data
from trainyard.worker.apart import Apart
from trainyard.worker.bootstrap import interval_of_difference
from trainyard.worker.drift_report import write_report
from trainyard.worker.evaluation import evaluate
from trainyard.worker.examining import Dossier, Elsewhere, Examined, examined
from trainyard.worker.held_out_rows import HeldOutRows
from trainyard.worker.holders import Holders

Array = npt.NDArray[Any]
MOST_BREAKS = 5


@dataclass(frozen=True)
class Tested:
    """A run's own model on its test rows."""

    predicted: Array
    """Probabilities of (n, classes), or values of (n,)."""
    metrics: dict[str, float]


@dataclass(frozen=True)
class Weighed:
    """A holder, compared with the run's own model."""

    judgement: Judgement
    metrics: dict[str, float]
    """`champion_test_…`; empty where it could not be scored."""
    dossier: Dossier


@dataclass(frozen=True)
class Found:
    """What a process of its own has found about whoever holds the alias."""

    holder: bytes | None = None
    """As MLflow sends it, for neither its entity nor its message pickles; None where nobody does."""
    weighed: Weighed | None = None
    """None where it was begun, and the process ended."""
    again: bool = False
    """Whether it failed for no fault of the model's, as where MLflow is away."""


class JudgingLog(Protocol):
    """Where a judging writes what it finds: a run's log, or nowhere."""

    def say(self, message: str, /) -> object:
        """Tell people."""
        ...

    def champion(self, version: str, metrics: Mapping[str, float]) -> None:
        """What the holder reached, and which version that is."""
        ...

    def drift(self, max_psi: float) -> None:
        """How far the column that moved most has moved."""
        ...

    def holders(self) -> Holders:
        """What asks MLflow about other runs' models."""
        ...


class Judging:
    """Scores whoever holds the alias, each version once, and logs it beside the run's own metrics."""

    def __init__(  # noqa: PLR0913 - what a judge goes by, each by name
        self,
        name: str,
        rule: Promote,
        *,
        data: Data,
        rows: HeldOutRows,
        log: JudgingLog,
        artifacts: Path,
        elsewhere: Elsewhere,
    ) -> None:
        self._name = name
        self._rule = rule
        self._data = data
        self._rows = rows
        self._log = log
        self._artifacts = artifacts
        self._elsewhere = elsewhere
        self._holders = log.holders()
        self._apart: Apart[Found] | None = None
        self._first: Future[tuple[ModelVersion, Weighed] | None] | None = None
        self._tested: Tested | None = None
        self._judged: dict[str, Judgement] = {}
        self.metrics: dict[str, float] = {}
        """`champion_test_…` of the version that was judged last; empty where none could be."""

    def begin(self, *, fetch: bool) -> None:
        """Have the present holder examined in a process of its own once the model is trained; `fetch` its files now.

        To be called while no other thread of this process is in the middle of something (ADR 29).
        """
        self._apart = Apart(partial(self._found, fetch=fetch))
        self.forget()  # the other process has it

    def forget(self) -> None:
        """Keep nothing of the table for the holder that is judged once the model is trained."""
        self._rows.forget()

    def against(self, tested: Tested) -> "Judging":
        """Itself, which judges holders by what the run's own model has reached from now on."""
        self._tested = tested
        return self

    def ahead(self) -> None:
        """Have the two compared, while the run draws and uploads; nothing is told before `settle`."""
        if self._apart:
            self._first = ThreadPoolExecutor(1).submit(self._weighed_first, self._apart)

    def settle(self) -> ModelVersion | None:
        """Judge whoever holds the alias now, and tell. None where nobody does. Raises `TrackingUnavailable`."""
        first = self._first.result() if self._first else None
        if first is not None:
            self._keep(*first)
            return first[0]
        holder = self._holders.holder(self._name, self._rule.alias)
        if holder is not None:
            self(holder)
        return holder

    def tags(self) -> dict[str, str]:
        """Of the version that is about to be registered: what was found about the holder that was judged last."""
        last = next(reversed(self._judged.values()), None)
        value = self._own.metrics.get(self._rule.metric)
        return foreseen(self._rule, value, len(self._data.test), last)

    def __call__(self, holder: ModelVersion) -> Judgement:
        """The judgement of this version. Raises `TrackingUnavailable`."""
        version = str(holder.version)
        if version not in self._judged:
            self._keep(holder, self._weighed(version, self._examined(holder, self._holders)))
        return self._judged[version]

    @property
    def _own(self) -> Tested:
        if self._tested is None:
            raise RuntimeError("a holder is judged against a model that was tested")
        return self._tested

    def _found(self, trained: Callable[[], Tested], *, fetch: bool) -> Iterator[Found]:
        """In the other process: what there is to find. Whatever fails there is tried again, patiently, in this one.

        The line to the service is this one's alone; the other says what it has to say in the log.
        """
        tested = None if fetch else trained()
        holders = self._holders.saying(lambda message: sys.stdout.write(f"{message}\n"))
        try:
            holder = holders.fetch(self._name, self._rule.alias)
            if holder is not None:
                sent = holder.to_proto().SerializeToString()
                yield Found(sent)
                self.against(tested or trained())
                seen = self._examined(holder, holders)
                yield Found(sent, self._weighed(str(holder.version), seen))
        except Exception as error:  # noqa: BLE001 - `CannotScore` is an answer, and does not come here
            why = f"{type(error).__name__}: {error}"
            sys.stdout.write(
                f"the champion is scored once the model is trained: not now, for {why}\n"
            )
            yield Found(again=True)

    def _weighed_first(self, apart: Apart[Found]) -> tuple[ModelVersion, Weighed] | None:
        """The holder that was examined apart; None where it has to be asked for again, or there is none."""
        apart.go(self._own)
        found, how = apart.answer()
        if found is None or found.holder is None or found.again:
            return None
        holder = ModelVersion.from_proto(Message.FromString(found.holder))
        ended = f"scoring it ended the process that did ({how})"
        weighed = found.weighed or self._weighed(str(holder.version), Examined(incomparable=ended))
        return holder, weighed

    def _examined(self, holder: ModelVersion, holders: Holders) -> Examined:
        return examined(holder, self._data, self._rows, holders=holders, elsewhere=self._elsewhere)

    def _weighed(self, version: str, found: Examined) -> Weighed:
        """Compare the holder with the run's own model."""
        data, dossier = self._data, found.dossier
        if found.predicted is None:
            return Weighed(Judgement(version, incomparable=found.incomparable), {}, dossier)
        metrics = evaluate(data.task, found.predicted, data.test, data.classes, "test")
        reached = {f"champion_{name}": value for name, value in metrics.items()}
        value = metrics.get(self._rule.metric)
        if value is None:
            why = f"it has no {self._rule.metric} on them"
            return Weighed(Judgement(version, incomparable=why), reached, dossier)
        drift = dossier.drift
        judgement = Judgement(
            version,
            value,
            self._interval(found.predicted, value),
            seen=dossier.seen,
            tested_on=self._which_rows(),
            max_drift=furthest(drift, self._rule.max_drift) if drift else None,
            drift=drift.sentence() if drift else None,
            breaks=_breaks(drift) if drift else (),
        )
        return Weighed(judgement, reached, dossier)

    def _keep(self, holder: ModelVersion, weighed: Weighed) -> None:
        """Remember what was found, and tell."""
        version, judgement = str(holder.version), weighed.judgement
        self._judged[version] = judgement
        if not weighed.metrics:
            self._log.say(
                f"version {version} of {self._name!r} cannot be scored: {judgement.incomparable}"
            )
            return
        self.metrics = weighed.metrics
        self._log.champion(version, weighed.metrics)
        drift = weighed.dossier.drift
        if drift:
            write_report(self._artifacts, weighed.dossier.report)
            self.metrics = {**weighed.metrics, "drift_max_psi": drift.max_psi}
            self._log.drift(drift.max_psi)
            self._log.say(f"since the champion's data: {drift.sentence()}")

    def _interval(self, predicted: Array, value: float) -> Interval | None:
        """How sure the difference is; None where the run itself does not have the metric."""
        own = self._own.metrics.get(self._rule.metric)
        if own is None:
            return None
        return interval_of_difference(
            self._rule.metric.removeprefix("test_"),
            self._own.predicted,
            predicted,
            self._data.test,
            self._data.classes,
            difference=own - value,
            confidence=self._rule.confidence or SHOWN_CONFIDENCE,
            seed=self._rows.seed,
        )

    def _which_rows(self) -> str | None:
        """What is particular about the test rows, in words."""
        split = self._data.profile.get("split")
        return described(split).removeprefix("tested on ") if split else None


def furthest(drift: Drift, limit: float | None) -> float | None:
    """How far the column that moved most has moved.

    None where nothing could be compared; and where one column is of another kind now, which nobody can measure, and no
    other is past the limit.
    """
    is_hidden = bool(drift.changed) and limit is not None and drift.max_psi <= limit
    return drift.max_psi if drift.most_moved and not is_hidden else None


def _breaks(drift: Drift) -> tuple[str, ...]:
    """What callers of the holder would have to change: columns that it did not need, and columns of another type."""
    needed = [f"the column {name!r} is needed now" for name in drift.new]
    typed = [f"{each.name!r} is {each.now} now, and was {each.before}" for each in drift.changed]
    shown = [*needed, *typed]
    more = [f"and {len(shown) - MOST_BREAKS} more"] if len(shown) > MOST_BREAKS else []
    return (*shown[:MOST_BREAKS], *more)
