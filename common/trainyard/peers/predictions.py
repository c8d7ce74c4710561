"""Predictions that another service makes of a run's test rows, with a model that this one cannot load."""

import hashlib
import tempfile
from typing import Any, BinaryIO

import numpy as np
import numpy.typing as npt

from trainyard.peers.calling import asked
from trainyard.peers.question import Question
from trainyard.peers.services import PREDICTIONS, Peers
from trainyard.trainer import Data

ROWS_HEADER = "Trainyard-Rows"
Array = npt.NDArray[Any]


def digest_of_rows(data: Data) -> str:
    """What two services compare, to know that they mean the same test rows: of the whole data, and the targets and weights of these."""
    digest = hashlib.sha256(data.digest.encode())
    digest.update(np.ascontiguousarray(data.test.y).data)
    if data.test.weight is not None:
        digest.update(np.ascontiguousarray(data.test.weight).data)
    return digest.hexdigest()


def predicted_by(
    peers: Peers, name: str, question: Question, *, seconds: float
) -> tuple[Array, str]:
    """The predictions of the service `name`, as `worker.champion.predictions` makes them, and the digest of its rows.

    Raises `PeerAway`, `PeerRefused`, and `ValueError` for an answer that is no such file.
    """
    with (
        asked(peers, name, PREDICTIONS, question, seconds=seconds) as answer,
        tempfile.TemporaryFile() as file,
    ):
        for piece in answer.iter_bytes():
            file.write(piece)
        file.seek(0)
        return _read(file), answer.headers.get(ROWS_HEADER, "")


def _read(file: BinaryIO) -> Array:
    found: Array = np.load(file, allow_pickle=False)
    return found
