"""The warm process that runs are forked from: `python -m trainyard.launcher.fork_server`.

It imports the framework, MLflow and pandas once, then forks a child a run. The fork takes 10 to 25 ms, so the child of
the next run is forked ahead, while nothing is asked for (`spare`). It starts no thread, opens no connection but the one
to its service, and touches no GPU: all that would not survive a fork. When the service goes away it ends its children
and itself.
"""

import gc

if __name__ == "__main__":
    gc.disable()  # before the imports: nothing of them is garbage, and looking for it took a quarter of their time

import os
import select
import signal
import socket
import sys
import traceback
from contextlib import suppress
from pathlib import Path
from typing import NoReturn

from pydantic import ValidationError
from threadpoolctl import ThreadpoolController

from trainyard.contract import PreviewRequest, RunRequest, TrainRequest
from trainyard.launcher.checks import checked
from trainyard.launcher.forking import kill, kill_group
from trainyard.launcher.judgings import answered, judge_and_leave
from trainyard.launcher.looking import look_and_leave, looked_at, shipped
from trainyard.launcher.looks import Looks, not_now
from trainyard.launcher.messages import (
    Alive,
    Check,
    Exited,
    Fork,
    Forked,
    Job,
    Judge,
    Message,
    Ping,
    Predict,
    Ready,
    Refused,
    as_line,
    orders,
)
from trainyard.launcher.own_folder import OwnFolder, clear_leftovers
from trainyard.launcher.predicting import made, predict_and_leave
from trainyard.launcher.process_id import process_id
from trainyard.launcher.spare import Spare
from trainyard.launcher.warming import described, get_warm
from trainyard.rundir.folder import RunFolder
from trainyard.trainer import Catalogue, Trainer
from trainyard.worker import child

LONGEST_READ_BYTES = 1 << 16
CHECKS_AT_ONCE = 4
JUDGINGS_AT_ONCE = 2
"""Each may need as much memory as a run."""
IDLE_SECONDS = 0.1
"""How long nobody must have asked for anything before a process is forked ahead: the run that has just begun comes first."""


class ForkServer:
    """Carries out the service's orders, one after the other."""

    def __init__(
        self,
        connection: socket.socket,
        catalogue: Catalogue,
        pools: ThreadpoolController,
        package: str,
        temporary: Path | None = None,
    ) -> None:
        """`temporary`: the folder for the temporary files of what is looked at, and not trained."""
        self._package = package
        self._connection = connection
        self._catalogue = catalogue
        self._pools = pools
        self._runs: dict[int, str] = {}
        self._spare: Spare | None = None
        self._wants_spare = True
        self._checks: Looks[Check] = Looks(
            self.send,
            self._let_go,
            look_and_leave,
            checked,
            at_once=CHECKS_AT_ONCE,
            temporary=temporary,
        )
        self._judgings: Looks[Judge] = Looks(
            self.send,
            self._let_go,
            self._judge,
            answered,
            at_once=JUDGINGS_AT_ONCE,
            temporary=temporary,
        )
        self._predictions: Looks[Predict] = Looks(
            self.send,
            self._let_go,
            self._predict,
            made,
            at_once=JUDGINGS_AT_ONCE,
            temporary=temporary,
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
            if not ready and self._wants_spare:
                self._fork_ahead()
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
        self._end_children()

    def _end_children(self) -> None:
        for looks in self._looks:
            looks.stop()
        for pid in self._runs:
            kill(pid)
        if self._spare:
            self._spare.end()

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
        trainer = self._trainer(request)
        if trainer is None and isinstance(request, TrainRequest):
            self._refuse(order.number, request.model)
        elif isinstance(order, Check):
            self._check(order, trainer)
        elif isinstance(order, Judge):
            self._judgings.add(order, trainer)
        else:
            self._launch(order, line)

    def _trainer(self, request: RunRequest | PreviewRequest) -> Trainer | None:
        """None for what trains nothing, such as a scoring, whose model is MLflow's, and for a model that is not here."""
        known = self._catalogue.trainers
        return known.get(request.model) if isinstance(request, TrainRequest) else None

    def _refuse(self, number: int, model: str) -> None:
        known = ", ".join(self._catalogue.trainers) or "none"
        detail = f"the model {model!r} is not here any more; this service trains {known}"
        self.send(Refused(number=number, detail=detail))

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
        if self._wants_spare:
            left.append(IDLE_SECONDS)
        return min((seconds for seconds in left if seconds is not None), default=None)

    def _launch(self, order: Fork, line: bytes) -> None:
        """Have the spare carry it out, or where there is none a process that is forked now."""
        try:
            process = self._process_for(line)
        except (
            OSError
        ) as error:  # no process, file or memory to be had: the runs that there are go on
            self.send(not_now(order.number, error))
            return
        self._runs[process.pid] = process.process_id
        self.send(Forked(number=order.number, process_id=process.process_id))
        process.begin()
        self._wants_spare = True

    def _process_for(self, line: bytes) -> Spare:
        spare, self._spare = self._spare, None
        if spare:
            if spare.take(line):
                return spare
            spare.end()
        process = self._forked()
        process.take(line)
        return process

    def _fork_ahead(self) -> None:
        """One that dies is replaced after the next launch: where memory has run out, another would not help."""
        self._wants_spare = False
        try:
            self._spare = self._forked()
        except OSError as error:
            sys.stderr.write(f"no process can be forked ahead of its order: {error}\n")

    def _forked(self) -> Spare:
        return Spare(self._let_go, self._become_run)

    def _let_go(self) -> None:
        """In a child: close what is the fork server's. Whoever waits for its end must hear of it although the child lives."""
        self._connection.close()
        for pipe in self._pipes:
            os.close(pipe)
        if self._spare:
            self._spare.let_go()

    def _become_run(self, line: bytes) -> NoReturn:
        """Train or score. The service knows of this process by now."""
        order = orders.validate_json(line)
        assert isinstance(order, Fork)
        try:
            _note(order.job)
            trainer = self._trainer(order.job.submission.request)
            child.main(order.job, order.line, trainer, self._pools)
        except BaseException:  # noqa: BLE001 - the last chance to say what it was
            with suppress(OSError), RunFolder(order.job.folder).log.open("a") as log:
                traceback.print_exc(file=log)
        finally:
            os._exit(child.EXIT_BROKEN)

    def _reap(self) -> None:
        while True:
            try:
                pid, status, usage = os.wait4(-1, os.WNOHANG)
            except ChildProcessError:
                return
            if not pid:
                return
            code = os.waitstatus_to_exitcode(status)
            if self._spare and pid == self._spare.pid:
                self._spare.let_go()
                self._spare = None
            elif not any(looks.ended(pid, code) for looks in self._looks) and pid in self._runs:
                kill_group(pid)
                seconds = usage.ru_utime + usage.ru_stime
                told = Exited(process_id=self._runs.pop(pid), code=code, cpu_seconds=seconds)
                self.send(told)


def _note(job: Job) -> None:
    """Where a later service finds this process, also if this one ends before it has noted which it is."""
    own = RunFolder(job.folder).of_rank(job.rank)
    with suppress(OSError):
        own.path.mkdir(exist_ok=True)
        own.note_process(process_id(os.getpid()))


def _wakes_for_children() -> int:
    """A pipe that can be read from when a child has ended."""
    wake, poke = os.pipe()
    os.set_blocking(poke, False)
    signal.set_wakeup_fd(poke, warn_on_full_buffer=False)
    signal.signal(signal.SIGCHLD, lambda *_: None)
    return wake


def _low(connection: int) -> socket.socket:
    """The connection by the lowest number that is free: the service's may be one that `select` does not take."""
    service = socket.socket(fileno=os.dup(connection))
    os.close(connection)
    return service


def main(package: str, models_path: str, tracking_uri: str, connection: str) -> None:
    """Import everything, say so with the models, serve."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    service = _low(int(connection))
    catalogue = get_warm(package, models_path, tracking_uri)
    catalogue, models = described(catalogue)
    clear_leftovers()
    folder = OwnFolder()
    server = ForkServer(service, catalogue, ThreadpoolController(), package, folder.path)
    gc.collect()
    gc.freeze()
    gc.enable()
    with suppress(BrokenPipeError, ConnectionResetError):
        server.send(Ready(models=models, broken=dict(catalogue.broken)))
        server.serve()
    folder.close()


if __name__ == "__main__":
    main(*sys.argv[1:])
