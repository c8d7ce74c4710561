"""The program as a process of its own, against a real server whose supervisor is in memory."""

import asyncio
import json
import os
import signal
import subprocess
import sys
import time
from dataclasses import dataclass
from datetime import UTC, datetime

import pytest
from in_memory import serving
from trainyard.cli import EXIT_CODES, Exit
from trainyard.cli.run_file import write_run
from trainyard.contract import (
    DataPreview,
    Phase,
    PreviewedColumn,
    Progress,
    Reason,
    Registered,
    Run,
    RunStatus,
    TrainRequest,
)
from trainyard.errors import QueueFull, ServiceError, Unavailable
from trainyard.testing import InMemoryRuns

pytestmark = pytest.mark.anyio
PROGRAM = (sys.executable, "-m", "trainyard.cli")
BODY = {"model": "xgboost_classifier", "data": {"source": "builtin", "name": "iris"}}
REQUEST = TrainRequest.model_validate(BODY)
FLAGS = ("--model", "xgboost_classifier", "--data", "iris")
NOBODY = "http://127.0.0.1:1"


@dataclass(frozen=True)
class Ended:
    """How the program ended."""

    code: int
    out: str
    err: str


@dataclass(frozen=True)
class Yard:
    """A service over `runs`, and the program that calls it."""

    runs: InMemoryRuns
    url: str

    async def start(self, *arguments, stdin=None, **variables):
        process = await asyncio.create_subprocess_exec(
            *PROGRAM,
            *arguments,
            env=environment(TRAINYARD_URL=self.url, **variables),
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
        )
        if stdin is not None:
            process.stdin.write(stdin.encode())
        process.stdin.close()
        return process

    async def __call__(self, *arguments, stdin=None, **variables):
        return await ended(await self.start(*arguments, stdin=stdin, **variables))

    async def accept(self, *, times=1, status=RunStatus.FINISHED, **fields):
        """Give the next runs this end, as soon as somebody waits for them."""
        for _ in range(times):
            run_id = await self.runs.next_submitted()
            await self.runs.waiting.wait()
            await self.runs.change(run_id, status=status, ended_at=datetime.now(UTC), **fields)
        return run_id


async def ended(process):
    out, err = await process.communicate()
    return Ended(process.returncode, out.decode(), err.decode())


def environment(**variables):
    kept = {
        key: value
        for key, value in os.environ.items()
        if not key.startswith(("TRAINYARD_", "MLFLOW_"))
    }
    return kept | {"COLUMNS": "200"} | variables


def program(*arguments, **variables):
    done = subprocess.run(
        [*PROGRAM, *arguments],
        env=environment(**variables),
        check=False,
        capture_output=True,
        text=True,
        timeout=200,
    )
    return Ended(done.returncode, done.stdout, done.stderr)


@pytest.fixture
def anyio_backend():
    return "asyncio"


@pytest.fixture
async def yard(tmp_path):
    runs = InMemoryRuns(tmp_path)
    async with serving(runs) as url:
        yield Yard(runs, url)


async def test_a_training_shows_its_phases_metrics_and_links(yard):
    registered = Registered(
        name="flowers",
        version="3",
        aliases=["champion"],
        promoted=True,
        decision="promoted: [b]etter",
    )
    ending = yard.accept(
        metrics={"test_accuracy": 0.9375}, model_uri="models:/m-1", registered=registered
    )
    done, run_id = await asyncio.gather(yard("train", "-", stdin=json.dumps(BODY)), ending)
    assert done.code == Exit.FINISHED
    assert f"FINISHED xgboost_classifier {run_id}" in done.out
    for said in (
        "test_accuracy  0.9375",
        "flowers version 3 (champion)",
        "promoted: [b]etter",
        "models:/m-1",
        "http://127.0.0.1:5000",
    ):
        assert said in done.out
    assert f"{run_id} waits" in done.err


async def test_json_is_the_run_and_nothing_else_on_standard_output(yard):
    done, run_id = await asyncio.gather(yard("train", *FLAGS, "--json"), yard.accept())
    run = json.loads(done.out)
    assert (done.code, run["run_id"], run["status"]) == (0, run_id, "FINISHED")


@pytest.mark.parametrize(
    ("status", "reason"),
    [(RunStatus.FAILED, Reason.DIVERGED), (RunStatus.KILLED, Reason.CANCELLED)],
)
async def test_a_run_that_failed_or_was_killed_exits_with_1_and_says_why(yard, status, reason):
    ending = yard.accept(status=status, reason=reason, message="because [/] of it")
    done, _ = await asyncio.gather(yard("train", *FLAGS), ending)
    assert done.code == Exit.RUN_FAILED
    assert f"{reason}: because [/] of it" in done.out


async def test_the_options_say_what_a_file_would(yard):
    params = (
        "-p",
        "max_depth=3",
        "-p",
        "booster=dart",
        "--param",
        'deep={"a": [1]}',
        "-p",
        "x=NaN",
        "-p",
        "e=",
    )
    told = (*params, "--register", "flowers", "--workers", "2", "--detach")
    assert (await yard("train", *FLAGS, *told)).code == 0
    wanted = yard.runs.submitted[0]
    assert wanted.params == {
        "max_depth": 3,
        "booster": "dart",
        "deep": {"a": [1]},
        "x": "NaN",
        "e": "",
    }
    assert (wanted.register_.name, wanted.data.name) == ("flowers", "iris")
    assert wanted.workers == 2
    assert wanted.search is None


async def test_a_search_by_several_workers_has_a_trial_for_each_at_once(yard):
    told = ("--trials", "9", "--workers", "3", "--detach")
    assert (await yard("train", *FLAGS, *told)).code == 0
    wanted = yard.runs.submitted[0]
    assert (wanted.workers, wanted.search.trials, wanted.search.parallel) == (3, 9, 3)


@pytest.mark.parametrize(
    ("options", "data"),
    [
        (
            ("--data", "bank.csv", "--target", "y"),
            {"source": "file", "uri": "bank.csv", "target": "y"},
        ),
        (("--data", "parts", "--target", "y"), {"source": "file", "uri": "parts", "target": "y"}),
        (("--data", "digits.npz"), {"source": "images", "uri": "digits.npz"}),
        (("--data", "sets/digits"), {"source": "images", "uri": "sets/digits"}),
    ],
)
async def test_data_is_a_builtin_a_table_or_images_by_its_name_and_target(yard, options, data):
    assert (await yard("train", "--model", BODY["model"], *options, "--detach")).code == 0
    assert yard.runs.submitted[0].data.model_dump(exclude_unset=True) == data


async def test_options_take_the_place_of_what_the_file_says_and_leave_the_rest(yard, tmp_path):
    path = tmp_path / "request.json"
    data = {"source": "file", "uri": "bank.csv", "target": "x", "drop": ["id"]}
    register = {"name": "bank", "alias": "challenger"}
    path.write_text(
        json.dumps(
            {
                "model": BODY["model"],
                "params": {"a": 1, "b": 1},
                "data": data,
                "register": register,
                "seed": 7,
            }
        )
    )
    done = await yard(
        "train", str(path), "--target", "y", "-p", "b=2", "--register", "other", "--detach"
    )
    wanted = yard.runs.submitted[0]
    assert done.out.strip() == await yard.runs.next_submitted()
    assert (wanted.model, wanted.seed, wanted.params) == (BODY["model"], 7, {"a": 1, "b": 2})
    assert (wanted.data.target, wanted.data.drop) == ("y", ["id"])
    assert (wanted.register_.name, wanted.register_.alias) == ("other", "challenger")


async def test_a_scoring_is_followed_and_its_options_are_the_request_s(yard):
    ending = yard.accept(metrics={"scored_roc_auc": 0.75}, model_uri="models:/example/1")
    flags = ("--data", "customers.parquet", "--keep", "id", "--output", "scores.parquet")
    scoring = yard("score", "models:/example@champion", *flags)
    done, run_id = await asyncio.gather(scoring, ending)
    assert done.code == Exit.FINISHED
    assert f"FINISHED models:/example/1 {run_id}" in done.out
    assert "scored_roc_auc" in done.out
    [request] = yard.runs.submitted
    assert (request.data.uri, request.data.target) == ("customers.parquet", None)
    assert (request.rows, request.keep, request.output) == ("all", ["id"], "scores.parquet")
    detached = await yard(
        "score",
        "models:/example/1",
        *("--data", "c.csv", "--target", "y", "--rows", "test", "--detach", "--json"),
    )
    assert json.loads(detached.out)["kind"] == "score"
    assert (yard.runs.submitted[1].rows, yard.runs.submitted[1].data.target) == ("test", "y")


@pytest.mark.parametrize("name", ["c.tsv", "c.csv.zst", "s3://b/c.PARQUET", "c.zip"])
async def test_a_table_to_score_is_told_by_its_name(yard, name):
    await yard("score", "models:/example/1", "--data", name, "--detach")
    assert (yard.runs.submitted[0].data.source, yard.runs.submitted[0].data.uri) == ("file", name)


async def test_what_is_scored_may_be_any_data_of_a_request(yard):
    folder = '{"source": "file", "uri": "folder", "weight": "w"}'
    await yard("score", "models:/example/1", "--data", folder, "--target", "y", "--detach")
    data = yard.runs.submitted[0].data
    assert (data.source, data.uri, data.target, data.weight) == ("file", "folder", "y", "w")
    refused = await yard("score", "models:/example/1", "--data", "{", "--detach")
    assert refused.code != Exit.FINISHED
    assert len(yard.runs.submitted) == 1


async def test_a_key_finds_the_same_run_again_and_without_one_each_training_is_new(yard):
    first, second = [(await yard("train", *FLAGS, "--key", "k", "--detach")).out for _ in range(2)]
    third, fourth = [(await yard("train", *FLAGS, "--detach")).out for _ in range(2)]
    assert first == second
    assert len({first, third, fourth}) == 3


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("train",), "a request file, or --model and --data"),
        (("train", "--model", "m"), "a request file, or --model and --data"),
        (("train", "--model", "m", "--data", "bank.csv"), "--target"),
        (("train", *FLAGS, "-p", "max_depth"), "NAME=VALUE"),
        (("train", "/nowhere.json"), "/nowhere.json"),
        (("train", "/"), "Is a directory"),
        (("list", "--limit", "0"), "--limit"),
        (("nonsense",), "nonsense"),
        (("promote", "a" * 32, "--by", " "), "/by"),
        (("rollback", "m", "--alias", ""), "/alias"),
        (("run", "/nowhere.json"), "/nowhere.json"),
        (("run", "{}", "--output", "/nowhere/run.json"), "/nowhere/run.json"),
        (("run", "{}", "--output", "/"), "/ cannot be written"),
    ],
)
def test_a_command_that_cannot_be_meant_exits_with_2(arguments, said):
    done = program(*arguments, TRAINYARD_URL=NOBODY)
    assert done.code == Exit.BAD_REQUEST
    assert said in done.err
    assert "Traceback" not in done.err


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("{", "does not hold a request as JSON"),
        ("[1]", "holds a JSON list"),
        ("[" * 100_000, "does not hold a request as JSON"),
        ("\x00", "does not hold a request as JSON"),
        ('{"model": "m", "colour": 1}', "/colour: unknown field"),
        (
            '{"model": "\\ud800", "data": {"source": "builtin", "name": "iris"}}',
            "does not hold a request as JSON",
        ),
        ('{"model": "m", "seed": NaN}', "does not hold a request as JSON"),
    ],
)
@pytest.mark.parametrize("command", ["train", "run"])
async def test_a_bad_request_exits_with_2_and_names_what_is_wrong(yard, command, text, said):
    done = await yard(command, "-", stdin=text)
    assert (done.code, said in done.err, "Traceback" in done.err) == (Exit.BAD_REQUEST, True, False)


async def test_each_bad_field_is_a_line(yard):
    done = await yard(
        "train",
        "-",
        stdin='{"model": "m", "data": {"source": "builtin", "name": "[/]\\t"}, "seed": -1}',
    )
    assert [line.partition(":")[0] for line in done.err.splitlines()] == ["/data/name", "/seed"]


@pytest.mark.parametrize(
    "arguments",
    [("train", *FLAGS), ("status", "x"), ("wait", "x"), ("logs", "-f", "x"), ("models",)],
)
def test_an_absent_service_exits_with_3_at_once(arguments):
    done = program(*arguments, TRAINYARD_URL=NOBODY)
    assert (done.code, done.out) == (Exit.UNREACHABLE, "")
    assert f"{NOBODY} does not answer" in done.err


def test_a_training_whose_fate_is_unknown_says_how_to_ask_again():
    said = program("train", *FLAGS, TRAINYARD_URL=NOBODY).err
    assert "With --key " in said


async def test_a_promotion_prints_its_decision_and_exits_as_the_alias_moved(yard):
    run, _ = await yard.runs.submit(REQUEST, None)
    early = await yard("promote", run.run_id)
    assert (early.code, run.run_id in early.err) == (Exit.BAD_REQUEST, True)
    registered = Registered(name="flowers", version="2", decision="not decided yet")
    await yard.runs.change(run.run_id, status=RunStatus.FINISHED, registered=registered)
    done = await yard("promote", run.run_id)
    assert (done.code, done.out) == (Exit.FINISHED, "promoted: it is approved\n")
    rejected = await yard("promote", run.run_id, "--reject", "--by", "anna", "--json")
    assert (rejected.code, json.loads(rejected.out)["promoted"]) == (Exit.FINISHED, False)
    assert [word.by for _, word in yard.runs.promotions] == [None, "anna"]


async def test_rollback_says_who_holds_the_alias_again(yard):
    done = await yard("rollback", "team flowers", "--by", "anna")
    assert (done.code, done.out) == (
        Exit.FINISHED,
        "rolled back: version 1 holds 'champion' again\n",
    )
    assert [(name, word.by) for name, word in yard.runs.rollbacks] == [("team flowers", "anna")]
    again = await yard("rollback", "team flowers")
    assert (again.code, "no earlier holder" in again.err) == (Exit.BAD_REQUEST, True)


async def test_a_rollback_without_an_answer_says_how_it_is_repeated(yard, monkeypatch):
    async def away(*_):
        raise Unavailable("MLflow does not answer")

    named = await yard("rollback", "flowers", "--holder", "2")
    assert (named.code, yard.runs.rollbacks[-1][1].holder) == (Exit.FINISHED, "2")
    monkeypatch.setattr(yard.runs, "rollback", away)
    for options, says in ((), True), (("--holder", "2"), False):
        done = await yard("rollback", "flowers", *options)
        assert done.code != Exit.FINISHED
        assert ("--holder: another call without it" in " ".join(done.err.split())) is says


async def test_a_wait_gives_up_after_its_timeout_with_a_code_of_its_own(yard):
    run, _ = await yard.runs.submit(REQUEST, None)
    done = await yard("wait", run.run_id, "--timeout", "0.1")
    assert done.code == Exit.TIMED_OUT
    assert f"{run.run_id} is still SCHEDULED" in done.err


async def test_a_wait_exits_as_the_run_ended_also_over_a_restart(tmp_path):
    runs = InMemoryRuns(tmp_path)
    run, _ = await runs.submit(REQUEST, None)
    async with serving(runs) as url:
        waiting = await Yard(runs, url).start("wait", run.run_id)
        await runs.waiting.wait()
    while b"asking again" not in await waiting.stderr.readline():
        assert waiting.returncode is None
    await runs.change(run.run_id, status=RunStatus.FAILED)
    async with serving(runs, port=int(url.rpartition(":")[2])):
        assert (await ended(waiting)).code == Exit.RUN_FAILED


@pytest.mark.parametrize("command", ["train", "wait", "logs"])
async def test_an_interrupt_leaves_the_run_to_go_on_and_says_how_to_cancel_it(
    yard, tmp_path, command
):
    run, _ = await yard.runs.submit(REQUEST, "k")
    (tmp_path / f"{run.run_id}.log").write_text("one\n")
    arguments = {
        "train": (*FLAGS, "--key", "k"),
        "wait": (run.run_id,),
        "logs": ("-f", run.run_id),
    }[command]
    process = await yard.start(command, *arguments)
    if command == "logs":
        assert await process.stdout.readline() == b"one\n"
    await yard.runs.waiting.wait()
    process.send_signal(signal.SIGINT)
    done = await ended(process)
    assert done.code == Exit.INTERRUPTED
    assert f"trainyard cancel {run.run_id}" in done.err
    assert (await yard.runs.get(run.run_id)).status == RunStatus.SCHEDULED


class SlowToEnd(InMemoryRuns):
    """A run that is cancelled goes on for a while."""

    async def cancel(self, run_id, _by=None):
        return await self.get(run_id), True


async def test_a_cancel_says_that_it_waits_for_the_service_and_an_interrupt_what_becomes_of_the_run(
    tmp_path,
):
    runs = SlowToEnd(tmp_path)
    run, _ = await runs.submit(REQUEST, None)
    async with serving(runs) as url:
        process = await Yard(runs, url).start("cancel", run.run_id)
        await runs.waiting.wait()
    async with asyncio.timeout(60):
        while b"asking again" not in await process.stderr.readline():
            assert process.returncode is None
    process.send_signal(signal.SIGINT)
    done = await ended(process)
    assert (done.code, done.out) == (Exit.INTERRUPTED, "")
    assert "The run is cancelled all the same." in done.err


class Busy(InMemoryRuns):
    """Refuses with `Retry-After`: each submit, and the first question that it should hold."""

    def __init__(self, logs, seconds):
        super().__init__(logs)
        self.seconds = seconds
        self.refused_at = None
        self.asked_again_at = None

    async def submit(self, *_):
        raise asking_for(QueueFull, self.seconds)

    async def wait(self, _run_id, _seconds, _since):
        self.refused_at = time.monotonic()
        raise asking_for(Unavailable, self.seconds)

    async def accept(self):
        """A run that was accepted before the service became busy."""
        run, _ = await super().submit(REQUEST, None)
        return run.run_id

    def live_json(self, run_id):
        if self.refused_at is not None:
            self.asked_again_at = time.monotonic()
            self._runs[run_id] = self._runs[run_id].model_copy(
                update={"status": RunStatus.FINISHED}
            )
        return super().live_json(run_id)


def asking_for(kind, seconds):
    error = kind()
    error.retry_after_seconds = seconds
    return error


async def test_a_training_that_is_refused_for_now_says_when_to_try_again(tmp_path):
    runs = Busy(tmp_path, 7)
    async with serving(runs) as url:
        done = await Yard(runs, url)("train", *FLAGS)
    assert done.code == Exit.UNREACHABLE
    assert "Try again in 7 s." in done.err


async def test_a_wait_asks_again_no_sooner_than_retry_after_says(tmp_path):
    runs = Busy(tmp_path, 2)
    run_id = await runs.accept()
    async with serving(runs) as url:
        assert (await Yard(runs, url)("wait", run_id)).code == Exit.FINISHED
    assert runs.asked_again_at - runs.refused_at >= 2


async def test_a_wait_gives_up_at_once_where_retry_after_is_later_than_its_timeout(tmp_path):
    runs = Busy(tmp_path, 50)
    run_id = await runs.accept()
    async with serving(runs) as url:
        waiting = Yard(runs, url)("wait", run_id, "--timeout", "40")
        done = await asyncio.wait_for(waiting, 30)
    assert done.code == Exit.UNREACHABLE
    assert "Try again in 50 s." in done.err
    assert runs.asked_again_at is None


async def test_a_run_file_holds_the_run_and_nothing_is_left_beside_it(tmp_path):
    run, _ = await InMemoryRuns(tmp_path).submit(REQUEST, None)
    path = tmp_path / "out/run.json"
    path.parent.mkdir()
    path.write_text("what was there before, and is longer" * 1000)
    write_run(path, run)
    assert Run.model_validate_json(path.read_text()) == run
    assert list(path.parent.iterdir()) == [path]


async def test_a_run_file_that_cannot_be_written_names_the_run_that_ended(tmp_path):
    run, _ = await InMemoryRuns(tmp_path).submit(REQUEST, None)
    full = tmp_path / "run.json"
    full.mkdir()
    with pytest.raises(ServiceError, match=run.run_id):
        write_run(full, run)
    assert list(tmp_path.iterdir()) == [full]


async def test_a_status_shows_how_far_a_run_is(yard):
    run, _ = await yard.runs.submit(REQUEST, None)
    await yard.runs.change(
        run.run_id,
        status=RunStatus.RUNNING,
        phase=Phase.LOGGING_MODEL,
        progress=Progress(done=3, total=9, unit="rounds"),
    )
    done = await yard("status", run.run_id)
    assert f"RUNNING xgboost_classifier {run.run_id}: logging model, 3/9 rounds" in done.out


async def test_cancel_ends_a_run_and_leaves_an_ended_one_as_it_is(yard):
    run, _ = await yard.runs.submit(REQUEST, None)
    for _ in range(2):
        done = await yard("cancel", run.run_id)
        assert (done.code, done.out) == (0, f"{run.run_id} KILLED\n")


async def test_a_list_is_a_line_a_run_and_its_cursor_leads_on(yard):
    wanted = [(await yard.runs.submit(REQUEST, None))[0].run_id for _ in range(3)]
    first = await yard("list", "--limit", "2", "--status", "scheduled")
    assert [line.split()[0] for line in first.out.splitlines()[1:3]] == [wanted[2], wanted[1]]
    assert "--cursor 1" in first.out
    second = json.loads((await yard("list", "--cursor", "1", "--json")).out)
    assert [run["run_id"] for run in second["runs"]] == [wanted[0]]


async def test_the_catalogue_is_shown_to_people_and_as_json(yard):
    assert "xgboost_classifier" in (await yard("models")).out
    assert "Gradient-boosted trees" in (await yard("models", "xgboost_classifier")).out
    assert (
        json.loads((await yard("models", "xgboost_classifier", "--json")).out)["task"]
        == "classification"
    )
    assert [each["name"] for each in json.loads((await yard("models", "--json")).out)] == [
        "xgboost_classifier"
    ]
    assert "builtin  iris" in (await yard("datasets")).out
    assert "iris" in {each["name"] for each in json.loads((await yard("datasets", "--json")).out)}


async def test_a_preview_shows_columns_and_what_to_read_before_training(yard):
    column = PreviewedColumn(
        name="price", type="number", stored="string", examples=["1,5"], missing=2, warnings=["odd"]
    )
    yard.runs.previewed = DataPreview(
        kind="table", columns=[column], rows_seen=10, about_rows=9_000, warnings=["written oddly"]
    )
    shown = (await yard("preview", "sales.csv")).out
    assert "price   number  2        1,5" in shown
    assert "The first 10 rows of about 9,000 were looked at." in shown
    assert "warning: written oddly\nwarning: odd\n" in shown
    as_json = await yard("preview", '{"source": "builtin", "name": "iris"}', "--json")
    assert DataPreview.model_validate_json(as_json.out) == yard.runs.previewed
    refused = await yard("preview", '{"source": "file"}')
    assert (refused.code, refused.err) == (2, "/data/uri: is required\n")


async def test_capacity_and_usage_are_shown(yard):
    assert json.loads((await yard("capacity", "--json")).out)["slots"]["total"] == 1
    assert json.loads((await yard("usage", "2026-11", "--json")).out)["usage"] == []


async def test_logs_are_printed_as_they_are(yard, tmp_path):
    run, _ = await yard.runs.submit(REQUEST, None)
    (tmp_path / f"{run.run_id}.log").write_text("[red]one\ntwo")
    assert (await yard("logs", run.run_id)).out == "[red]one\ntwo"
    assert (await yard("logs", run.run_id, "--tail", "1")).out == "two"


@pytest.mark.parametrize(
    ("variables", "said"),
    [
        ({"TRAINYARD_SLOTS": "-1"}, "TRAINYARD_SLOTS: '-1': "),
        ({"TRAINYARD_SLOTS": "-1", "TRAINYARD_QUEUE": "x"}, "\nTRAINYARD_QUEUE: 'x': "),
        ({"TRAINYARD_TOKEN_FILE": "/nowhere"}, "TRAINYARD_TOKEN_FILE cannot be read"),
        ({"TRAINYARD_HOST": "0.0.0.0"}, "set TRAINYARD_TOKEN"),
    ],
)
def test_settings_that_cannot_be_right_are_said_plainly(variables, said):
    done = program("serve", **variables)
    assert (done.code, said in f"\n{done.err}", "Traceback" in done.err) == (
        Exit.BAD_REQUEST,
        True,
        False,
    )


def test_the_help_documents_every_exit_code():
    said = " ".join(program("--help").out.split())
    assert EXIT_CODES in said
    assert all(f" {code:d} " in EXIT_CODES for code in Exit)


def test_the_program_starts_without_loading_a_server_library():
    unwanted = {"fastapi", "mlflow", "pandas", "numpy", "pydantic_settings"}
    code = "import sys, trainyard.cli; print(*sys.modules, sep='\\n')"
    done = subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True)
    assert unwanted.isdisjoint(done.stdout.split())
