"""Decisions about promotions, where whoever has the turn does not give it back."""

import asyncio
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("mlflow")

from trainyard.contract import Promotion, Registered
from trainyard.peers.services import Peers
from trainyard.registry.asked import Unjudged
from trainyard.registry.lock import model_lock
from trainyard.registry.promotion import Judgement
from trainyard.registry.turn import Turn
from trainyard.supervisor import promotions as module
from trainyard.supervisor.blocking import Blocking
from trainyard.supervisor.promotions import Promotions


async def nobody(*_: Any) -> None:
    return None


def asking_nobody(blocking: Blocking, locks: Path) -> Promotions:
    return Promotions(
        blocking,
        tracking_uri="http://127.0.0.1:9",
        locks=locks,
        peers=Peers(""),
        judge=nobody,  # type: ignore[arg-type]
        request_of=nobody,
        tell=nobody,
        spawn=asyncio.create_task,
    )


def test_a_turn_that_is_not_given_back_keeps_no_other_question_from_mlflow(tmp_path: Path) -> None:
    """As where a run's process is frozen that registers its model. Those who wait ask again, each time in a thread more."""

    async def whole() -> None:
        blocking = Blocking("http://127.0.0.1:9", lambda: True)
        promotions = asking_nobody(blocking, tmp_path)
        with model_lock("bank", tmp_path):
            turn = Turn(name="bank", version="1", alias="challenger")
            asked = [asyncio.create_task(promotions.decide(turn)) for _ in range(20)]
            await asyncio.sleep(0.1)
            async with asyncio.timeout(10):
                assert await blocking.mlflow(lambda: "an answer") == "an answer"
            for each in asked:
                each.cancel()
        await asyncio.gather(*asked, return_exceptions=True)
        await blocking.close()

    asyncio.run(whole())


@pytest.mark.parametrize("known", [Judgement("1", incomparable="time was up"), None])
def test_what_the_run_found_stands_where_its_request_is_gone(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, known: Judgement | None
) -> None:
    """Nothing is left to judge the holder by."""

    def decided(*_: Any, name: str, judged: dict[str, Judgement], **__: Any) -> Registered:
        if "1" not in judged:
            raise Unjudged("it could not be compared", "1", known)
        return Registered(name=name, version="2", decision=judged["1"].incomparable)

    monkeypatch.setattr(module, "promote_when_asked", decided)

    async def whole() -> Registered:
        blocking = Blocking("http://127.0.0.1:9", lambda: True)
        promotions = asking_nobody(blocking, tmp_path)
        try:
            own = Registered(name="bank", version="2")
            return await promotions._decided("a run", own, Promotion())
        finally:
            await blocking.close()

    if known is None:
        with pytest.raises(Unjudged):
            asyncio.run(whole())
    else:
        assert asyncio.run(whole()).decision == "time was up"
