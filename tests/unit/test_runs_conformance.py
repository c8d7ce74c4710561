"""One suite for whatever keeps the contract of `supervisor.protocol.Runs`: the double that ships, and the real supervisor.

The real one runs over a fake launcher and a fake tracking, which `tests/fakes.py` has.
"""

import asyncio
import importlib.util
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Protocol

import pytest
from prometheus_client.exposition import generate_latest
from prometheus_client.parser import text_string_to_metric_families
from trainyard.contract import (
    Caller,
    OnExisting,
    Phase,
    Progress,
    Promotion,
    Reason,
    Role,
    Run,
    RunKind,
    RunRequest,
    RunStatus,
    ScoreRequest,
    TrainRequest,
    YardState,
)
from trainyard.errors import CannotPromote, Invalid, KeyReused, Unavailable, UnknownRun
from trainyard.supervisor.protocol import Runs
from trainyard.testing import InMemoryRuns

pytestmark = pytest.mark.anyio
SECONDS = 10.0
UNKNOWN = "0" * 32
ENDS = [
    (RunStatus.FINISHED, None),
    (RunStatus.FAILED, Reason.CRASHED),
    (RunStatus.KILLED, Reason.CANCELLED),
]


class Yard(Protocol):
    """An implementation, started and ready, and a hand on what its runs' processes do."""

    runs: Runs
    model: str
    """A model that it trains."""

    async def begin(self, run_id: str) -> None:
        """Let the run have its slot, and return once it is RUNNING and in a phase."""
        ...

    async def report(self, run_id: str, done: int) -> None:
        """Let the run's process say that so many rounds of 10 are done; also one that has ended, which is then too late."""
        ...

    async def end(self, run_id: str, status: RunStatus, reason: Reason | None) -> None:
        """Let the run end so, whether it has begun or not, and return once it has. KILLED is by `cancel`."""
        ...


class OverTheDouble:
    """What a run's process does, as a test of the double's users says it."""

    model = "xgboost_classifier"

    def __init__(self, logs: Path) -> None:
        self.runs = InMemoryRuns(logs)

    async def begin(self, run_id: str) -> None:
        await self.runs.change(run_id, status=RunStatus.RUNNING, phase=Phase.TRAINING)

    async def report(self, run_id: str, done: int) -> None:
        await self.runs.change(run_id, progress=Progress(done=done, total=10, unit="rounds"))

    async def end(self, run_id: str, status: RunStatus, reason: Reason | None) -> None:
        await self.runs.change(run_id, status=status, reason=reason)


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


# The real supervisor joins here: `fakes.over_the_supervisor(home)` is an asynchronous context manager that
# gives a `Yard` over `Supervisor`, `FakeLauncher` and `FakeTracking`.
REAL = pytest.param(
    "supervisor",
    marks=pytest.mark.skipif(
        importlib.util.find_spec("fakes") is None, reason="tests/fakes.py is not there"
    ),
)


@pytest.fixture(params=["double", REAL])
async def yard(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[Yard]:
    if request.param == "supervisor":
        import fakes

        async with fakes.over_the_supervisor(tmp_path) as real:
            yield real
        return
    double = OverTheDouble(tmp_path)
    await double.runs.start()
    yield double
    await double.runs.stop()


@pytest.fixture
def runs(yard: Yard) -> Runs:
    return yard.runs


@pytest.fixture(params=RunKind)
def request_(request: pytest.FixtureRequest, yard: Yard) -> RunRequest:
    """A run that trains, or one that scores: they have one life."""
    data = {"source": "builtin", "name": "iris"}
    if request.param is RunKind.SCORE:
        return ScoreRequest.model_validate({"model_uri": "models:/example/1", "data": data})
    return TrainRequest.model_validate({"model": yard.model, "data": data})


def asked(request: RunRequest, **changes: object) -> RunRequest:
    return request.model_copy(update=changes)


async def run_ids(runs: Runs, **wanted: object) -> list[str]:
    """All runs that fit, newest first, by pages of two."""
    found: list[str] = []
    conditions = {"status": None, "model": None, "experiment": None} | wanted
    cursor = None
    while True:
        page = await runs.page(**conditions, limit=2, cursor=cursor)
        assert len(page.runs) <= 2
        found += [run.run_id for run in page.runs]
        cursor = page.cursor
        if cursor is None:
            return found


# Submit


async def test_an_accepted_run_is_the_request_s_and_has_not_ended(runs, request_):
    request = asked(request_, experiment="bank", run_name="nightly")
    run, accepted = await runs.submit(request, None)
    assert accepted
    assert not run.status.ended
    assert (run.model, run.experiment, run.run_name) == (request.model, "bank", "nightly")
    assert run.kind is request_.kind
    assert (run.attempt, run.reason, run.ended_at) == (1, None, None)
    assert run.transitions[0].status is RunStatus.SCHEDULED
    assert (await runs.get(run.run_id)).run_id == run.run_id


async def test_without_a_key_each_submit_is_a_run_of_its_own(runs, request_):
    first, second = [await runs.submit(request_, None) for _ in range(2)]
    assert first[0].run_id != second[0].run_id
    assert first[1]
    assert second[1]


async def test_an_alias_is_the_version_that_holds_it_at_the_submit(yard, runs):
    request = ScoreRequest.model_validate(
        {
            "model_uri": "models:/example@champion",
            "data": {"source": "builtin", "name": "iris"},
        }
    )
    run, _ = await runs.submit(request, "nightly")
    assert (run.kind, run.model) == (RunKind.SCORE, "models:/example/1")
    await yard.end(run.run_id, RunStatus.FAILED, Reason.CRASHED)
    again, accepted = await runs.submit(request, "nightly")
    assert (accepted, again.attempt, again.model) == (True, 2, run.model)


async def test_a_refused_submit_leaves_no_run_and_no_key(runs, request_):
    name = "model" if request_.kind is RunKind.TRAIN else "model_uri"
    with pytest.raises(Invalid) as caught:
        await runs.submit(asked(request_, **{name: "models:/none/1"}), "nightly")
    assert [each.pointer for each in caught.value.errors] == [f"/{name}"]
    assert await run_ids(runs) == []
    assert (await runs.submit(request_, "nightly"))[1]


async def test_after_a_stop_nothing_is_accepted(runs, request_):
    await runs.stop()
    with pytest.raises(Unavailable):
        await runs.submit(request_, None)


# Idempotency


async def test_a_run_under_way_answers_for_its_key(yard, runs, request_):
    run, _ = await runs.submit(request_, "nightly")
    for choice in OnExisting:
        again, accepted = await runs.submit(asked(request_, on_existing=choice), "nightly")
        assert (again.run_id, accepted) == (run.run_id, False)
    await yard.begin(run.run_id)
    again, accepted = await runs.submit(request_, "nightly")
    assert (again.run_id, again.status, accepted) == (run.run_id, RunStatus.RUNNING, False)


@pytest.mark.parametrize("how", ENDS)
@pytest.mark.parametrize("choice", OnExisting)
async def test_a_run_that_ended_answers_for_its_key_or_is_trained_again(
    yard, runs, request_, choice, how
):
    status, reason = how
    run, _ = await runs.submit(request_, "nightly")
    await yard.end(run.run_id, status, reason)
    again, accepted = await runs.submit(asked(request_, on_existing=choice), "nightly")
    answers = choice is OnExisting.ATTACH or (
        choice is OnExisting.RERUN_FAILED and status is RunStatus.FINISHED
    )
    assert accepted is not answers
    assert (again.run_id == run.run_id) is answers
    assert again.attempt == (1 if answers else 2)
    assert (await runs.get(run.run_id)).status is status
    newest, accepted = await runs.submit(request_, "nightly")
    assert accepted is (answers and status is not RunStatus.FINISHED)
    assert accepted or newest.run_id == again.run_id


async def test_a_key_with_another_body_is_refused_and_changes_nothing(yard, runs, request_):
    run, _ = await runs.submit(request_, "nightly")
    with pytest.raises(KeyReused):
        await runs.submit(asked(request_, timeout_seconds=1), "nightly")
    await yard.end(run.run_id, RunStatus.FAILED, Reason.CRASHED)
    with pytest.raises(KeyReused):
        await runs.submit(
            asked(request_, timeout_seconds=1, on_existing=OnExisting.RERUN), "nightly"
        )
    assert await run_ids(runs) == [run.run_id]


async def test_two_submits_with_one_key_at_once_make_one_run(runs, request_):
    answers = await asyncio.gather(*(runs.submit(request_, "nightly") for _ in range(5)))
    assert len({run.run_id for run, _ in answers}) == 1
    assert sum(accepted for _, accepted in answers) == 1


# Unknown runs


async def test_a_run_that_never_was_is_unknown_in_every_way_of_asking(runs):
    for asking in (
        runs.get(UNKNOWN),
        runs.wait(UNKNOWN, SECONDS, None),
        runs.wait(UNKNOWN, SECONDS, 1),
        runs.cancel(UNKNOWN),
        runs.log_text(UNKNOWN),
        runs.promote(UNKNOWN, Promotion()),
    ):
        with pytest.raises(UnknownRun):
            await asking
    assert runs.live_json(UNKNOWN) is None
    assert runs.log_path(UNKNOWN) is None


# Versions and waiting


async def test_versions_only_grow_and_each_is_another_run(yard, runs, request_):
    first, _ = await runs.submit(request_, None)
    seen: list[Run] = [first]

    async def watch() -> None:
        while not seen[-1].status.ended:
            seen.append(await runs.wait(first.run_id, SECONDS, seen[-1].version))

    async with asyncio.timeout(SECONDS):
        watching = asyncio.create_task(watch())
        await yard.begin(first.run_id)
        for done in (1, 2):
            await yard.report(first.run_id, done)
        await yard.end(first.run_id, RunStatus.FINISHED, None)
        await watching
    versions = [run.version for run in seen]
    assert versions == sorted(set(versions))
    assert seen[-1].status is RunStatus.FINISHED
    assert not first.status.ended
    assert RunStatus.RUNNING in {each.status for each in seen[-1].transitions}


async def yard_of(runs: Runs, since: int | None = None) -> YardState:
    async with asyncio.timeout(SECONDS):
        return YardState.model_validate_json(await runs.yard(10 * SECONDS, since))


async def test_the_yard_tells_of_every_change_and_of_each_run_once(yard, runs, request_):
    before = await yard_of(runs)
    waiting = asyncio.create_task(yard_of(runs, before.version))
    first, _ = await runs.submit(request_, None)
    assert (await waiting).version != before.version
    await yard.begin(first.run_id)
    second, _ = await runs.submit(request_, None)
    state = await yard_of(runs)
    assert first.run_id in [run.run_id for run in state.running]
    told = asyncio.create_task(yard_of(runs, state.version))
    await yard.end(first.run_id, RunStatus.FAILED, Reason.CRASHED)
    assert (await told).version != state.version
    state = await yard_of(runs)
    assert [run.run_id for run in state.ended] == [first.run_id]
    assert state.ended[0] == await runs.get(first.run_id)
    under_way = [run.run_id for run in (*state.running, *state.waiting)]
    assert under_way == [second.run_id]


async def test_a_yard_in_which_nothing_happens_is_answered_as_it_stands(runs):
    before = await yard_of(runs)
    same = YardState.model_validate_json(await runs.yard(0.01, before.version))
    assert same == before


async def test_a_request_is_told_as_it_was_made(runs, request_):
    run, _ = await runs.submit(request_, None)
    told = await runs.request(run.run_id)
    assert (told.kind, told.model, told.data) == (request_.kind, request_.model, request_.data)
    with pytest.raises(UnknownRun):
        await runs.request(UNKNOWN)


async def test_a_wait_since_an_earlier_version_answers_at_once(yard, runs, request_):
    run, _ = await runs.submit(request_, None)
    await yard.begin(run.run_id)
    async with asyncio.timeout(SECONDS):
        newer = await runs.wait(run.run_id, 10 * SECONDS, run.version)
    assert newer.version > run.version


async def test_a_wait_for_the_end_is_not_answered_by_another_change(yard, runs, request_):
    run, _ = await runs.submit(request_, None)
    waiting = [asyncio.create_task(runs.wait(run.run_id, SECONDS, None)) for _ in range(3)]
    await yard.begin(run.run_id)
    await yard.report(run.run_id, 1)
    assert not any(each.done() for each in waiting)
    await yard.end(run.run_id, RunStatus.FAILED, Reason.CRASHED)
    assert {run.status for run in await asyncio.gather(*waiting)} == {RunStatus.FAILED}


async def test_a_wait_whose_time_is_up_answers_with_the_run_as_it_stands(yard, runs, request_):
    run, _ = await runs.submit(request_, None)
    await yard.begin(run.run_id)
    stands = await runs.get(run.run_id)
    async with asyncio.timeout(SECONDS):
        for since in (None, stands.version, stands.version + 1_000):
            assert (await runs.wait(run.run_id, 0.02, since)).version == stands.version


@pytest.mark.parametrize(("status", "reason"), ENDS)
async def test_a_wait_for_a_run_that_has_ended_answers_at_once(
    yard, runs, request_, status, reason
):
    run, _ = await runs.submit(request_, None)
    await yard.end(run.run_id, status, reason)
    ended = await runs.get(run.run_id)
    async with asyncio.timeout(SECONDS):
        for since in (None, 0, ended.version, ended.version + 1_000):
            assert await runs.wait(run.run_id, 10 * SECONDS, since) == ended


# The end


@pytest.mark.parametrize("how", ENDS)
@pytest.mark.parametrize("begun", [True, False])
async def test_an_ended_run_never_changes_again(yard, runs, request_, begun, how):
    status, reason = how
    run, _ = await runs.submit(request_, None)
    if begun:
        await yard.begin(run.run_id)
    await yard.end(run.run_id, status, reason)
    ended = await runs.get(run.run_id)
    assert (ended.status, ended.reason, ended.phase) == (status, reason, None)
    assert ended.retryable is (reason.retryable if reason else None)
    assert ended.ended_at is not None
    assert ended.transitions[-1].status is status
    await yard.report(run.run_id, 9)
    assert await runs.cancel(run.run_id) == (ended, False)
    assert await runs.get(run.run_id) == ended


async def test_what_is_known_as_json_is_the_run(yard, runs, request_):
    run, _ = await runs.submit(request_, None)
    for change in (
        yard.begin(run.run_id),
        yard.report(run.run_id, 1),
        yard.end(run.run_id, RunStatus.FINISHED, None),
    ):
        await change
        content = runs.live_json(run.run_id)
        assert content is not None
        assert Run.model_validate_json(content) == await runs.get(run.run_id)


# Cancel


@pytest.mark.parametrize("begun", [True, False])
async def test_a_cancelled_run_ends_killed(yard, runs, request_, begun):
    run, _ = await runs.submit(request_, None)
    if begun:
        await yard.begin(run.run_id)
    cancelled, was_under_way = await runs.cancel(run.run_id)
    assert was_under_way
    assert cancelled.run_id == run.run_id
    async with asyncio.timeout(SECONDS):
        ended = await runs.wait(run.run_id, SECONDS, None)
    assert (ended.status, ended.reason) == (RunStatus.KILLED, Reason.CANCELLED)


@pytest.mark.parametrize("begun", [True, False])
async def test_a_run_is_its_submitters_and_says_who_cancelled_it(yard, runs, request_, begun):
    ana = Caller(name="ana", team="growth", role=Role.TRAIN)
    bo = Caller(name="bo", role=Role.ADMIN)
    run, _ = await runs.submit(request_, None, ana)
    assert (run.submitted_by, run.team) == ("ana", "growth")
    if begun:
        await yard.begin(run.run_id)
    await runs.cancel(run.run_id, bo)
    await runs.cancel(run.run_id, ana)
    async with asyncio.timeout(SECONDS):
        ended = await runs.wait(run.run_id, SECONDS, None)
    assert (ended.submitted_by, ended.team) == ("ana", "growth")
    assert ended.message is not None
    assert ended.message.startswith("cancelled by bo")
    assert ended.transitions[-1].message == ended.message


# Promotion


@pytest.mark.parametrize("word", [Promotion(), Promotion(approved=False)])
async def test_a_run_under_way_or_failed_or_without_a_version_is_not_promoted_and_stays_as_it_is(
    yard, runs, request_, word
):
    async def refused(run_id: str) -> None:
        before = await runs.get(run_id)
        with pytest.raises(CannotPromote):
            await runs.promote(run_id, word)
        assert await runs.get(run_id) == before

    for status, reason in ENDS[:2]:
        run, _ = await runs.submit(request_, None)
        await yard.begin(run.run_id)
        await refused(run.run_id)
        await yard.end(run.run_id, status, reason)
        await refused(run.run_id)


# Pages and measures


async def test_pages_hold_all_runs_that_fit_once_and_newest_first(yard, runs, request_):
    made = [
        (await runs.submit(asked(request_, experiment=name), None))[0].run_id
        for name in ("bank", "iris", "bank", "iris", "bank")
    ]
    await yard.end(made[0], RunStatus.FINISHED, None)
    newest_first = made[::-1]
    assert await run_ids(runs) == newest_first
    assert await run_ids(runs, experiment="bank") == newest_first[::2]
    assert await run_ids(runs, status=RunStatus.FINISHED) == [made[0]]
    assert await run_ids(runs, model=request_.model) == newest_first
    assert await run_ids(runs, model="another") == []
    page = await runs.page(status=None, model=None, experiment=None, limit=9, cursor=None)
    assert page.runs[-1] == await runs.get(made[0])
    first = await runs.page(status=None, model=None, experiment=None, limit=2, cursor=None)
    await runs.submit(request_, None)
    second = await runs.page(status=None, model=None, experiment=None, limit=2, cursor=first.cursor)
    assert [run.run_id for run in first.runs + second.runs] == newest_first[:4]


async def test_a_cursor_that_was_never_given_out_is_invalid(runs):
    with pytest.raises(Invalid) as caught:
        await runs.page(status=None, model=None, experiment=None, limit=2, cursor="made up")
    assert caught.value.errors[0].pointer == "/query/cursor"


async def test_a_log_that_a_run_did_not_leave_is_unknown(yard, runs, request_):
    run, _ = await runs.submit(request_, None)
    await yard.end(run.run_id, RunStatus.KILLED, Reason.CANCELLED)
    with pytest.raises(UnknownRun):
        await runs.log_text(run.run_id)


async def test_ends_are_counted_once_under_the_names_that_dashboards_know(yard, runs, request_):
    run, _ = await runs.submit(request_, None)
    await yard.end(run.run_id, RunStatus.FAILED, Reason.CRASHED)
    await runs.cancel(run.run_id)
    samples = {
        (sample.name, sample.labels.get("reason")): sample.value
        for family in text_string_to_metric_families(generate_latest(runs.registry).decode())
        for sample in family.samples
    }
    assert samples["trainyard_runs_ended_total", "crashed"] == 1
    for name in ("runs_queued", "runs_running", "slots", "queue_limit"):
        assert (f"trainyard_{name}", None) in samples
    assert (samples["trainyard_runs_queued", None], samples["trainyard_runs_running", None]) == (
        0,
        0,
    )
