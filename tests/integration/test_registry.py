"""The registry against a real MLflow server: one version a run, promotion by a metric, and the way back."""

import contextlib
import json
import socket
import subprocess
import sys
import threading
import uuid
from collections import Counter
from datetime import UTC, datetime, timedelta

import pytest
import requests

pytest.importorskip("mlflow")

from mlflow import MlflowClient
from mlflow.exceptions import MlflowException
from mlflow.protos.databricks_pb2 import PERMISSION_DENIED
from servers import free_port, until
from trainyard.contract import OnIncomparable, Promote, Promotion, Register, Rollback, When
from trainyard.errors import CannotPromote, ChampionChanged, RegistryConflict
from trainyard.registry import mlflow_registry as registry
from trainyard.registry.asked import promote_when_asked
from trainyard.registry.judged import kept
from trainyard.registry.listing import versions_of
from trainyard.registry.notes import foreseen
from trainyard.registry.promotion import Decision, Interval, Judgement
from trainyard.registry.turn import Turn
from trainyard.tracking.availability import is_away
from trainyard.worker.holders import Holders

RULE = Promote(metric="test_auc")
SPLIT = '{"test_size":0.2}'
RACERS = """
import sys, time
from pathlib import Path
from mlflow import MlflowClient
from trainyard.registry import mlflow_registry as registry
from trainyard.contract import Promote

uri, locks, gate, me, *pairs = sys.argv[1:]
client = MlflowClient(uri)
client.search_registered_models()
(Path(gate) / me).touch()
while not (Path(gate) / "go").exists():
    time.sleep(0.001)
for pair in pairs:
    name, version = pair.split(":")
    registry.promote(client, name=name, version=version, rule=Promote(metric="test_auc"), locks=Path(locks))
"""


@pytest.fixture
def uri(mlflow_server):
    return mlflow_server.url


@pytest.fixture
def client(uri):
    return MlflowClient(uri)


@pytest.fixture
def locks(tmp_path):
    return tmp_path / "locks"


@pytest.fixture
def name():
    return f"model {uuid.uuid4().hex[:8]}"


def trained(client, auc=None, *, digest="d1", split=SPLIT):
    """A run with its tags and test metric, and the URI of the model it logged."""
    marks = {
        "trainyard.data_digest": digest,
        "trainyard.split": split,
        "trainyard.test_rows": "50",
    }
    run_id = client.create_run(
        "0", tags={key: value for key, value in marks.items() if value}
    ).info.run_id
    if auc is not None:
        client.log_metric(run_id, "test_auc", auc)
    model = client.create_logged_model("0", name="model", source_run_id=run_id)
    return run_id, client.finalize_logged_model(model.model_id, "READY").model_uri


def registered(client, name, auc=None, **marks):
    run_id, model_uri = trained(client, auc, **marks)
    return registry.register(client, name=name, model_uri=model_uri, run_id=run_id, tags={})


def promoted(client, name, auc, locks, **marks):
    version = registered(client, name, auc, **marks)
    assert registry.promote(client, name=name, version=version, rule=RULE, locks=locks).promoted
    return version


def champion(client, name):
    return client.get_registered_model(name).aliases.get("champion")


def noted(client, name, version):
    prefix = "trainyard.promotion."
    tags = client.get_model_version(name, version).tags
    return {
        key.removeprefix(prefix): value for key, value in tags.items() if key.startswith(prefix)
    }


def test_registering_a_run_twice_makes_one_version(client, name):
    run_id, model_uri = trained(client, 0.9)
    versions = {
        registry.register(client, name=name, model_uri=model_uri, run_id=run_id, tags={"a": "b"})
        for _ in range(2)
    }
    found = client.search_model_versions(f"name = '{name}'")
    assert versions == {"1"}
    assert [(str(each.version), each.run_id, each.source, each.tags) for each in found] == [
        ("1", run_id, model_uri, {"a": "b"})
    ]


def test_a_run_may_be_a_version_of_two_registered_models(client, name):
    run_id, model_uri = trained(client, 0.9)
    for each in (name, f"{name}-too"):
        assert (
            registry.register(client, name=each, model_uri=model_uri, run_id=run_id, tags={}) == "1"
        )


def test_a_run_that_registers_again_does_not_take_its_alias_back(client, name, locks):
    """As one that was killed before its end, and goes on after another run took the alias."""
    runs, request = [trained(client, 0.9) for _ in range(2)], Register(name=name, alias="newest")
    for run_id, model_uri in (*runs, runs[0]):
        made = registry.register_run(
            client, run_id=run_id, model_uri=model_uri, request=request, locks=locks, tags={}
        )
    assert (made.version, made.aliases) == ("1", [])
    assert client.get_registered_model(name).aliases == {"newest": "2"}
    registry.rollback(client, name=name, word=Rollback(alias="newest"), locks=locks)
    assert client.get_registered_model(name).aliases == {"newest": "1"}


def test_a_source_that_is_no_logged_model_is_registered_as_it_is(client, name):
    run_id, _ = trained(client, 0.9)
    source = client.get_run(run_id).info.artifact_uri + "/model"
    version = registry.register(client, name=name, model_uri=source, run_id=run_id, tags={})
    assert client.get_model_version(name, version).source == source


def test_an_answer_lost_on_the_way_makes_no_second_version(uri, client, name, monkeypatch):
    monkeypatch.setenv("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "2")
    monkeypatch.setenv("MLFLOW_HTTP_REQUEST_BACKOFF_FACTOR", "0")
    run_id, model_uri = trained(client, 0.9)
    with Forgetful(uri, b"POST /api/2.0/mlflow/model-versions/create") as between:
        version = registry.register(
            MlflowClient(between.uri), name=name, model_uri=model_uri, run_id=run_id, tags={}
        )
    assert between.lost == 1
    assert version == "1"
    assert [str(each.version) for each in client.search_model_versions(f"name = '{name}'")] == ["1"]


def test_the_first_version_becomes_champion(client, name, locks):
    version = promoted(client, name, 0.7, locks)
    assert champion(client, name) == version
    note = noted(client, name, version)
    assert note.pop("at")
    assert {key: value for key, value in note.items() if value} == {
        "alias": "champion",
        "metric": "test_auc",
        "value": "0.7",
        "test_rows": "50",
        "decision": "promoted: nobody held 'champion'; test_auc is 0.7 on 50 test rows",
    }


@pytest.mark.parametrize(
    "case",
    [
        (RULE, 0.7, 0.8, True),
        (RULE, 0.8, 0.7, False),
        (RULE, 0.8, 0.8, False),
        (Promote(metric="test_auc", greater_is_better=False), 0.8, 0.7, True),
        (Promote(metric="test_auc", greater_is_better=False), 0.7, 0.8, False),
        (Promote(metric="test_auc", min_delta=0.05), 0.7, 0.74, False),
        (Promote(metric="test_auc", min_delta=0.05), 0.7, 0.76, True),
        (Promote(metric="test_auc", greater_is_better=False, min_delta=0.05), 0.7, 0.66, False),
    ],
)
def test_the_better_of_two_is_champion_and_the_decision_is_noted(client, name, locks, case):
    rule, before, after, wins = case
    first = promoted(client, name, before, locks)
    second = registered(client, name, after)
    decision = registry.promote(client, name=name, version=second, rule=rule, locks=locks)
    assert decision.promoted is wins
    assert champion(client, name) == (second if wins else first)
    note = noted(client, name, second)
    assert note["decision"] == decision.text
    assert decision.text.startswith("promoted" if wins else "not promoted")
    assert (note["champion_version"], float(note["value"]), float(note["champion_value"])) == (
        first,
        after,
        before,
    )


@pytest.mark.parametrize(
    "marks", [{"digest": "d2"}, {"split": "other"}, {"digest": None}, {"split": None}]
)
def test_a_better_version_on_other_data_or_another_split_is_not_promoted(
    client, name, locks, marks
):
    first = promoted(client, name, 0.7, locks)
    second = registered(client, name, 0.9, **marks)
    decision = registry.promote(client, name=name, version=second, rule=RULE, locks=locks)
    tag = "trainyard.data_digest" if "digest" in marks else "trainyard.split"
    assert not decision.promoted
    assert tag in decision.text
    assert noted(client, name, second)["decision"] == decision.text
    assert champion(client, name) == first


def test_two_runs_that_both_lack_a_digest_are_not_taken_for_the_same_data(client, name, locks):
    first = promoted(client, name, 0.7, locks, digest=None)
    second = registered(client, name, 0.9, digest=None)
    assert not registry.promote(client, name=name, version=second, rule=RULE, locks=locks).promoted
    assert champion(client, name) == first


@pytest.mark.parametrize("auc", [None, float("nan")])
def test_a_version_without_the_metric_is_not_promoted_even_if_nobody_is_champion(
    client, name, locks, auc
):
    version = registered(client, name, auc)
    decision = registry.promote(client, name=name, version=version, rule=RULE, locks=locks)
    assert not decision.promoted
    assert f"version {version} has no metric test_auc" in decision.text
    assert champion(client, name) is None


def test_a_champion_without_the_metric_is_not_replaced(client, name, locks):
    first = registered(client, name)
    registry.set_alias(client, name=name, alias="champion", version=first, locks=locks)
    second = registered(client, name, 0.9)
    decision = registry.promote(client, name=name, version=second, rule=RULE, locks=locks)
    assert not decision.promoted
    assert "its run has no metric test_auc" in decision.text


def test_promoting_the_champion_again_changes_nothing(client, name, locks):
    promoted(client, name, 0.7, locks)
    version = promoted(client, name, 0.8, locks)
    before = client.get_registered_model(name).tags, noted(client, name, version)
    decision = registry.promote(client, name=name, version=version, rule=RULE, locks=locks)
    assert decision.promoted
    assert decision.text == before[1]["decision"]
    assert (client.get_registered_model(name).tags, noted(client, name, version)) == before
    assert champion(client, name) == version


def test_a_champion_that_another_has_replaced_is_told_again_what_was_decided(client, name, locks):
    """As its run is that goes on after its service was killed: it does not compete with who came after it."""
    first = promoted(client, name, 0.7, locks)
    before = noted(client, name, first)
    second = promoted(client, name, 0.8, locks)
    decision = registry.promote(client, name=name, version=first, rule=RULE, locks=locks)
    assert (decision.promoted, decision.text) == (True, before["decision"])
    assert noted(client, name, first) == before
    assert champion(client, name) == second


def test_a_champion_by_hand_stays_champion_when_it_is_promoted(client, name, locks):
    version = registered(client, name)
    client.set_registered_model_alias(name, "champion", version)
    assert registry.promote(client, name=name, version=version, rule=RULE, locks=locks).promoted
    assert "already holds" in noted(client, name, version)["decision"]


def test_of_two_racing_promotions_the_better_ends_as_champion(uri, client, locks, tmp_path):
    """Eight races between two processes; which of them brings the better version alternates."""
    pairs = {"one": [], "two": []}
    better = {}
    for race in range(8):
        name = f"race-{uuid.uuid4().hex[:8]}"
        low, high = registered(client, name, 0.8), registered(client, name, 0.9)
        better[name] = high
        for racer, version in zip(
            ("one", "two"), (low, high) if race % 2 else (high, low), strict=True
        ):
            pairs[racer].append(f"{name}:{version}")
    racers = [
        subprocess.Popen(
            [sys.executable, "-c", RACERS, uri, str(locks), str(tmp_path), racer, *mine]
        )
        for racer, mine in pairs.items()
    ]
    try:
        until(lambda: all((tmp_path / racer).exists() for racer in pairs), "both to be ready")
        (tmp_path / "go").touch()
        assert [racer.wait(90) for racer in racers] == [0, 0]
    finally:
        for racer in racers:
            racer.kill()
    assert {name: champion(client, name) for name in better} == better


def test_two_rollbacks_go_back_two_champions_and_a_third_says_there_is_none(client, name, locks):
    one, two, three = (promoted(client, name, auc, locks) for auc in (0.7, 0.8, 0.9))
    assert json.loads(client.get_registered_model(name).tags["trainyard.previous.champion"]) == [
        one,
        two,
    ]
    for expected in (two, one):
        assert (
            registry.rollback(client, name=name, word=Rollback(), locks=locks).version == expected
        )
        assert champion(client, name) == expected
    with pytest.raises(
        RegistryConflict,
        match=f"'{name}' has no earlier holder of 'champion' to roll back to; version {one} holds it",
    ):
        registry.rollback(client, name=name, word=Rollback(), locks=locks)
    assert registry.promote(client, name=name, version=three, rule=RULE, locks=locks).promoted
    assert registry.rollback(client, name=name, word=Rollback(), locks=locks).version == one


def test_a_rollback_says_who_asked_on_the_version_that_lost_the_alias(client, name, locks):
    one, two = (promoted(client, name, auc, locks) for auc in (0.7, 0.8))
    word = Rollback(by="anna", comment="slow at night")
    found = registry.rollback(client, name=name, locks=locks, word=word)
    said = (
        f"rolled back: version {one} holds 'champion' again, and version {two} does not any more;"
        " asked for by anna (slow at night)"
    )
    assert (found.version, found.aliases, found.decision) == (one, ["champion"], said)
    assert client.get_model_version(name, two).tags["trainyard.rollback.champion"] == said


def test_a_rollback_whose_answer_was_lost_goes_back_once(client, name, locks):
    _, two, three = (promoted(client, name, auc, locks) for auc in (0.7, 0.8, 0.9))
    turn = Turn(name=name, version=two, holder=three, back=Rollback())
    answers = [registry.taken(client, turn, locks=locks) for _ in range(2)]
    assert answers[0] == answers[1]
    assert champion(client, name) == two


def test_a_rollback_leaves_an_alias_alone_that_moved_meanwhile(client, name, locks):
    one, two = (promoted(client, name, auc, locks) for auc in (0.7, 0.8))

    def late(turn: Turn) -> Decision:
        promoted(client, name, 0.9, locks)
        return registry.taken(client, turn, locks=locks)

    with pytest.raises(RegistryConflict, match="moved while it was to be rolled back"):
        registry.rollback(client, name=name, word=Rollback(), locks=locks, turns=late)
    assert champion(client, name) not in {one, two}


def test_a_rollback_passes_over_a_version_deleted_since(client, name, locks):
    one, two, _ = (promoted(client, name, auc, locks) for auc in (0.7, 0.8, 0.9))
    client.delete_model_version(name, two)
    assert registry.rollback(client, name=name, word=Rollback(), locks=locks).version == one


def test_a_rollback_goes_to_another_version_than_the_one_that_holds_the_alias(client, name, locks):
    one, two = (promoted(client, name, auc, locks) for auc in (0.7, 0.8))
    registry.rollback(client, name=name, word=Rollback(), locks=locks)
    client.set_registered_model_tag(name, "trainyard.previous.champion", json.dumps([one, two]))
    client.delete_model_version(name, two)
    with pytest.raises(RegistryConflict, match=f"no earlier holder.*version {one} holds it now"):
        registry.rollback(client, name=name, word=Rollback(), locks=locks)


def test_a_rollback_that_names_who_is_to_lose_the_alias_goes_back_once(client, name, locks):
    one, two, three = (promoted(client, name, auc, locks) for auc in (0.7, 0.8, 0.9))
    word = Rollback(holder=three)
    assert registry.rollback(client, name=name, word=word, locks=locks).version == two
    with pytest.raises(RegistryConflict, match=r"held by version 2, and version 3 was to lose it"):
        registry.rollback(client, name=name, word=word, locks=locks)
    assert champion(client, name) == two
    word = Rollback(holder=two)
    assert registry.rollback(client, name=name, word=word, locks=locks).version == one


def test_a_version_that_has_its_alias_again_does_not_say_that_it_was_rolled_back(
    client, name, locks
):
    one, two = (promoted(client, name, auc, locks) for auc in (0.7, 0.8))
    registry.rollback(client, name=name, word=Rollback(), locks=locks)
    said = {each.version: each.rolled_back for each in versions_of(client, name)}
    assert said[one] is None
    assert said[two].startswith(f"rolled back: version {one} holds 'champion' again")
    client.set_registered_model_alias(name, "champion", two)
    assert {each.rolled_back for each in versions_of(client, name)} == {None}


def test_a_version_that_won_its_alias_again_and_lost_it_to_a_better_one_was_not_rolled_back(
    client, name, locks
):
    _, two = (promoted(client, name, auc, locks) for auc in (0.7, 0.8))
    registry.rollback(client, name=name, word=Rollback(), locks=locks)
    assert ask(client, name, two, locks).promoted is True
    promoted(client, name, 0.9, locks)
    assert {each.rolled_back for each in versions_of(client, name)} == {None}


@pytest.mark.parametrize("text", ["2", "version 1", '{"1": 2}'])
def test_a_history_that_somebody_wrote_otherwise_is_begun_anew(client, name, locks, text):
    promoted(client, name, 0.9, locks)
    client.set_registered_model_tag(name, "trainyard.previous.champion", text)
    with pytest.raises(RegistryConflict, match="no earlier holder"):
        registry.rollback(client, name=name, word=Rollback(), locks=locks)
    promoted(client, name, 0.95, locks)
    assert champion(client, name) == "2"
    assert registry.rollback(client, name=name, word=Rollback(), locks=locks).version == "1"


def test_a_note_that_somebody_wrote_otherwise_is_left_out_of_the_list(client, name, locks):
    promoted(client, name, 0.9, locks)
    client.set_model_version_tag(name, "1", "trainyard.promotion.at", "yesterday")
    [version] = versions_of(client, name)
    assert (version.decided_at, version.value) == (None, 0.9)


def test_a_move_that_died_between_its_two_writes_costs_no_rollback(client, name, locks):
    one, two = (promoted(client, name, auc, locks) for auc in (0.7, 0.8))
    client.set_registered_model_tag(name, "trainyard.previous.champion", json.dumps([one, two]))
    assert registry.rollback(client, name=name, word=Rollback(), locks=locks).version == one


def test_a_registered_run_has_its_version_alias_and_decision_and_again_gives_the_same(
    client, name, locks
):
    promoted(client, name, 0.7, locks)
    run_id, model_uri = trained(client, 0.9)
    request = Register(name=name, alias="challenger", promote=RULE)
    first, second = (
        registry.register_run(
            client,
            run_id=run_id,
            model_uri=model_uri,
            request=request,
            locks=locks,
            tags={"trainyard.run_id": run_id},
        )
        for _ in range(2)
    )
    assert first == second
    assert (first.version, first.aliases, first.promoted) == ("2", ["challenger", "champion"], True)
    assert first.decision == (
        "promoted: test_auc is 0.9 on 50 test rows, and version 1 has 0.7 on the same rows"
        " (difference +0.2)"
    )
    assert client.get_model_version(name, "2").tags["trainyard.run_id"] == run_id


def test_a_version_that_comes_with_what_was_foreseen_costs_mlflow_one_tag(
    client, name, locks, monkeypatch
):
    promoted(client, name, 0.7, locks)
    run_id, model_uri = trained(client, 0.9)
    judgement, asked = Judgement("1", 0.7, seen=0), []
    send = requests.Session.request

    def counted(self, method, url, *arguments, **named):
        asked.append(url.partition("/mlflow/")[2])
        return send(self, method, url, *arguments, **named)

    monkeypatch.setattr(requests.Session, "request", counted)
    found = registry.register_run(
        client,
        run_id=run_id,
        model_uri=model_uri,
        request=Register(name=name, promote=RULE),
        locks=locks,
        tags=foreseen(RULE, 0.9, 50, judgement),
        judge=lambda _: judgement,
        holder=client.get_model_version(name, "1"),
    )
    asked_for = Counter(asked)
    assert asked_for["model-versions/set-tag"] == 1
    assert asked_for["model-versions/get"] == 2, "the holder, and how the version stands in the end"
    assert not {"runs/get", "registered-models/create"} & asked_for.keys()
    assert found.promoted
    note = noted(client, name, "2")
    assert [note[each] for each in ("value", "champion_value", "decision")] == [
        "0.9",
        "0.7",
        found.decision,
    ]
    assert datetime.now(UTC) - datetime.fromisoformat(note["at"]) < timedelta(minutes=1)


def test_an_alias_that_is_also_promoted_to_is_won_not_given(client, name, locks):
    first = promoted(client, name, 0.9, locks)
    run_id, model_uri = trained(client, 0.7)
    request = Register(name=name, alias="champion", promote=RULE)
    outcome = registry.register_run(
        client, run_id=run_id, model_uri=model_uri, request=request, locks=locks, tags={}
    )
    assert (outcome.promoted, outcome.aliases) == (False, [])
    assert champion(client, name) == first


def test_what_mlflow_refuses_is_a_conflict_that_says_what_was_done(client, name, locks):
    version = registered(client, name, 0.9)
    with pytest.raises(
        RegistryConflict,
        match=f"giving 'my champion' of '{name}' to version {version}: .*alphanumerics",
    ):
        registry.set_alias(client, name=name, alias="my champion", version=version, locks=locks)
    with pytest.raises(RegistryConflict, match="promoting version 99"):
        registry.promote(client, name=name, version="99", rule=RULE, locks=locks)
    with pytest.raises(RegistryConflict, match="no such model"):
        registry.rollback(client, name="no such model", word=Rollback(), locks=locks)


def test_an_mlflow_that_does_not_answer_raises_as_it_is(locks, monkeypatch):
    monkeypatch.setenv("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "0")
    nobody = MlflowClient(f"http://127.0.0.1:{free_port()}")
    with pytest.raises(MlflowException) as raised:
        registry.register_run(
            nobody,
            run_id="r",
            model_uri="models:/m-1",
            request=Register(name="x"),
            locks=locks,
            tags={},
        )
    assert is_away(raised.value)


def test_a_name_of_any_kind_is_locked_by_a_file_inside_the_folder(client, locks):
    with pytest.raises(RegistryConflict):
        registry.set_alias(
            client, name="../../etc/passwd", alias="champion", version="1", locks=locks
        )
    assert [each.suffix for each in locks.iterdir()] == [".lock"]


class Forgetful:
    """A TCP hop to the server that loses the answer to the first request that starts with `victim`."""

    def __init__(self, uri, victim):
        self._target = int(uri.rsplit(":", 1)[1])
        self._victim = victim
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.uri = f"http://127.0.0.1:{self._listener.getsockname()[1]}"
        self.lost = 0

    def __enter__(self):
        threading.Thread(target=self._accept, daemon=True).start()
        return self

    def __exit__(self, *_):
        self._listener.close()

    def _accept(self):
        while True:
            try:
                near, _ = self._listener.accept()
            except OSError:
                return
            far = socket.create_connection(("127.0.0.1", self._target))
            losing = threading.Event()
            threading.Thread(target=self._ask, args=(near, far, losing), daemon=True).start()
            threading.Thread(target=self._answer, args=(near, far, losing), daemon=True).start()

    def _ask(self, near, far, losing):
        while data := receive(near):
            if data.startswith(self._victim) and not self.lost:
                self.lost += 1
                losing.set()
            far.sendall(data)
        hang_up(far)

    def _answer(self, near, far, losing):
        while data := receive(far):
            if losing.is_set():
                break
            near.sendall(data)
        hang_up(near)


def receive(end):
    try:
        return end.recv(65536)
    except OSError:
        return b""


def hang_up(end):
    """Ends the connection although another thread waits on it, which `close` alone would not."""
    with contextlib.suppress(OSError):
        end.shutdown(socket.SHUT_RDWR)


# Asked for later

ASKED = Promote(metric="test_auc", when=When.ASKED)
ELSEWHERE = {"digest": "this week"}


def waiting(  # noqa: PLR0913 - each by name
    client, name, auc, locks, *, found=None, rule=ASKED, **marks
):
    """A version whose run has judged the holder, with what it found of it, and that waits to be asked for."""
    version = registered(client, name, auc, **marks)

    def judge(holder):
        return Judgement(str(holder.version), found, Interval(0.01, 0.2, 0.95), seen=0)

    before = champion(client, name)
    decision = registry.promote(
        client, name=name, version=version, rule=rule, locks=locks, judge=judge
    )
    assert (decision.promoted, champion(client, name)) == (None, before)
    assert noted(client, name, version)["decision"].startswith("not decided yet: ")
    return version


def ask(client, name, version, locks, **word):
    return promote_when_asked(
        client, name=name, version=version, word=Promotion(**word), locks=locks
    )


def test_who_is_asked_decides_by_what_the_run_found_though_the_runs_were_of_other_data(
    client, name, locks
):
    first = promoted(client, name, 0.9, locks)
    for auc, wins in ((0.79, False), (0.81, True)):
        version = waiting(client, name, auc, locks, found=0.8, **ELSEWHERE)
        answer = ask(client, name, version, locks)
        assert (answer.promoted, answer.version) == (wins, version)
        assert answer.aliases == (["champion"] if wins else [])
        assert champion(client, name) == (version if wins else first)
        note = noted(client, name, version)
        assert note["decision"] == answer.decision
        assert (note["champion_value"], note["difference_low"]) == ("0.8", "0.01")
    assert ask(client, name, version, locks).decision == answer.decision
    assert registry.rollback(client, name=name, word=Rollback(), locks=locks).version == first


def test_a_holder_that_came_later_is_compared_where_the_rows_are_the_same(client, name, locks):
    promoted(client, name, 0.5, locks)
    better, worse = (waiting(client, name, auc, locks, found=0.5) for auc in (0.9, 0.8))
    assert ask(client, name, better, locks).promoted is True
    answer = ask(client, name, worse, locks)
    assert (answer.promoted, champion(client, name)) == (False, better)
    assert f"version {better} has 0.9 on the same rows" in answer.decision


@pytest.mark.parametrize(
    ("marks", "rule"),
    [
        (ELSEWHERE, ASKED),
        ({}, Promote(metric="test_auc", when=When.ASKED, confidence=0.9)),
        ({}, Promote(metric="test_auc", when=When.ASKED, max_drift=0.2)),
    ],
)
def test_a_holder_that_came_later_and_cannot_be_compared_moves_nothing(
    client, name, locks, marks, rule
):
    version = waiting(client, name, 0.9, locks, rule=rule, **marks)
    before = noted(client, name, version)
    holder = promoted(client, name, 0.5, locks)
    with pytest.raises(ChampionChanged, match=f"version {holder} holds 'champion'"):
        ask(client, name, version, locks)
    assert (champion(client, name), noted(client, name, version)) == (holder, before)


def test_a_holder_that_the_run_could_not_compare_is_compared_when_it_is_asked(client, name, locks):
    """By what both runs have recorded, where it does: a peer was away, say, and may be there now."""
    away = Judgement("1", incomparable="the service pytorch does not answer")
    promoted(client, name, 0.5, locks)
    for marks in ({}, ELSEWHERE):
        version = registered(client, name, 0.9, **marks)
        registry.promote(
            client, name=name, version=version, rule=ASKED, locks=locks, judge=lambda _: away
        )
    with pytest.raises(ChampionChanged, match="the service pytorch does not answer") as raised:
        ask(client, name, "3", locks)
    assert (raised.value.holder, raised.value.known) == ("1", away)
    answer = ask(client, name, "2", locks)
    assert (answer.promoted, champion(client, name)) == (True, "2")
    assert "version 1 has 0.5 on the same rows" in answer.decision


def test_a_run_that_mlflow_does_not_show_is_a_conflict_and_no_fault_of_the_service(
    client, name, locks, monkeypatch
):
    promoted(client, name, 0.5, locks)
    version = waiting(client, name, 0.9, locks, found=0.5)

    def hidden(*_):
        raise MlflowException("Permission denied", error_code=PERMISSION_DENIED)

    with pytest.raises(RegistryConflict, match=r"promoting version 2.*denied"):
        registry.promote(client, name=name, version=version, rule=RULE, locks=locks, judge=hidden)
    monkeypatch.setattr(client, "get_run", hidden)
    with pytest.raises(RegistryConflict, match=r"reading the run of version 2.*denied"):
        ask(client, name, version, locks)
    assert champion(client, name) == "1"


def test_what_is_rejected_says_so_and_can_be_approved_after_all(client, name, locks):
    first = promoted(client, name, 0.5, locks)
    version = waiting(client, name, 0.9, locks, found=0.5)
    answer = ask(client, name, version, locks, approved=False, by="anna", comment="holidays")
    assert (answer.promoted, champion(client, name)) == (False, first)
    assert answer.decision.startswith("not promoted: rejected by anna (holidays); test_auc is 0.9")
    assert noted(client, name, version)["decision"] == answer.decision
    approved = ask(client, name, version, locks, by="bert")
    assert approved.promoted is True
    assert approved.decision.endswith("; asked for by bert")
    with pytest.raises(CannotPromote, match="holds 'champion' already"):
        ask(client, name, version, locks, approved=False)


def test_a_run_that_is_taken_up_again_is_not_compared_with_itself(client, name, locks):
    """It was killed after it had become champion, and before it had ended."""
    version = promoted(client, name, 0.9, locks)
    run_id = client.get_model_version(name, version).run_id
    for own, found in ((run_id, None), (None, version), ("another", version)):
        holders = Holders(
            client, patience_seconds=1, answers=lambda: True, say=lambda _: None, own=own
        )
        holder = holders.saying(print).holder(name, "champion")
        assert (holder and str(holder.version)) == found


def test_a_rejection_takes_its_turn_where_all_promotions_take_theirs(client, name, locks, tmp_path):
    """At the service that decides for all, whose locks are its own; and by its rule nothing would move either."""
    version, turns = waiting(client, name, 0.9, locks), []

    def decider(turn):
        turns.append(Turn.model_validate_json(turn.model_dump_json(exclude_unset=True)))
        return registry.taken(client, turns[-1], locks=tmp_path / "of the decider")

    word = Promotion(approved=False, by="anna")
    answer = promote_when_asked(
        client, name=name, version=version, word=word, locks=locks, turns=decider
    )
    assert answer.decision.startswith("not promoted: rejected by anna; nobody held 'champion'")
    assert noted(client, name, version)["decision"] == answer.decision
    assert [(turn.word, turn.rule.when) for turn in turns] == [(word, When.ASKED)]
    assert any((tmp_path / "of the decider").iterdir())


def test_a_version_that_was_never_judged_or_whose_judgement_was_changed_is_not_promoted(
    client, name, locks
):
    version = registered(client, name, 0.9)
    with pytest.raises(CannotPromote, match="was not judged"):
        ask(client, name, version, locks)
    for broken in ("{", "[]", "{}", '{"rule": {"metric": "x"}, "judgement": null}'):
        client.set_model_version_tag(name, version, "trainyard.judged.champion", broken)
        with pytest.raises(CannotPromote, match="not as its run wrote it"):
            ask(client, name, version, locks)
    client.delete_model_version(name, version)
    with pytest.raises(RegistryConflict):
        ask(client, name, version, locks)
    assert champion(client, name) is None


def test_a_judgement_survives_its_tag(client, name, locks):
    promoted(client, name, 0.5, locks)
    version = registered(client, name, 0.9)
    rule = Promote(
        metric="test_auc", when=When.ASKED, max_drift=0.25, on_incomparable=OnIncomparable.PROMOTE
    )
    whole = Judgement(
        "1", 0.5, Interval(0.1, 0.2, 0.95), seen=3, max_drift=float("inf"), breaks=("a", "b")
    )
    registry.promote(
        client, name=name, version=version, rule=rule, locks=locks, judge=lambda _: whole
    )
    case = kept(client.get_model_version(name, version))
    assert (case.rule, case.judgement) == (rule, whole)
