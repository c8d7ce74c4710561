"""Asks the service in this container how it is: `python -m trainyard.api.probe [--ready]`.

Without `--ready`, for a health check: whether the service answers and has its models loaded. MLflow is
not asked after, because a service without MLflow goes on training, and must not be restarted for it.
With `--ready`, before trainings are submitted: whether `/readyz` says that they would be accepted.

It needs no token: where people's tokens are in a file alone, it has none. With the service's one token
it hears from `/readyz` what is wrong.

The standard library alone, because it is started every few seconds.
"""

import json
import os
import sys
from pathlib import Path
from urllib.request import Request, urlopen

PATIENCE_SECONDS = 25


def main(*arguments: str) -> None:
    """Exit with 0 when all is well, else say what is not and exit with 1."""
    ready = "--ready" in arguments
    try:
        answer = _ask("/readyz", _token()) if ready else _ask("/healthz")
    except OSError as error:
        body = getattr(error, "read", bytes)()
        sys.exit(f"{error} {body.decode(errors='replace')}".strip())
    if not ready and not json.loads(answer)["loaded"]:
        sys.exit("the service has no models loaded yet; its log says more")


def _ask(path: str, token: str = "") -> bytes:
    """What the service answers. Raises `OSError` when it does not, or answers with an error."""
    request = Request(f"http://127.0.0.1:{os.environ['TRAINYARD_PORT']}{path}")
    if token:
        request.add_header("Authorization", f"Bearer {token}")
    with urlopen(request, timeout=PATIENCE_SECONDS) as response:  # noqa: S310 - always http
        return bytes(response.read())


def _token() -> str:
    """The token as the service itself finds it."""
    token, file = os.environ.get("TRAINYARD_TOKEN"), os.environ.get("TRAINYARD_TOKEN_FILE")
    return token or (Path(file).read_text().strip() if file else "")


if __name__ == "__main__":
    main(*sys.argv[1:])
