"""The program `trainyard`, started over and over: each time a process of its own, forked from one that has imported it.

Starting Python and importing the program takes 0.8 s of a processor, forking it hardly anything. Who starts one has a
small process in front of it, which passes signals on and ends as the program does.

`python tests/warm_program.py SOCKET` is the process that has imported it. It ends with its standard input.
"""

import json
import os
import select
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from tempfile import TemporaryDirectory
from typing import NoReturn

from trainyard.cli import main

FRONT = """
import json, os, signal, socket, sys
SIGNALS = signal.SIGINT, signal.SIGTERM
signal.pthread_sigmask(signal.SIG_BLOCK, SIGNALS)
with socket.socket(socket.AF_UNIX) as line, line.makefile("rw") as words:
    line.connect(sys.argv[1])
    socket.send_fds(line, [b"."], [0, 1, 2])
    print(json.dumps([sys.argv[2:], dict(os.environ)]), file=words, flush=True)
    process = int(words.readline())
    for number in SIGNALS:
        signal.signal(number, lambda number, _: os.kill(process, number))
    signal.pthread_sigmask(signal.SIG_UNBLOCK, SIGNALS)
    os.closerange(0, 3)
    os._exit(int(words.readline()))
"""


@contextmanager
def warm_program() -> Iterator[tuple[str, ...]]:
    """The words to start a process with that is the program; its arguments follow."""
    with TemporaryDirectory(prefix="trainyard-warm-") as home:
        address = f"{home}/socket"
        with subprocess.Popen(
            [sys.executable, __file__, address], stdin=subprocess.PIPE, stdout=subprocess.PIPE
        ) as process:
            assert process.stdin
            assert process.stdout
            assert process.stdout.readline(), "it listens"
            yield (sys.executable, "-I", "-S", "-c", FRONT, address)
            process.stdin.close()


def serve(address: str) -> None:
    """Fork a process for each that calls, until standard input ends."""
    signal.signal(signal.SIGCHLD, signal.SIG_IGN)
    with socket.create_server(address, family=socket.AF_UNIX, backlog=64) as listening:
        os.write(sys.stdout.fileno(), b"listening\n")
        while sys.stdin not in select.select([listening, sys.stdin], [], [])[0]:
            line, _ = listening.accept()
            with line:
                if os.fork() == 0:
                    listening.close()
                    attend(line)


def attend(line: socket.socket) -> NoReturn:
    """Start the program for who is at the other end, tell its process and how it ended."""
    signal.signal(signal.SIGCHLD, signal.SIG_DFL)
    _, descriptors, _, _ = socket.recv_fds(line, 1, 3)
    with line.makefile("rw") as words:
        arguments, environment = json.loads(words.readline())
        process = os.fork()
        if process == 0:
            become(arguments, environment, descriptors)
        for each in descriptors:
            os.close(each)
        print(process, file=words, flush=True)
        _, status = os.waitpid(process, 0)
        print(os.waitstatus_to_exitcode(status), file=words, flush=True)
    os._exit(0)


def become(arguments: list[str], environment: dict[str, str], descriptors: list[int]) -> NoReturn:
    """The program, with these arguments and variables, on these standard streams."""
    for number, each in enumerate(descriptors):
        os.dup2(each, number)
        os.close(each)
    os.environ.clear()
    os.environ.update(environment)
    sys.argv[1:] = arguments
    main()
    sys.exit()


if __name__ == "__main__":
    serve(sys.argv[1])
