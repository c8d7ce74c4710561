"""Standard output and error of a process that was forked."""

import os
from io import TextIOWrapper


def standard_streams() -> tuple[TextIOWrapper, TextIOWrapper]:
    """Anew, so that no lock of the process that forked this one is in them. They are written line by line, whatever the text."""
    out, error = (
        os.fdopen(
            number, "w", buffering=1, encoding="utf-8", errors="backslashreplace", closefd=False
        )
        for number in (1, 2)
    )
    return out, error
