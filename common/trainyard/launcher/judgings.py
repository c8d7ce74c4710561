"""What a process that was forked to judge a holder does, and what the fork server answers when it has ended."""

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
from trainyard.launcher.messages import Judge, Judged, as_line
from trainyard.registry.promotion import Judgement
from trainyard.scarcity import lacks_memory
from trainyard.trainer import Trainer
from trainyard.worker.asked_judging import judged

LONGEST_REASON = 300


def judge_and_leave(
    order: Judge, trainer: Trainer | None, pipe: int, pools: ThreadpoolController
) -> NoReturn:
    """Write what was found to the pipe; then leave."""
    try:
        signal.pthread_sigmask(signal.SIG_UNBLOCK, {signal.SIGTERM})
        limit(memory_mb=order.memory_mb, seconds=order.seconds, threads=order.threads)
        with pools.limit(limits=order.threads):
            write_all(pipe, as_line(Judged(number=order.number, judgement=_found(order, trainer))))
    except BaseException:  # noqa: BLE001 - the last chance to say what it was
        traceback.print_exc()
        sys.stderr.flush()
        os._exit(1)
    os._exit(0)


def _found(order: Judge, trainer: Trainer | None) -> Judgement | None:
    """None where MLflow does not answer. Whatever else the models' code raises makes the holder incomparable."""
    if trainer is None:
        raise TypeError(f"{order.request.model!r} is not here")
    try:
        return judged(order, trainer)
    except TrackingUnavailable:
        return None
    except Exception as error:  # noqa: BLE001 - readers of damaged files, and models, raise what they like
        if lacks_memory(error):
            why = f"judging it took more than {order.memory_mb} MB of memory"
        else:
            traceback.print_exc()
            why = " ".join(f"judging it failed ({type(error).__name__}: {error})".split())
    return Judgement(order.case.holder, incomparable=why[:LONGEST_REASON])


def answered(look: Look[Judge], code: int) -> Judged:
    """What the process found, or that it broke off, which makes the holder incomparable."""
    for line in bytes(look.told).split(b"\n"):
        if line.startswith(b"{"):
            try:
                return Judged.model_validate_json(line)
            except ValidationError:
                break
    judgement = Judgement(look.order.case.holder, incomparable=look.broke("judging it", code))
    return Judged(number=look.order.number, judgement=judgement)
