"""A real service tells an address of a run's end, and of a promotion that somebody asks for later."""

from pathlib import Path

from champions import made, trained
from receiver import receiving
from servers import Yard


def test_the_end_of_a_run_and_its_promotion_are_told_once_each(shared_yard: Yard, data_root: Path):
    made(1_000).to_csv(data_root / "told.csv", index=False)
    with receiving() as receiver:
        run = trained(
            shared_yard,
            {"uri": str(data_root / "told.csv")},
            "told",
            promote={"when": "asked"},
            notify=[{"url": f"{receiver.url}/a", "on": ["finished", "failed", "promoted"]}],
        )
        (ended,) = receiver.wait_for(1)
        for _ in range(2):
            answer = shared_yard.http.post(f"/train/{run['run_id']}/promotion", json={"by": "ana"})
            assert answer.json()["promoted"] is True, answer.text
        _, promoted = receiver.wait_for(2)
        assert len(receiver.messages) == 2
    assert [each.content["type"] for each in (ended, promoted)] == ["run.finished", "run.promoted"]
    assert ended.content["data"]["metrics"] == run["metrics"]
    assert promoted.content["data"]["registered"]["aliases"] == ["champion"]


def test_a_run_does_not_know_what_messages_are_signed_with(shared_yard: Yard):
    fork_server = shared_yard.service.process
    assert fork_server is not None
    children = Path(f"/proc/{fork_server.pid}/task/{fork_server.pid}/children").read_text().split()
    assert children
    for child in children:
        assert b"TRAINYARD_NOTIFY_SECRET" not in Path(f"/proc/{child}/environ").read_bytes()
