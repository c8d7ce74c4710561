"""Stands between a service and who asks it, and notes what is asked."""

import re
import socket
import threading
import time
from contextlib import suppress

REQUEST_LINE = re.compile(rb"(GET|POST|DELETE) (\S+) HTTP/1.1\r\n")


class Turnstile:
    """Passes bytes on to a service, and notes when each request came by."""

    def __init__(self, port: int) -> None:
        self.requests: list[tuple[float, str, str]] = []
        self._target = port
        self._listener = socket.create_server(("127.0.0.1", 0), backlog=256)
        self.url = f"http://127.0.0.1:{self._listener.getsockname()[1]}"
        threading.Thread(target=self._accept, daemon=True).start()

    def close(self) -> None:
        self._listener.close()

    def _accept(self) -> None:
        with suppress(OSError):
            while True:
                caller, _ = self._listener.accept()
                service = socket.create_connection(("127.0.0.1", self._target))
                threading.Thread(
                    target=self._pass, args=(caller, service, True), daemon=True
                ).start()
                threading.Thread(
                    target=self._pass, args=(service, caller, False), daemon=True
                ).start()

    def _pass(self, source: socket.socket, sink: socket.socket, noted: bool) -> None:
        with suppress(OSError):
            while data := source.recv(65536):
                if noted and (found := REQUEST_LINE.match(data)):
                    self.requests.append((time.monotonic(), found[1].decode(), found[2].decode()))
                sink.sendall(data)
        for each in (source, sink):
            with suppress(OSError):
                each.shutdown(socket.SHUT_RDWR)
