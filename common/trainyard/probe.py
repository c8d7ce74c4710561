"""Asks the service in this container whether it is ready: `python -m trainyard.probe`, for a health check.

The standard library alone, because it is started every few seconds.
"""

import os
import sys
from pathlib import Path
from urllib.request import Request, urlopen

PATIENCE_SECONDS = 8


def main() -> None:
    """Exit with 0 when /readyz says ready, else say why not and exit with 1."""
    request = Request(f"http://127.0.0.1:{os.environ['TRAINYARD_PORT']}/readyz")
    token = os.environ.get("TRAINYARD_TOKEN")
    if file := os.environ.get("TRAINYARD_TOKEN_FILE"):
        token = token or Path(file).read_text().strip()
    if token:
        request.add_header("Authorization", f"Bearer {token}")
    try:
        with urlopen(request, timeout=PATIENCE_SECONDS):  # noqa: S310 - always http
            pass
    except OSError as error:
        body = getattr(error, "read", bytes)()
        sys.exit(f"{error} {body.decode(errors='replace')}".strip())


if __name__ == "__main__":
    main()
