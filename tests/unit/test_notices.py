"""Who is told of a run: signed, once for each id, through restarts, and nobody whom the settings do not name."""

import asyncio
import base64
import hmac
import threading
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from fakes import Yard, asked_for, over_the_supervisor, until
from pydantic import ValidationError
from receiver import Message, Receiver, receiving
from trainyard.contract import Promotion, Reason, Registered, RunStatus, TrainRequest
from trainyard.errors import Invalid, Unavailable
from trainyard.rundir.folder import RunFolder
from trainyard.rundir.published import published
from trainyard.settings import Settings, signing_key
from trainyard.supervisor import notices, promotions
from trainyard.supervisor.retention import prune

SECRET = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"
TOLD: dict[str, Any] = {"notify_hosts": ("127.0.0.1",), "notify_secret": SECRET}
FINISHED, FAILED, KILLED = RunStatus.FINISHED, RunStatus.FAILED, RunStatus.KILLED


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    with receiving() as receiver:
        yield receiver


@pytest.fixture(autouse=True)
def short_pauses(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(notices, "LONGEST_PAUSE_SECONDS", 0.01)


def telling(receiver: Receiver, *events: str) -> TrainRequest:
    return asked_for(notify=[{"url": f"{receiver.url}/hook", "on": list(events)}])


async def submitted(yard: Yard, request: TrainRequest) -> str:
    run, _ = await yard.runs.submit(request, None)
    return run.run_id


async def came(receiver: Receiver, count: int) -> list[Message]:
    return await asyncio.to_thread(receiver.wait_for, count)


def all_told(home: Path) -> bool:
    return not any(RunFolder(path).unsettled_notices() for path in (home / "runs").iterdir())


def test_a_signature_is_that_of_the_specification():
    at = datetime.fromtimestamp(1614265330, UTC)
    headers = notices.signed(
        "msg_p5jXN8AQM9LWM0D4loKWxJek", b'{"test": 2432232314}', signing_key(SECRET), at
    )
    assert headers == {
        "webhook-id": "msg_p5jXN8AQM9LWM0D4loKWxJek",
        "webhook-timestamp": "1614265330",
        "webhook-signature": "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=",
    }


@pytest.mark.parametrize(
    ("status", "reason", "event"),
    [
        (FINISHED, None, "finished"),
        (FAILED, Reason.DIVERGED, "failed"),
        (KILLED, Reason.CANCELLED, "cancelled"),
    ],
)
def test_each_end_is_told_to_who_asked_for_it_with_the_run_as_it_ended(
    tmp_path: Path, receiver: Receiver, status: RunStatus, reason: Reason | None, event: str
):
    async def story() -> None:
        async with over_the_supervisor(tmp_path, **TOLD) as yard:
            others = [each for each in ("finished", "failed", "cancelled") if each != event]
            silent = await submitted(yard, telling(receiver, *others))
            run_id = await submitted(yard, telling(receiver, event, "promoted"))
            for each in (silent, run_id):
                await yard.process(each)
                await yard.end(each, status, reason)
            (message,) = await came(receiver, 1)
            await until(lambda: all_told(tmp_path))
            assert message.id == f"{run_id}-0-{event}"
            assert message.content["type"] == f"run.{event}"
            ended = (await yard.runs.get(run_id)).model_dump(mode="json")
            assert message.content["data"] == ended
            signed = f"{message.id}.{message.headers['webhook-timestamp']}.".encode() + message.body
            digest = hmac.digest(signing_key(SECRET), signed, "sha256")
            assert message.headers["webhook-signature"] == f"v1,{base64.b64encode(digest).decode()}"

    asyncio.run(story())
    assert len(receiver.messages) == 1


def test_who_is_told_of_an_end_and_asks_at_once_sees_it(tmp_path: Path, receiver: Receiver):
    """While MLflow is away the end is shown two seconds later than it is kept."""

    async def story() -> RunStatus:
        async with over_the_supervisor(tmp_path, **TOLD) as yard:
            run_id = await submitted(yard, telling(receiver, "finished"))
            process = await yard.process(run_id)
            yard.mlflow.away = True
            process.finish()
            await came(receiver, 1)
            found = (await yard.runs.get(run_id)).status
            yard.mlflow.away = False
            return found

    assert asyncio.run(story()) is FINISHED


def test_a_service_that_stops_at_once_has_sent_it(tmp_path: Path, receiver: Receiver):
    """As `trainyard run` does, which no other service follows."""

    async def story() -> None:
        async with over_the_supervisor(tmp_path, **TOLD) as yard:
            run_id = await submitted(yard, telling(receiver, "finished"))
            (await yard.process(run_id)).finish()
            await yard.runs.wait(run_id, 60.0, None)

    asyncio.run(story())
    assert len(receiver.taken) == 1


def test_it_is_sent_until_it_is_taken_by_the_next_service_too_and_then_never_again(
    tmp_path: Path, receiver: Receiver
):
    receiver.answers = [500] * 1_000_000

    async def first() -> str:
        async with over_the_supervisor(tmp_path, **TOLD) as yard:
            run_id = await submitted(yard, telling(receiver, "finished"))
            await yard.end(run_id, FINISHED, None)
            await until(lambda: len(receiver.messages) >= 3)
            return run_id

    async def later() -> None:
        async with over_the_supervisor(tmp_path, **TOLD):
            await until(lambda: all_told(tmp_path))

    run_id = asyncio.run(first())
    receiver.answers = [302, 429]
    asyncio.run(later())
    asyncio.run(later())
    assert [message.id for message in receiver.taken] == [f"{run_id}-0-finished"]
    assert len({(message.id, message.body) for message in receiver.messages}) == 1
    prune(tmp_path / "runs", keep_days=0)
    assert not (tmp_path / "runs" / run_id).exists()


def test_a_host_that_is_not_named_any_more_is_not_told_of_what_was_accepted_before(
    tmp_path: Path, receiver: Receiver
):
    receiver.answers = [500] * 1_000_000

    async def first() -> None:
        async with over_the_supervisor(tmp_path, **TOLD) as yard:
            run_id = await submitted(yard, telling(receiver, "finished"))
            await yard.end(run_id, FINISHED, None)
            await until(lambda: receiver.messages)

    async def later() -> None:
        async with over_the_supervisor(tmp_path, **(TOLD | {"notify_hosts": ("hooks.example",)})):
            await until(lambda: all_told(tmp_path))

    asyncio.run(first())
    receiver.answers = []
    asyncio.run(later())
    assert receiver.taken == []


def test_what_is_not_told_yet_is_kept_longer_than_runs_are(tmp_path: Path, receiver: Receiver):
    receiver.answers = [500] * 1_000_000

    async def story() -> str:
        async with over_the_supervisor(tmp_path, **TOLD) as yard:
            run_id = await submitted(yard, telling(receiver, "finished"))
            await yard.end(run_id, FINISHED, None)
            await until(lambda: RunFolder(tmp_path / "runs" / run_id).closed)
            return run_id

    run_id = asyncio.run(story())
    prune(tmp_path / "runs", keep_days=0)
    assert [each.id for each in RunFolder(tmp_path / "runs" / run_id).unsettled_notices()] == [
        f"{run_id}-0-finished"
    ]


def test_an_address_that_is_gone_is_asked_once(tmp_path: Path, receiver: Receiver):
    receiver.answers = [410]

    async def story() -> None:
        async with over_the_supervisor(tmp_path, **TOLD) as yard:
            run_id = await submitted(yard, telling(receiver, "finished"))
            await yard.end(run_id, FINISHED, None)
            await until(lambda: receiver.messages and all_told(tmp_path))

    asyncio.run(story())
    assert [message.answered for message in receiver.messages] == [410]


def test_a_run_that_waits_too_long_is_told_of_once_and_one_that_starts_in_time_is_not(
    tmp_path: Path, receiver: Receiver
):
    async def story() -> str:
        async with over_the_supervisor(tmp_path, slots=1, **TOLD) as yard:
            quick = await submitted(yard, telling(receiver, "waiting_over:1"))
            waits = await submitted(yard, telling(receiver, "waiting_over:1", "waiting_over:900"))
            (message,) = await came(receiver, 1)
            assert message.content["data"]["status"] == "SCHEDULED"
            assert message.content["data"]["queue_position"] == 1
            for run_id in (quick, waits):
                await yard.end(run_id, FINISHED, None)
        return waits

    waits = asyncio.run(story())
    assert [message.id for message in receiver.messages] == [f"{waits}-0-waiting_over-1"]
    assert receiver.messages[0].content["type"] == "run.waiting_over"


def test_a_promotion_is_told_of_whether_the_run_made_it_or_somebody_asked_for_it_later_and_left(
    tmp_path: Path, receiver: Receiver, monkeypatch: pytest.MonkeyPatch
):
    version = Registered(name="m", version="3", aliases=["champion"], promoted=True)
    waits = version.model_copy(update={"aliases": [], "promoted": False})
    decides = threading.Event()

    def decided(*_: Any, **__: Any) -> Registered:
        decides.wait(60)
        return version

    monkeypatch.setattr(promotions, "promote_when_asked", decided)

    async def story() -> tuple[str, str]:
        async with over_the_supervisor(tmp_path, **TOLD) as yard:
            run_ids = []
            for registered in (version, waits):
                run_ids.append(await submitted(yard, telling(receiver, "promoted")))
                process = await yard.process(run_ids[-1])
                process.write_outcome(registered=registered)
                process.exit(0)
                await yard.runs.wait(run_ids[-1], 60, None)
            await came(receiver, 1)
            with monkeypatch.context() as soon:
                soon.setattr(promotions, "HOLD_SECONDS", 0.0)
                with pytest.raises(Unavailable, match="ask again"):
                    await yard.runs.promote(run_ids[1], Promotion())
            decides.set()
            await came(receiver, 2)
            await yard.runs.promote(run_ids[1], Promotion())  # whose answer says the same
            await until(lambda: all_told(tmp_path))
        return run_ids[0], run_ids[1]

    runs = asyncio.run(story())
    assert [message.id for message in receiver.messages] == [f"{each}-0-promoted" for each in runs]
    assert receiver.messages[1].content["data"]["registered"]["promoted"] is True


def test_a_full_disk_does_not_keep_a_run_from_ending_or_from_being_told_of(
    tmp_path: Path, receiver: Receiver, monkeypatch: pytest.MonkeyPatch
):
    def full(*_: object) -> bool:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(RunFolder, "keep_notice", full)

    async def story() -> None:
        async with over_the_supervisor(tmp_path, **TOLD) as yard:
            run_id = await submitted(yard, telling(receiver, "finished"))
            await yard.end(run_id, FINISHED, None)
            await came(receiver, 1)
            assert (await yard.runs.get(run_id)).status is FINISHED

    asyncio.run(story())


@pytest.mark.parametrize("host", ["hooks.example.com", "xn--"])
def test_hosts_that_the_settings_do_not_name_are_refused(
    tmp_path: Path, receiver: Receiver, host: str
):
    elsewhere = {"url": f"https://{host}/x", "on": ["failed"]}

    async def story() -> None:
        async with over_the_supervisor(tmp_path, **TOLD) as yard:
            request = asked_for(notify=[{"url": receiver.url, "on": ["failed"]}, elsewhere])
            with pytest.raises(Invalid) as refused:
                await yard.runs.submit(request, None)
            (error,) = refused.value.errors
            assert error.pointer == "/notify/1/url"
            assert repr(host) in error.detail
            assert "TRAINYARD_NOTIFY_HOSTS has 127.0.0.1" in error.detail

    asyncio.run(story())


@pytest.mark.parametrize(
    ("rule", "words"),
    [
        ({"url": "ftp://a/b", "on": ["failed"]}, "http://HOST/PATH"),
        ({"url": "https://me:secret@a/b", "on": ["failed"]}, "user or password"),
        ({"url": "https://a\n/b", "on": ["failed"]}, "http://HOST/PATH"),
        ({"url": "https://a/b", "on": []}, "at least 1"),
        ({"url": "https://a/b", "on": ["waiting_over:0"]}, "waiting_over:SECONDS"),
        ({"url": "https://a/b", "on": ["waiting_over:604801"]}, "604,800"),
        ({"url": "https://a/b", "on": ["done"]}, "finished, failed, cancelled, promoted"),
    ],
)
def test_rules_that_mean_nothing_are_refused_in_words(rule: dict[str, Any], words: str):
    with pytest.raises(ValidationError, match=words):
        asked_for(notify=[rule])


def test_settings_ask_for_a_secret_that_signs():
    with pytest.raises(ValidationError, match="TRAINYARD_NOTIFY_SECRET is not"):
        Settings(notify_hosts=("a.example",))
    with pytest.raises(ValidationError, match="whsec_ and 24 to 64 random bytes"):
        Settings(notify_hosts=("a.example",), notify_secret="whsec_c2hvcnQ=")
    assert Settings(notify_secret="").notify_key is None


def test_mlflow_learns_the_host_that_is_told_and_not_its_path(tmp_path: Path, receiver: Receiver):
    async def story() -> str:
        async with over_the_supervisor(tmp_path, **TOLD) as yard:
            return await submitted(yard, telling(receiver, "failed"))

    folder = RunFolder(tmp_path / "runs" / asyncio.run(story()))
    submission = folder.submission()
    assert submission is not None
    (rule,) = published(submission).request.notify
    assert rule.url == f"{receiver.url}/"
    assert rule.on == ["failed"]
    assert "/hook" not in folder.published_request.read_text()
