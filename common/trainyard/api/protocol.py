"""HTTP/1.1 as uvicorn speaks it, with a bound for what stands before a body."""

from typing import Any

from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

MOST_HEAD_BYTES = 65_536


class BoundedHead(HttpToolsProtocol):
    """Closes a connection whose request line and headers are longer than `MOST_HEAD_BYTES`.

    The parser takes any number of bytes, also of those who have no token. What arrives at once, some 256 KB at most, is
    parsed before it is counted.
    """

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._in_head = True
        self._came_to_an_end = False
        self._head_bytes = 0

    def data_received(self, data: bytes) -> None:
        """Parse what has arrived; it counts where all of it is of one head that goes on."""
        self._came_to_an_end = False
        super().data_received(data)
        goes_on = self._in_head and not self._came_to_an_end
        self._head_bytes = self._head_bytes + len(data) if goes_on else 0
        if self._head_bytes > MOST_HEAD_BYTES and not self.transport.is_closing():
            self.send_400_response(
                f"The request line and headers are over {MOST_HEAD_BYTES} bytes."
            )

    def on_headers_complete(self) -> None:
        """The body follows."""
        self._in_head, self._came_to_an_end = False, True
        super().on_headers_complete()

    def on_message_complete(self) -> None:
        """Another request may follow."""
        super().on_message_complete()
        self._in_head, self._came_to_an_end = True, True
