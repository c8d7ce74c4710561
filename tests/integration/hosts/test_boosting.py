"""Runs on other hosts: a Ray cluster of network namespaces on this machine, real services, real kills, and cut lines."""

import json
import os
import signal
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest
from hosts_cluster import AT_ONCE, LONG_SECONDS, SHORT_SECONDS, Ground, Lab, called_so, program_of
from hosts_objects import objects_on
from searches import after_trials, nested, slow, trial_end
from servers import until
from several import ALIKE, alike, asked, log_of, none_is_left

ENDLESS = {"n_estimators": 100_000}
OF_RUNS = 500
"""What their processes say of themselves in `oom_score_adj`."""

pytestmark = pytest.mark.skipif(
    not program_of("boosting").exists(), reason="no Ray: make .venvs/boosting-ray/.ready"
)


@pytest.fixture(scope="module")
def lab(three_hosts: Ground) -> Iterator[Lab]:
    """A service that keeps checkpoints in an object store; those of networks are in a folder (`test_networks`)."""
    home = three_hosts.home / "boosting"
    home.mkdir()
    with (
        objects_on(three_hosts.front, home) as variables,
        three_hosts.serving("boosting", home, **variables, **AT_ONCE) as made,
    ):
        yield made


def test_a_run_trains_on_another_host_and_everything_of_it_is_here(lab: Lab):
    request = {
        "model": "xgboost_classifier",
        "data": {"source": "builtin", "name": "iris"},
        "params": {"n_estimators": 20},
        "register": {"name": f"on-hosts-{lab.home.name}", "alias": "challenger"},
    }
    run = lab.yard.ended(lab.yard.submit(request)["run_id"])
    assert run["status"] == "FINISHED", (run, lab.said())
    assert run["registered"]["version"] == "1"
    (place,) = run["placement"]
    assert place["address"] in {host.address for host in lab.hosts.values()}
    log = lab.yard.http.get(run["links"]["logs"]).text
    assert log.startswith(
        f"runs on {place['host']} ({place['address']}, node {place['node'][:12]})"
    )
    assert "train_log_loss" in {each["key"] for each in lab.yard.metrics_in_mlflow(run["run_id"])}
    tags = lab.yard._of_mlflow(run["run_id"])["data"]["tags"]
    assert place["address"] in {tag["key"]: tag["value"] for tag in tags}["trainyard.placement"]
    until(
        lambda: not [*lab.home.glob("[abc]/hosted/*/*/")],
        "the hosts to have kept nothing of the run",
    )


def test_runs_are_spread_and_what_all_hosts_have_is_told(lab: Lab):
    runs = [lab.counting() for _ in range(2)]
    assert len({lab.host_of(run_id) for run_id in runs}) == 2
    told = lab.yard.http.get("/capacity").json()
    assert told["slots"] == {"total": 6, "used": 2, "waited_for": 0}
    for run_id in runs:
        assert lab.yard.cancel(run_id)["status"] == "KILLED"
        until(lambda run_id=run_id: not lab.pids_of(run_id), "its process to be gone")


def test_beside_its_fork_server_a_host_has_an_actor_without_data_frames_and_no_idle_worker(
    lab: Lab,
):
    for host in lab.hosts.values():
        (actor,) = called_so(host, "ray::HostActor")
        assert "/pandas/" not in Path(f"/proc/{actor}/maps").read_text()
        its_own = [actor, *(each.pid for each in psutil.Process(actor).children())]
        scores = [int(Path(f"/proc/{pid}/oom_score_adj").read_text()) for pid in its_own]
        assert max(scores) < OF_RUNS, "where memory runs out the kernel ends a run before these"
        assert not called_so(host, "ray::IDLE")
    assert not lab.in_front("_private/monitor.py"), "nobody starts hosts"


def test_a_killed_process_fails_its_run_alone(lab: Lab):
    killed, other = lab.counting(), lab.counting()
    (pid,) = lab.pids_of(killed)
    os.kill(pid, signal.SIGKILL)
    run = lab.yard.ended(killed)
    assert (run["status"], run["reason"]) == ("FAILED", "killed_by_signal")
    lab.counts_on(other, lab.counts_on(other, 0))
    lab.yard.cancel(other)


def test_a_bridge_that_is_killed_ends_no_run_and_leaves_no_node(lab: Lab):
    run_id = lab.counting()
    pids = lab.pids_of(run_id)
    bridge, nodes = lab.in_front("trainyard.host.bridging"), len(lab.in_front("raylet/raylet"))
    os.kill(bridge[0], signal.SIGKILL)
    until(lambda: lab.in_front("trainyard.host.bridging") not in ([], bridge), "another bridge")
    lab.all_joined()
    lab.counts_on(run_id, lab.counts_on(run_id, 0))
    assert lab.pids_of(run_id) == pids
    until(lambda: len(lab.in_front("raylet/raylet")) == nodes, "the node of the first to end")
    lab.yard.cancel(run_id)


def test_a_cut_of_the_line_for_less_than_the_lease_ends_nothing(lab: Lab):
    run_id = lab.counting()
    name = lab.host_of(run_id)
    pids = lab.pids_of(run_id)
    lab.hosts[name].cut()
    until(lambda: lab.slots == 4, "one host to be missed")
    lab.hosts[name].mend()
    lab.all_joined()
    lab.counts_on(run_id, lab.counts_on(run_id, 0))
    assert lab.pids_of(run_id) == pids
    lab.yard.cancel(run_id)


def test_ranks_on_several_hosts_train_one_model_which_is_as_good_as_that_of_one(lab: Lab):
    """The tolerance is that of ranks on one host, where `test_workers` says why."""
    lab.with_lease(LONG_SECONDS)
    params = {"n_estimators": 60, "learning_rate": 0.1, "early_stopping_rounds": 10}
    wanted = [("xgboost_classifier", 1), ("xgboost_classifier", 2), ("xgboost_classifier", 3)]
    wanted += [("lightgbm_classifier", 1), ("lightgbm_classifier", 3)]
    asked_for = {
        (model, workers): lab.yard.submit(
            asked(model, workers=workers, data="breast_cancer", params=params)
        )["run_id"]
        for model, workers in wanted
    }
    runs = {each: lab.yard.ended(run_id) for each, run_id in asked_for.items()}
    for (model, workers), run in runs.items():
        assert run["status"] == "FINISHED", (run, log_of(lab.yard, run), lab.said())
        assert len(run["placement"]) == workers
        if workers == 1:
            continue
        alone = runs[model, 1]["metrics"]["test_log_loss"]
        assert run["metrics"]["test_log_loss"] == pytest.approx(alone, abs=0.05)
        assert alike(lab.yard, run) == set(range(workers))
    three = runs["xgboost_classifier", 3]
    assert len({place["address"] for place in three["placement"]}) == 3
    (uploaded,) = lab.ground.home.glob(f"artifacts/*/{three['run_id']}/artifacts/training.log")
    assert len(ALIKE.findall(uploaded.read_text())) == 3, "MLflow has what all ranks wrote"


def test_a_rank_that_is_killed_ends_the_others_and_the_run_goes_on(lab: Lab):
    request = asked("xgboost_classifier", workers=3, params=ENDLESS, max_attempts=2)
    run_id = lab.yard.submit(request)["run_id"]
    first = lab.ranks(run_id)
    os.kill(first[1], signal.SIGKILL)
    second = lab.ranks(run_id, attempt=2)
    assert none_is_left(first)
    said = [step["message"] for step in lab.yard.get(run_id)["transitions"] if step["message"]]
    place = lab.yard.get(run_id)["placement"][1]
    where = f"rank 1 of 3 on {place['host']} (10."
    assert any(where in each and "SIGKILL" in each for each in said), said
    os.kill(second[0], signal.SIGKILL)
    run = lab.yard.ended(run_id)
    assert (run["status"], run["reason"]) == ("FAILED", "killed_by_signal")
    assert run["message"].startswith("rank 0 of 3 on ")
    assert none_is_left(second)


@pytest.mark.parametrize("lost", ["ray", "line"])
def test_a_host_that_is_lost_with_a_rank_ends_the_others_and_the_run_goes_on_elsewhere(
    lab: Lab, lost: str
):
    lab.all_joined()
    request = asked("xgboost_classifier", params=ENDLESS, max_attempts=2)
    run_id = lab.yard.submit(request)["run_id"]
    ranks, name = lab.ranks(run_id), lab.hosts_of(run_id)[1]
    if lost == "ray":
        lab.kill_ray(name)
    else:
        until(lambda: lab.kept(run_id), "a checkpoint", explain=lab.said)
        lab.hosts[name].cut()
    until(lambda: none_is_left(ranks[:1]), "rank 0 to be ended", explain=lab.said)
    again = lab.ranks(run_id, attempt=2)
    assert name not in lab.hosts_of(run_id)
    said = [step["message"] for step in lab.yard.get(run_id)["transitions"] if step["message"]]
    assert any("rank 1 of 2: the host " in each and "was lost" in each for each in said), said
    lines = (lab.yard.folder(run_id) / "metrics.jsonl").read_text().split("\n")
    rounds = [json.loads(each)[0] for each in lines[:-1] if each]
    assert lost == "ray" or rounds.count(1) == 1, "it did not start anew"
    lab.yard.cancel(run_id)
    until(lambda: none_is_left(again), "the second attempt's ranks to be gone")
    until(lambda: not lab.kept(run_id), "its checkpoints to be removed")
    lab.back(name)


def test_a_link_between_two_hosts_that_is_cut_ends_the_ranks_that_need_it_and_both_are_avoided(
    lab: Lab,
):
    lab.all_joined()
    request = asked("xgboost_classifier", params=ENDLESS, max_attempts=2)
    run_id = lab.yard.submit(request)["run_id"]
    ranks, names = lab.ranks(run_id), lab.hosts_of(run_id)
    one, other = (lab.hosts[name] for name in names)
    one.cut_from(other)
    again = lab.ranks(run_id, attempt=2)
    one.mend_to(other)
    assert none_is_left(ranks)
    said = [step["message"] for step in lab.yard.get(run_id)["transitions"] if step["message"]]
    assert any("did not reach that of another rank" in each for each in said), said
    (third,) = lab.hosts.keys() - names
    assert lab.hosts_of(run_id) == [third, third], "it has room for both"
    lab.yard.cancel(run_id)
    until(lambda: none_is_left(again), "the second attempt's ranks to be gone")


@pytest.mark.parametrize(
    ("number", "lease_seconds"), [(signal.SIGTERM, LONG_SECONDS), (signal.SIGKILL, SHORT_SECONDS)]
)
def test_a_run_and_ranks_go_on_while_their_service_is_started_again(
    lab: Lab, number: signal.Signals, lease_seconds: int
):
    run_id = lab.counting()
    pids = lab.pids_of(run_id)
    together = lab.yard.submit(asked(workers=3, params={"rounds": 1_000_000}))["run_id"]
    ranks = lab.ranks(together)
    lab.yard.service.kill(number)
    assert lab.pids_of(run_id) == pids
    lab.start_service(lease_seconds=lease_seconds)
    for each in (run_id, together):
        lab.counts_on(each, lab.counts_on(each, 0))
    assert lab.pids_of(run_id) == pids
    assert lab.ranks(together) == ranks
    for each in (run_id, together):
        run = lab.yard.get(each)
        assert (run["status"], run["attempt"], run["phase"]) == ("RUNNING", 1, "training")
        assert lab.yard.cancel(each)["status"] == "KILLED"
    until(lambda: not lab.pids_of(run_id), "its process to be gone")
    until(lambda: none_is_left(ranks), "all ranks to be gone")
    lab.all_joined()


def test_a_host_whose_node_is_killed_loses_its_runs_and_a_search_goes_on_elsewhere(lab: Lab):
    lab.with_lease(SHORT_SECONDS)
    lab.all_joined()
    on = {lab.host_of(run_id): run_id for run_id in (lab.counting() for _ in "abc")}
    spread = slow(trials=6, parallel=2) | {"resources": {"workers": 2}, "max_attempts": 2}
    moves = lab.yard.submit(spread)["run_id"]  # beside two of them
    after_trials(lab.yard, moves, 1)
    until(lambda: lab.kept(f"{moves}/search"), "its study to be kept", explain=lab.said)
    name, _ = lab.hosts_of(moves)
    ends = on.pop(name)
    pids = {each: lab.pids_of(each) for each in (moves, ends)}
    lab.kill_ray(name)
    run = lab.yard.ended(ends)
    assert (run["status"], run["reason"]) == ("FAILED", "crashed")
    assert "was lost" in run["message"]
    assert none_is_left(pids[ends])
    until(lambda: none_is_left(pids[moves]), "the search's processes to be gone")
    run = lab.yard.ended(moves)
    assert (run["status"], run["attempt"]) == ("FINISHED", 2), (run, lab.said())
    said = [step["message"] for step in run["transitions"] if step["message"]]
    assert any("goes on from the newest" in each for each in said), said
    counted = [each for each in nested(lab.yard, run) if not trial_end(each).startswith("lost")]
    assert len(counted) == run["searched"]["trials"] == 6
    assert len({each["tags"]["trainyard.trial"] for each in counted}) == 6
    assert {each["tags"]["trainyard.rank"] for each in counted} == {"0", "1"}
    assert {name, *lab.hosts_of(moves)} == {"a", "b", "c"}
    assert [lab.yard.get(stays)["attempt"] for stays in on.values()] == [1, 1]
    for run_id in on.values():
        lab.yard.cancel(run_id)


def test_a_cut_of_the_line_for_longer_than_the_lease_moves_the_run(lab: Lab):
    """Two hosts do, and none is brought back: no later test needs more."""
    lab.with_lease(SHORT_SECONDS)
    run_id = lab.counting(max_attempts=2)
    name = lab.host_of(run_id)
    (pid,) = lab.pids_of(run_id)
    lab.hosts[name].cut()
    until(lambda: lab.yard.get(run_id)["attempt"] == 2, "another attempt", explain=lab.said)
    assert not psutil.pid_exists(pid), "no two processes of a run at once"
    lab.counts_on(run_id, 0)
    assert lab.host_of(run_id) != name
    said = [each["message"] or "" for each in lab.yard.get(run_id)["transitions"]]
    assert any("was lost" in each and "goes on from the newest" in each for each in said), said
    lab.yard.cancel(run_id)
    lab.hosts[name].mend()


def test_nobody_joins_without_the_clusters_token(lab: Lab):
    place = lab.hosts["a"]
    stranger = lab.environment | {"RAY_AUTH_TOKEN": "guessed"}
    process = place.start([lab.program, "join"], stranger, lab.home / "stranger.log")
    said = lab.home / "stranger.log"
    until(lambda: "InvalidAuthToken" in said.read_text(), "a refusal", explain=said.read_text)
    os.killpg(process.pid, signal.SIGKILL)
