"""Promotions that somebody asks for after the run has ended: the gate of a pipeline, or a person."""

import asyncio
from collections.abc import Awaitable, Callable, Coroutine
from functools import partial
from pathlib import Path
from typing import Any

from mlflow import MlflowClient

from trainyard.contract import (
    Promotion,
    Registered,
    Rollback,
    Run,
    RunRequest,
    RunStatus,
    TrainRequest,
)
from trainyard.errors import CannotPromote, ChampionChanged, RegistryConflict, Unavailable
from trainyard.launcher.messages import Case
from trainyard.peers.calling import PeerAway
from trainyard.peers.services import Peers
from trainyard.peers.turns import TurnsAmongServices
from trainyard.registry.asked import Unjudged, promote_when_asked
from trainyard.registry.mlflow_registry import rollback, taken
from trainyard.registry.promotion import Decision, Judgement
from trainyard.registry.turn import AnotherHolder, Turn
from trainyard.supervisor.blocking import Blocking

HOLD_SECONDS = 50.0
"""How long a call is held; below the 60 s that callers wait."""
PATIENCE_SECONDS = 5.0
"""How long the service that decides for all is asked again."""
MOST_HOLDERS = 5
"""Holders that are judged for one promotion: each one took the alias while the one before was judged."""
Asked = tuple[str, str]


class Promotions:
    """Decides in a thread, in turn with the runs of all services that share the folder of locks.

    A holder that the run has not judged is judged first, in a process of its own. Whoever asks is held for a while, and
    then told to ask again; the decision goes on without them, and whoever asks the same again joins it.
    """

    def __init__(  # noqa: PLR0913 - what it goes by, each by name
        self,
        blocking: Blocking,
        *,
        tracking_uri: str,
        locks: Path,
        peers: Peers,
        judge: Callable[[Case], Awaitable[Judgement]],
        request_of: Callable[[str], Awaitable[RunRequest | None]],
        tell: Callable[[Run], Awaitable[object]],
        spawn: Callable[[Coroutine[Any, Any, Registered]], asyncio.Task[Registered]],
    ) -> None:
        """`tell` hears of each run that was promoted, `spawn` has a decision go on when nobody waits for it any more."""
        self._blocking = blocking
        self._client = MlflowClient(tracking_uri=tracking_uri, registry_uri=tracking_uri)
        self._locks = locks
        self._peers = peers
        self._turns = TurnsAmongServices(
            self._client, peers, locks, patience_seconds=PATIENCE_SECONDS
        )
        self._judge = judge
        self._request_of = request_of
        self._tell = tell
        self._spawn = spawn
        self._under_way: dict[Asked, asyncio.Task[Registered]] = {}

    async def promote(self, run: Run, word: Promotion) -> Registered:
        """The run's version as it stands after the decision. Raises `RequestError`s."""
        if run.status is not RunStatus.FINISHED:
            raise CannotPromote(
                f"the run {run.run_id} is {run.status}; one that is FINISHED can be promoted"
            )
        if run.registered is None:
            raise CannotPromote(
                f"the run {run.run_id} registered no model; name one in `register` of its request"
            )
        task = self._task(run, run.registered, word)
        done, _ = await asyncio.wait({task}, timeout=HOLD_SECONDS)
        if not done:
            raise Unavailable(
                f"the version that holds the alias is still being scored on the test rows of run {run.run_id};"
                " ask again, and this call is taken up where it is"
            )
        return task.result()

    def _task(self, run: Run, version: Registered, word: Promotion) -> asyncio.Task[Registered]:
        """What decides, which may be under way since an earlier call."""
        asked = run.run_id, word.model_dump_json()
        if asked not in self._under_way:
            task = self._spawn(self._decided_and_told(run, version, word))
            self._under_way[asked] = task
            task.add_done_callback(lambda _: self._under_way.pop(asked, None))
        return self._under_way[asked]

    async def _decided_and_told(self, run: Run, version: Registered, word: Promotion) -> Registered:
        """As whoever asked may have gone by then, those who want to be told are told from here."""
        registered = await self._decided(run.run_id, version, word)
        if registered.promoted:
            await self._tell(run.model_copy(update={"registered": registered}))
        return registered

    async def _decided(self, run_id: str, version: Registered, word: Promotion) -> Registered:
        """Decide; a holder that nobody has compared is judged, and the decision taken anew.

        What the run found stands where its request is gone.
        """
        judged: dict[str, Judgement] = {}
        while True:
            try:
                return await self._once(version, word, judged)
            except Unjudged as unjudged:
                if len(judged) == MOST_HOLDERS:
                    raise
                request = await self._request_of(run_id)
                if not isinstance(request, TrainRequest):
                    if unjudged.known is None:
                        raise
                    judged[unjudged.holder] = unjudged.known
                    continue
                case = Case(
                    request=request,
                    name=version.name,
                    version=version.version,
                    holder=unjudged.holder,
                )
                judged[unjudged.holder] = await self._judge(case)

    async def _once(
        self, version: Registered, word: Promotion, judged: dict[str, Judgement]
    ) -> Registered:
        decided = partial(
            promote_when_asked,
            self._client,
            name=version.name,
            version=version.version,
            word=word,
            locks=self._locks,
            judged=dict(judged),
            turns=self._turns,
        )
        return await self._in_mlflow(decided)

    async def rollback(self, name: str, word: Rollback) -> Registered:
        """The version that has the alias back. Raises `CannotPromote` where there is none, and `Unavailable`."""
        given_back = partial(
            rollback,
            self._client,
            name=name,
            word=word,
            locks=self._locks,
            turns=self._turns,
        )
        return await self._in_mlflow(given_back)

    async def _in_mlflow(self, call: Callable[[], Registered]) -> Registered:
        try:
            return await self._blocking.in_turn(call)
        except RegistryConflict as error:
            raise CannotPromote(error.detail) from error
        except PeerAway as error:
            raise Unavailable(error.detail) from error

    async def decide(self, turn: Turn) -> Decision:
        """Decide for another service. Raises `ChampionChanged` where another version holds the alias than was judged."""
        if self._peers.decider is not None:
            raise CannotPromote(
                f"{self._peers.decider} decides about promotions, and not {self._peers.own}: give all services the same"
                " TRAINYARD_SERVICES, in the same order"
            )
        try:
            return await self._blocking.in_turn(
                partial(taken, self._client, turn, locks=self._locks)
            )
        except AnotherHolder as error:
            raise ChampionChanged from error
        except RegistryConflict as error:
            raise CannotPromote(error.detail) from error
