"""Decisions about promotions, where whoever has the turn does not give it back."""

import asyncio
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("mlflow")

from trainyard.peers.services import Peers
from trainyard.registry.lock import model_lock
from trainyard.registry.turn import Turn
from trainyard.supervisor.blocking import Blocking
from trainyard.supervisor.promotions import Promotions


async def nobody(*_: Any) -> None:
    return None


def test_a_turn_that_is_not_given_back_keeps_no_other_question_from_mlflow(tmp_path: Path) -> None:
    """As where a run's process is frozen that registers its model. Those who wait ask again, each time in a thread more."""

    async def whole() -> None:
        blocking = Blocking("http://127.0.0.1:9", lambda: True)
        promotions = Promotions(
            blocking,
            tracking_uri="http://127.0.0.1:9",
            locks=tmp_path,
            peers=Peers(""),
            judge=nobody,  # type: ignore[arg-type]
            request_of=nobody,
            tell=nobody,
            spawn=asyncio.create_task,
        )
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
