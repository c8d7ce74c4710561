"""The warm process that runs are forked from: `python -m trainyard.launcher.fork_server`.

It imports the framework, MLflow and pandas once, then forks a child a run in about 10 ms. It starts no
thread, opens no connection but the one to its service, and touches no GPU: all that would not survive
a fork. When the service goes away it ends its children and itself.
"""

import gc
import os
import select
import signal
import socket
import sys
import traceback
from contextlib import suppress
from typing import NoReturn

from pydantic import ValidationError
from threadpoolctl import ThreadpoolController

from trainyard.contract import RunKind
from trainyard.launcher.checks import checked
from trainyard.launcher.forking import fork, kill, kill_group
from trainyard.launcher.judgings import answered, judge_and_leave
from trainyard.launcher.looking import look_and_leave, looked_at, shipped
from trainyard.launcher.looks import Looks
from trainyard.launcher.messages import (
    Alive,
    Check,
    Exited,
    Fork,
    Forked,
    Judge,
    Message,
    Ping,
    Predict,
    Ready,
    Refused,
    as_line,
    orders,
)
from trainyard.launcher.predicting import made, predict_and_leave
from trainyard.launcher.process_id import process_id
from trainyard.launcher.warming import described, get_warm
from trainyard.rundir.folder import RunFolder
from trainyard.trainer import Catalogue, Trainer
from trainyard.worker import child

LONGEST_READ_BYTES = 1 << 16
CHECKS_AT_ONCE = 4
JUDGINGS_AT_ONCE = 2
"""Each may need as much memory as a run."""


class ForkServer:
    """Carries out the service's orders, one after the other."""

    def __init__(
        self,
        connection: socket.socket,
        catalogue: Catalogue,
        pools: ThreadpoolController,
        package: str,
    ) -> None:
        self._package = package
        self._connection = connection
        self._catalogue = catalogue
        self._pools = pools
        self._runs: dict[int, str] = {}
        self._checks: Looks[Check] = Looks(
            self.send, connection.close, look_and_leave, checked, at_once=CHECKS_AT_ONCE
        )
        self._judgings: Looks[Judge] = Looks(
            self.send, connection.close, self._judge, answered, at_once=JUDGINGS_AT_ONCE
        )
        self._predictions: Looks[Predict] = Looks(
            self.send, connection.close, self._predict, made, at_once=JUDGINGS_AT_ONCE
        )

    @property
    def _looks(self) -> tuple[Looks[Check], Looks[Judge], Looks[Predict]]:
        return self._checks, self._judgings, self._predictions

    def serve(self) -> None:
        """Answer until the service is gone, then end what was forked."""
        wake = _wakes_for_children()
        buffer = b""
        while True:
            waits = [self._connection.fileno(), wake, *self._pipes]
            ready, _, _ = select.select(waits, [], [], self._seconds_left())
            for looks in self._looks:
                looks.read(ready)
            if wake in ready:
                os.read(wake, 4096)
                self._reap()
            if self._connection.fileno() in ready:
                received = self._connection.recv(LONGEST_READ_BYTES)
                if not received:
                    break
                *lines, buffer = (buffer + received).split(b"\n")
                for line in lines:
                    self._carry_out(line)
        for looks in self._looks:
            looks.stop()
        for pid in self._runs:
            kill(pid)

    def send(self, message: Message) -> None:
        """Tell the service."""
        self._connection.sendall(as_line(message))

    def _carry_out(self, line: bytes) -> None:
        try:
            order = orders.validate_json(line)
        except ValidationError as error:
            sys.stderr.write(f"the service sent an order that is none: {error}\n")
            return
        if isinstance(order, Ping):
            self.send(Alive(number=order.number))
            return
        if isinstance(order, Predict):
            self._predictions.add(order, None)
            return
        request = order.job.submission.request if isinstance(order, Fork) else order.request
        trainer = self._catalogue.trainers.get(request.model)
        if trainer is None and request.kind is RunKind.TRAIN:
            known = ", ".join(self._catalogue.trainers) or "none"
            detail = (
                f"the model {request.model!r} is not here any more; this service trains {known}"
            )
            self.send(Refused(number=order.number, detail=detail))
        elif isinstance(order, Check):
            self._check(order, trainer)
        elif isinstance(order, Judge):
            self._judgings.add(order, trainer)
        else:
            self._fork(order, trainer)

    def _check(self, order: Check, trainer: Trainer | None) -> None:
        """Look at the request: in a process of its own where anything in it comes from outside. ADR 8 says why not always."""
        ours = trainer and type(trainer).__module__.startswith(f"{self._package}.")
        if ours and shipped(order.request):
            self.send(looked_at(order, trainer))
        else:
            self._checks.add(order, trainer)

    def _judge(self, order: Judge, trainer: Trainer | None, pipe: int) -> NoReturn:
        judge_and_leave(order, trainer, pipe, self._pools)

    def _predict(self, order: Predict, trainer: Trainer | None, pipe: int) -> NoReturn:
        del trainer  # the model is MLflow's
        predict_and_leave(order, pipe, self._pools)

    @property
    def _pipes(self) -> list[int]:
        return [pipe for looks in self._looks for pipe in looks.pipes]

    def _seconds_left(self) -> float | None:
        left = [each.seconds_left() for each in self._looks]
        return min((seconds for seconds in left if seconds is not None), default=None)

    def _fork(self, order: Fork, trainer: Trainer | None) -> None:
        gate, opener = os.pipe()
        pid = fork()
        if pid == 0:
            os.close(opener)
            self._become_run(order, trainer, gate)
        os.close(gate)
        self._runs[pid] = process_id(pid)
        self.send(Forked(number=order.number, process_id=self._runs[pid]))
        os.write(opener, b"\n")
        os.close(opener)

    def _become_run(self, order: Fork, trainer: Trainer | None, gate: int) -> NoReturn:
        """Train or score, once the service has been told: a process that it does not know of must do nothing."""
        try:
            if not os.read(gate, 1):
                os._exit(child.EXIT_BROKEN)
            os.close(gate)
            self._connection.close()
            for pipe in self._pipes:
                os.close(pipe)
            child.main(order.job, order.line, trainer, self._pools)
        except BaseException:  # noqa: BLE001 - the last chance to say what it was
            with suppress(OSError), RunFolder(order.job.folder).log.open("a") as log:
                traceback.print_exc(file=log)
        finally:
            os._exit(child.EXIT_BROKEN)

    def _reap(self) -> None:
        while True:
            try:
                pid, status = os.waitpid(-1, os.WNOHANG)
            except ChildProcessError:
                return
            if not pid:
                return
            code = os.waitstatus_to_exitcode(status)
            if not any(looks.ended(pid, code) for looks in self._looks) and pid in self._runs:
                kill_group(pid)
                self.send(Exited(process_id=self._runs.pop(pid), code=code))


def _wakes_for_children() -> int:
    """A pipe that can be read from when a child has ended."""
    wake, poke = os.pipe()
    os.set_blocking(poke, False)
    signal.set_wakeup_fd(poke, warn_on_full_buffer=False)
    signal.signal(signal.SIGCHLD, lambda *_: None)
    return wake


def main(package: str, models_path: str, tracking_uri: str, connection: str) -> None:
    """Import everything, say so with the models, serve."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    service = socket.socket(fileno=int(connection))
    service.set_inheritable(False)
    catalogue = get_warm(package, models_path, tracking_uri)
    catalogue, models = described(catalogue)
    server = ForkServer(service, catalogue, ThreadpoolController(), package)
    gc.collect()
    gc.freeze()
    with suppress(BrokenPipeError, ConnectionResetError):
        server.send(Ready(models=models, broken=dict(catalogue.broken)))
        server.serve()


if __name__ == "__main__":
    main(*sys.argv[1:])
