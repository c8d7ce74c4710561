"""Promotions of one registered model take turns among services that share no disk: one service decides for all of them.

ADR 13 says why it is one, and not a lease.
"""

from pathlib import Path

from mlflow import MlflowClient
from pydantic import TypeAdapter
from tenacity import Retrying, retry_if_exception_type, stop_after_delay, wait_exponential

from trainyard.errors import ChampionChanged, RegistryConflict
from trainyard.peers.calling import PeerAway, PeerRefused, asked
from trainyard.peers.services import DECISIONS, Peers
from trainyard.registry.mlflow_registry import taken
from trainyard.registry.promotion import Decision
from trainyard.registry.turn import AnotherHolder, Turn

ANSWER_SECONDS = 60.0
DECISION = TypeAdapter(Decision)


class TurnsAmongServices:
    """Takes a turn: here where this service decides, or else at the service that does, waiting while that is away."""

    def __init__(
        self, client: MlflowClient, peers: Peers, locks: Path, *, patience_seconds: float
    ) -> None:
        self._client = client
        self._peers = peers
        self._locks = locks
        self._patiently = Retrying(
            retry=retry_if_exception_type(PeerAway),
            stop=stop_after_delay(patience_seconds),
            wait=wait_exponential(0.2, 10),
            reraise=True,
        )

    def __call__(self, turn: Turn) -> Decision:
        """The decision. Raises `AnotherHolder`, `RegistryConflict`, and `PeerAway` once patience is at its end.

        A turn whose answer was lost is taken again: a version that has the alias by then is told what was decided.
        """
        decider = self._peers.decider
        if decider is None:
            return taken(self._client, turn, locks=self._locks)
        return self._patiently(self._asked, decider, turn)

    def _asked(self, decider: str, turn: Turn) -> Decision:
        try:
            with asked(self._peers, decider, DECISIONS, turn, seconds=ANSWER_SECONDS) as answer:
                return DECISION.validate_json(answer.read())
        except PeerRefused as error:
            if error.type == ChampionChanged.type:
                raise AnotherHolder from error
            raise RegistryConflict(error.detail) from error
