"""Keys, their locks, and the digest that tells whether two requests are the same."""

import asyncio
import gc
from pathlib import Path

import pytest
from fake_mlflow import FakeMlflow, FakeTracking
from fakes import FakeLauncher, asked_for, settings_in
from trainyard.contract import AIRFLOW_TASK, FieldError, OnExisting, TrainRequest
from trainyard.errors import Invalid
from trainyard.service import Service
from trainyard.supervisor.idempotency import KeyLocks, digest_of, key_digest, tags_of
from trainyard.supervisor.supervisor import Supervisor
from virtual_time import in_no_time

DIGEST = "8be6795f32b6ddc7283fd7c8f2fc0cfe6179b5d47d3e37213355cbbc4f7f0de5"
REQUEST = {
    "model": "xgboost_classifier",
    "params": {"n_estimators": 300, "learning_rate": 0.1},
    "data": {"source": "file", "uri": "bank.csv", "target": "y"},
    "experiment": "bank",
    "register": {"name": "bank-xgb", "promote": {"metric": "test_roc_auc"}},
}


def test_the_digest_of_a_request_stays_what_it_was_when_it_was_submitted():
    """Runs in MLflow carry it; a retry after an upgrade must find them."""
    assert digest_of(TrainRequest.model_validate(REQUEST)) == DIGEST


def test_the_digest_does_not_change_with_a_new_field_that_has_a_default():
    class Later(TrainRequest):
        priority: int = 0

    assert digest_of(Later.model_validate(REQUEST)) == DIGEST
    assert digest_of(Later.model_validate({**REQUEST, "priority": 1})) != DIGEST


def test_the_digest_counts_neither_order_nor_defaults_nor_what_is_done_with_a_known_key():
    shuffled = dict(reversed(REQUEST.items()))
    spelled_out = {**shuffled, "seed": 42, "max_attempts": 1, "on_existing": OnExisting.RERUN}
    assert digest_of(TrainRequest.model_validate(spelled_out)) == DIGEST
    assert digest_of(TrainRequest.model_validate({**REQUEST, "seed": 43})) != DIGEST


def test_where_its_task_is_in_airflow_does_not_make_it_another_request():
    tags = {AIRFLOW_TASK: "http://airflow/dags/d/runs/r/tasks/t"}
    assert digest_of(TrainRequest.model_validate({**REQUEST, "tags": tags})) == DIGEST
    more = TrainRequest.model_validate({**REQUEST, "tags": {**tags, "team": "growth"}})
    plain = TrainRequest.model_validate({**REQUEST, "tags": {"team": "growth"}})
    assert digest_of(more) == digest_of(plain) != DIGEST


def test_a_caller_s_tag_does_not_replace_our_own():
    request = asked_for().model_copy(update={"tags": {"trainyard.model": "mine", "team": "growth"}})
    tags = tags_of(request, "nightly", "digest", 2)
    assert tags["trainyard.model"] == request.model
    assert tags["team"] == "growth"
    assert tags["trainyard.key_digest"] == key_digest("nightly")


def test_two_hold_one_lock_for_a_key_in_turn_and_it_is_gone_after():
    locks, inside, most = KeyLocks(), 0, 0

    async def hold() -> None:
        nonlocal inside, most
        async with locks.of("nightly"):
            inside += 1
            most = max(most, inside)
            await asyncio.sleep(1)
            inside -= 1

    async def both() -> None:
        await asyncio.gather(hold(), hold(), hold())

    in_no_time(both())
    gc.collect()
    assert most == 1
    assert len(locks) == 0


@pytest.mark.parametrize("refused", [False, True])
def test_no_lock_stays_of_a_key_that_was_submitted(refused: bool, tmp_path: Path):
    launcher = FakeLauncher()
    launcher.errors = [FieldError(pointer="/params", detail="wrong")] if refused else []

    async def submit_many() -> int:
        tracking = FakeTracking(FakeMlflow())
        service = Supervisor(Service("svc", "pkg", 1), settings_in(tmp_path), launcher, tracking)
        await service.start()
        await asyncio.sleep(1)
        for number in range(50):
            try:
                await service.submit(asked_for(), f"key-{number}")
            except Invalid:
                assert refused
        await asyncio.sleep(1)
        left = len(service._submissions._key_locks)
        await service.stop()
        return left

    assert in_no_time(submit_many()) == 0
