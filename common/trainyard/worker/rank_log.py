"""The lines that one rank of several writes to the run's log: each begins with the rank."""

import io


class RankLog(io.TextIOWrapper):
    """As the stream it is made of, with the rank before each line."""

    def __init__(self, stream: io.TextIOWrapper, rank: int) -> None:
        super().__init__(
            stream.detach(), encoding="utf-8", errors="backslashreplace", line_buffering=True
        )
        self._prefix = f"[rank {rank}] "
        self._at_start = True

    def write(self, text: str) -> int:
        """Write, and answer how many characters of the text that were."""
        lines = text.splitlines(keepends=True)
        for position, line in enumerate(lines):
            begins = self._at_start if position == 0 else True
            super().write(f"{self._prefix}{line}" if begins else line)
        if lines:
            self._at_start = lines[-1].endswith(("\n", "\r"))
        return len(text)
