"""The `Prefer: wait=N` header (RFC 7240)."""

import re
from collections.abc import Iterable

LONGEST_WAIT_SECONDS = 60
MOST_DIGITS = 18
PREFERENCE = re.compile(
    r'\s*wait\s*=\s*(?:"([0-9]+)"|([0-9]+))\s*(?:;.*)?', re.ASCII | re.IGNORECASE
)


def preferred_wait(headers: Iterable[str]) -> int | None:
    """The seconds to wait, at most 60; None when nothing that can be understood was asked for."""
    for header in headers:
        for preference in header.split(","):
            if match := PREFERENCE.fullmatch(preference):
                digits = match[1] or match[2]
                return min(int(digits[:MOST_DIGITS]), LONGEST_WAIT_SECONDS)
    return None
