"""The search of a run, from its request to the best params."""

import time
from collections.abc import Iterable, Sequence

from optuna.trial import FrozenTrial

from trainyard.contract import (
    BestOf,
    Direction,
    Reason,
    SamplerName,
    Search,
    Searched,
    TrainRequest,
)
from trainyard.errors import RunError
from trainyard.launcher.messages import Job, Progressed
from trainyard.rundir.folder import RunFolder
from trainyard.trainer import Data, Interrupted, Trainer
from trainyard.worker.reporting import Progress
from trainyard.worker.search import findings
from trainyard.worker.search.first import first_of
from trainyard.worker.search.forker import MOST_FORKERS, Forker, ForkerGone
from trainyard.worker.search.kept import KeptStudy
from trainyard.worker.search.metric import direction_of
from trainyard.worker.search.mirror import Mirror
from trainyard.worker.search.record import TrialRecord, now
from trainyard.worker.search.space import space_of, types_of
from trainyard.worker.search.spread import OtherRank, other_ranks
from trainyard.worker.search.study import END, PARAMS, Study
from trainyard.worker.search.trial import Trials, trials_of
from trainyard.worker.search.trials import Place, TrialsUnderWay
from trainyard.worker.system_metrics import SystemMetrics
from trainyard.world import World

FIRST_FAILURES = 10
"""When so many trials have failed and no other has ended, the search fails."""
LEAVING_SECONDS = 2.0


def search(  # noqa: PLR0913, PLR0917 - the run's parts
    job: Job,
    folder: RunFolder,
    trainer: Trainer,
    data: Data,
    progress: Progress,
    mirror: Mirror,
    world: World,
    system_metrics: SystemMetrics,
) -> tuple[Searched, findings.Drawing]:
    """The best params of the space, how they were found, and what draws that.

    `system_metrics` begin once the process is there that forks the trials. The ranks of `world` beside this one train
    trials too, until this returns. Raises `Interrupted`, `RankMissing`, and `RunError` where all trials fail.
    """
    request = job.submission.request
    if not isinstance(request, TrainRequest) or request.search is None:
        raise TypeError("the run does not search")
    folder.search.mkdir(exist_ok=True)
    with other_ranks(world) as others:
        kept = KeptStudy.taken(job, folder.search, tell=mirror.add)
        under_way = _Searching(
            job,
            folder,
            trainer,
            request,
            request.search,
            progress,
            mirror,
            kept,
            others,
            system_metrics,
        )
        found = under_way.run(data)
    system_metrics.settle()
    return found, under_way.drawing()


class _Searching:
    def __init__(  # noqa: PLR0913, PLR0917 - the run's parts
        self,
        job: Job,
        folder: RunFolder,
        trainer: Trainer,
        request: TrainRequest,
        asked: Search,
        progress: Progress,
        mirror: Mirror,
        kept: KeptStudy,
        others: Sequence[OtherRank],
        system_metrics: SystemMetrics,
    ) -> None:
        self._others, self._system_metrics = others, system_metrics
        self._job, self._folder, self._trainer = job, folder, trainer
        self._request, self._search = request, asked
        self._progress, self._mirror, self._kept = progress, mirror, kept
        self._metric = asked.metric_of(trainer.task)
        self._direction = direction_of(asked, trainer.task)
        self._space = space = space_of(request, trainer)
        self._study = Study(
            folder.search,
            asked,
            space=space,
            types=types_of(space, trainer.params),
            direction=self._direction,
            seed=request.seed,
        )
        self._to = folder.findings
        self._under_way: TrialsUnderWay | None = None
        self._began = time.monotonic()
        self._ended_before = len(self._study.ended)
        self._seconds_before = self._study.seconds

    def run(self, data: Data) -> Searched:
        """Search, and leave what was found in the run's artifacts."""
        self._take_up()
        try:
            if not self._over() and len(self._study.ended) < self._study.wanted:
                try:
                    self._run_trials(data)
                finally:
                    self._kept.finish()
            self._judge()
        except Interrupted:
            self._give_up(LEAVING_SECONDS)
            raise
        except RunError:
            self._give_up(self._job.patience_seconds)
            raise
        return self._leave()

    def _give_up(self, seconds: float) -> None:
        """Leave what was found without a winner; MLflow has so many seconds to be told of the trials."""
        self._leave()
        self._mirror.flush(seconds)

    def _run_trials(self, data: Data) -> None:
        trials = trials_of(self._job, self._request, self._trainer, data, self._folder.search)
        # The Gaussian-process sampler has started torch's pool in this process by then: what is forked now would inherit it.
        forkers = 1 if self._search.sampler is SamplerName.GP else MOST_FORKERS
        for number in range(1, forkers + 1):
            try:
                self._run_forked(trials)
            except ForkerGone as error:
                if number == forkers:
                    raise RunError(error.detail) from error
                self._progress.note("the process that forks trials was ended; another goes on")
            else:
                return

    def _run_forked(self, trials: Trials) -> None:
        """As long as one forker lives. Raises `ForkerGone`."""
        self._system_metrics.settle()
        forker = Forker(lambda: trials.prepared().run)
        try:
            self._system_metrics.start()
            self._under_way = TrialsUnderWay(
                self._study,
                self._places(forker),
                metric=self._metric,
                direction=self._direction,
                folder=self._folder.search,
                wanted=self._study.wanted,
                changed=self._tell,
                ended=self._one_ended,
            )
            self._under_way.run(is_over=self._looked, is_stopping=lambda: self._progress.stopping)
        finally:
            forker.close()

    def _places(self, forker: Forker) -> list[Place]:
        """Its own, and those of the other ranks; they share evenly what runs at once."""
        each, more = divmod(self._search.parallel, 1 + len(self._others))
        own = Place(forker, each + (more > 0), self._job.threads, lambda: 1 + self._folder.lent)
        others = [
            Place(other, each + (other.rank < more), other.threads, rank=other.rank)
            for other in self._others
        ]
        return [own, *others]

    def _take_up(self) -> None:
        """What an earlier process left: trials that MLflow may not have, and the best so far."""
        if not self._study.all_ended:
            self._mirror.begin_anew()
            self._say_what_is_first()
        for each in self._study.all_ended:
            record = TrialRecord.read(self._folder.search, each.number)
            if record is None or record.end != each.user_attrs.get(END):
                at = int(each.datetime_start.timestamp() * 1000) if each.datetime_start else now()
                params = each.user_attrs.get(PARAMS, {})
                end = each.user_attrs.get(END, "lost")
                TrialRecord(
                    number=each.number, params=params, end=end, began=at, ended=now()
                ).write(self._folder.search)
            self._mirror.add(each.number)

    def _say_what_is_first(self) -> None:
        """Where it is not what the request names."""
        start = self._search.warm_start
        if not isinstance(start, BestOf):
            return
        first = first_of(self._search, self._space)
        if first:
            said = ", ".join(f"{name}={value}" for name, value in first[0].items())
            self._progress.note(f"the best of run {start.found_by} is tried first: {said}")
        elif start.found_by:
            self._progress.note(f"of the best of run {start.found_by} nothing is in the space")
        else:
            self._progress.note(
                "the experiment has no earlier search whose best could be tried first"
            )

    def _over(self) -> bool:
        """Whether the search ends with what it has found."""
        seconds = self._seconds_before + time.monotonic() - self._began
        if self._search.timeout_seconds is not None and seconds >= self._search.timeout_seconds:
            return True
        return self._folder.end_of_search.exists() or self._hopeless()

    def _looked(self) -> bool:
        """Keep what is due, and say whether the search is over. Raises `RankMissing`."""
        for each in self._others:
            each.check()
        self._kept.look()
        return self._over()

    def _hopeless(self) -> bool:
        ended = self._study.ended
        return len(ended) >= FIRST_FAILURES and _all_failed(
            each.user_attrs.get(END) for each in ended
        )

    def _one_ended(self, record: TrialRecord) -> None:
        self._study.searched_for(self._seconds_before + time.monotonic() - self._began)
        self._kept.ended(record.number)
        self._tell(record.ended)

    def _tell(self, at: int | None = None) -> None:
        """How far the search is. `at`: when a trial ended, in milliseconds since 1970; None where one began."""
        done, wanted = len(self._study.ended), self._study.wanted
        left, tried = max(0, wanted - done), done - self._ended_before
        best, under_way = self._study.best if at else None, self._under_way
        self._progress.searched(
            Progressed(
                sequence=0,
                done=done,
                total=wanted,
                unit="trials",
                running=under_way.running if under_way else 0,
                slots_wanted=max(0, min(self._search.parallel, left) - 1),
                slots_used=under_way.slots_used - 1 if under_way else 0,
                metrics={}
                if best is None or best.value is None
                else {f"best_{self._metric}": best.value},
                eta_seconds=round((time.monotonic() - self._began) / tried * left, 1)
                if tried > 0
                else None,
            ),
            at or now(),
        )

    def _judge(self) -> None:
        """Raise a `RunError` where there is no best trial."""
        if self._study.best is not None:
            return
        failed = [each for each in self._study.ended if each.user_attrs.get(END) == "failed"]
        if not failed:
            raise RunError("the search was over before a trial had been trained to its end")
        why = str(failed[-1].user_attrs.get("why", ""))
        raise _as_raised(why, f"all of the {len(failed)} trials failed, the last one so: {why}")

    def drawing(self) -> findings.Drawing:
        """What draws the search, from now on."""
        return findings.Drawing(self._to, self._study.optuna, self._metric)

    def _leave(self) -> Searched:
        """The findings, in the run's artifacts."""
        to = self._to
        to.mkdir(parents=True, exist_ok=True)
        kept = self._folder.search
        records = [TrialRecord.read(kept, each.number) for each in self._study.all_ended]
        findings.write_table(to, [each for each in records if each])
        found = self._searched()
        if found.best_trial >= 0:
            findings.write_best(to, found)
        return found

    def _searched(self) -> Searched:
        best, ended = self._study.best, self._study.ended
        ends = [each.user_attrs.get(END) for each in ended]
        return Searched(
            metric=self._metric,
            direction=Direction(self._direction),
            best_trial=-1 if best is None else best.number,
            best_value=0.0 if best is None or best.value is None else best.value,
            best_std=self._std_of(best),
            best_params={} if best is None else best.user_attrs.get(PARAMS, {}),
            trials=len(ended),
            completed=ends.count("completed"),
            pruned=ends.count("pruned"),
            failed=ends.count("failed"),
        )

    def _std_of(self, trial: FrozenTrial | None) -> float | None:
        if trial is None or self._search.cross_validation is None:
            return None
        record = TrialRecord.read(self._folder.search, trial.number)
        return record.metrics.get(f"{self._metric}_std") if record else None


def _all_failed(ends: Iterable[object]) -> bool:
    return all(each == "failed" for each in ends)


def _as_raised(why: str, detail: str) -> RunError:
    """The failure of a search, with the reason of its last trial's."""
    found = why.partition(":")[0]
    kinds = {kind.reason: kind for kind in RunError.__subclasses__()}
    try:
        return kinds[Reason(found)](detail)
    except (KeyError, ValueError):
        return RunError(detail)
