"""Networks that ranks on two hosts train together: as good as by one, the same on both, and ended as one."""

import json
import os
import re
import signal
from collections.abc import Iterator

import pytest
from hosts_cluster import AT_ONCE, Ground, Lab, program_of
from servers import until
from several import alike, asked, log_of, none_is_left

FRAMEWORKS = [
    pytest.param(
        name,
        marks=pytest.mark.skipif(
            not program_of(name).exists(), reason=f"no Ray: make .venvs/{name}-ray/.ready"
        ),
    )
    for name in ("pytorch", "tensorflow")
]
ENDLESS = {"epochs": 10_000, "hidden_units": [32]}


@pytest.fixture(scope="module", params=FRAMEWORKS)
def lab(request: pytest.FixtureRequest, three_hosts: Ground) -> Iterator[Lab]:
    with three_hosts.serving(
        request.param, three_hosts.home / request.param, "ab", **AT_ONCE
    ) as made:
        yield made


def epochs(lab: Lab, run_id: str) -> list[int]:
    """Those that the run has reported, of all attempts."""
    lines = (lab.yard.folder(run_id) / "metrics.jsonl").read_text().split("\n")
    return [json.loads(each)[0] for each in lines[:-1] if each]


def test_two_hosts_train_one_network_which_is_as_good_as_that_of_one(lab: Lab) -> None:
    """The tolerance is that of two ranks on one host, where `test_workers_networks` says why."""
    params = {"hidden_units": [64], "epochs": 6, "batch_size": 64}
    runs = [asked("mlp", workers=workers, data="digits", params=params) for workers in (1, 2)]
    submitted = [lab.yard.submit(run)["run_id"] for run in runs]
    alone, both = (lab.yard.ended(run_id) for run_id in submitted)
    assert (alone["status"], both["status"]) == ("FINISHED", "FINISHED"), (both, lab.said())
    accuracy = alone["metrics"]["test_accuracy"]
    assert both["metrics"]["test_accuracy"] == pytest.approx(accuracy, abs=0.03)
    assert alike(lab.yard, both) == {0, 1}
    assert len({place["address"] for place in both["placement"]}) == 2


def test_a_killed_rank_ends_the_other_and_so_does_a_cut_link_once_the_run_has_gone_on(
    lab: Lab,
) -> None:
    request = asked("mlp", data="digits", params=ENDLESS, max_attempts=2)
    run_id = lab.yard.submit(request)["run_id"]
    first = lab.ranks(run_id)
    until(lambda: lab.kept(run_id), "a checkpoint", explain=lab.said)
    os.kill(first[1], signal.SIGKILL)
    until(lambda: lab.yard.get(run_id)["attempt"] == 2, "another attempt", explain=lab.said)
    assert none_is_left(first)
    trained = len(epochs(lab, run_id))
    second = lab.ranks(run_id, attempt=2)
    run = lab.yard.get(run_id)
    said = [step["message"] for step in run["transitions"] if step["message"]]
    where = f"rank 1 of 2 on {run['placement'][1]['host']} (10."
    assert any(where in each and "SIGKILL" in each for each in said), said
    until(lambda: len(epochs(lab, run_id)) > trained, "another epoch", explain=lab.said)
    assert epochs(lab, run_id).count(1) == 1, "it started anew"
    one, other = (lab.hosts[name] for name in lab.hosts_of(run_id))
    one.cut_from(other)
    run = lab.yard.ended(run_id)
    one.mend_to(other)
    assert (run["status"], run["reason"]) == ("FAILED", "crashed"), (run, log_of(lab.yard, run))
    assert re.match(r"rank \d of 2 on \S+ \(10\.", run["message"]), run["message"]
    assert none_is_left(second)
