"""What a process does that was forked to predict for another service, and what the fork server answers when it has ended."""

import os
import signal
import sys
import traceback
from typing import NoReturn

from pydantic import ValidationError
from threadpoolctl import ThreadpoolController

from trainyard.errors import TrackingUnavailable
from trainyard.launcher.limits import limit
from trainyard.launcher.looking import write_all
from trainyard.launcher.looks import Look
from trainyard.launcher.messages import Predict, Predicted, as_line
from trainyard.scarcity import lacks_memory
from trainyard.worker.champion import CannotScore
from trainyard.worker.peer_predictions import predict_here


def predict_and_leave(order: Predict, pipe: int, pools: ThreadpoolController) -> NoReturn:
    """Write the predictions to their file, and to the pipe that they are there, or why not; then leave."""
    try:
        signal.pthread_sigmask(signal.SIG_UNBLOCK, {signal.SIGTERM})
        limit(memory_mb=order.memory_mb, seconds=order.seconds, threads=order.threads)
        with pools.limit(limits=order.threads):
            write_all(pipe, as_line(_predicted(order)))
    except BaseException:  # noqa: BLE001 - the last chance to say what it was
        traceback.print_exc()
        sys.stderr.flush()
        os._exit(1)
    os._exit(0)


def _predicted(order: Predict) -> Predicted:
    try:
        rows = predict_here(order.question, order.access, order.path)
    except TrackingUnavailable:
        return Predicted(number=order.number, away=True)
    except CannotScore as error:
        return Predicted(number=order.number, refusal=str(error))
    except (MemoryError, OSError) as error:
        if not lacks_memory(error):
            raise
        why = f"predicting took more than {order.memory_mb} MB of memory"
        return Predicted(number=order.number, refusal=why)
    return Predicted(number=order.number, rows=rows)


def made(look: Look[Predict], code: int) -> Predicted:
    """What the process has said, or that it broke off."""
    for line in bytes(look.told).split(b"\n"):
        if line.startswith(b"{"):
            try:
                return Predicted.model_validate_json(line)
            except ValidationError:
                break
    return Predicted(number=look.order.number, refusal=look.broke("predicting", code))
