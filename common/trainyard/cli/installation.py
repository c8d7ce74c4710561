"""What is installed on this machine: a service, and the way to the registry, for commands that call no server."""

import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from trainyard.client import Unreachable
from trainyard.errors import Invalid, ServiceError
from trainyard.field_errors import sentence


def installed() -> tuple[Any, Any]:
    """The settings and the service. Raises `ServiceError`."""
    try:
        from trainyard.service import installed_service
        from trainyard.settings import Settings

        settings = Settings()
        settings.secret  # noqa: B018 - reads the token's file, which may be missing
        return settings, installed_service()
    except ImportError as error:
        raise ServiceError(f"this needs trainyard[service]: {error}") from error
    except ValidationError as error:
        raise ServiceError("\n".join(_setting(each) for each in error.errors())) from error
    except (OSError, UnicodeDecodeError) as error:
        raise ServiceError(f"TRAINYARD_TOKEN_FILE cannot be read: {error}") from error


def _setting(each: Any) -> str:
    """What is wrong with a setting, by its variable; a rule about several names them itself."""
    if not each["loc"]:
        return str(each["msg"]).removeprefix("Value error, ")
    name = str(each["loc"][0])
    return f"{f'TRAINYARD_{name.upper()}' if name.islower() else name}: {sentence(each)}"


@contextmanager
def reachable_registry() -> Iterator[tuple[Any, Any]]:
    """The registry's functions and an MLflow client; an MLflow that is away becomes `Unreachable`."""
    os.environ.setdefault("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "2")  # somebody is waiting
    try:
        from mlflow import MlflowClient
        from mlflow.exceptions import MlflowException

        from trainyard.registry import mlflow_registry as registry
        from trainyard.tracking.availability import is_away
    except ImportError as error:
        raise ServiceError(f"this needs trainyard[service]: {error}") from error
    address = os.environ.get("MLFLOW_TRACKING_URI") or "http://127.0.0.1:5000"
    try:
        yield registry, MlflowClient(address)
    except MlflowException as error:
        if is_away(error):
            raise Unreachable(
                f"MLflow at {address} (MLFLOW_TRACKING_URI) does not answer: {error}"
            ) from error
        raise Invalid(f"MLflow at {address} refused: {error}") from error


def locks_dir() -> Path:
    """Where promotions take turns: the services' folder if it is named here, else the user's own."""
    if named := os.environ.get("TRAINYARD_LOCKS_DIR"):
        return Path(named)
    if work_dir := os.environ.get("TRAINYARD_WORK_DIR"):
        return Path(work_dir) / "locks"
    home = Path(os.path.expanduser("~"))  # noqa: PTH111 - Path.home() raises where there is none
    own = home / ".cache" if os.access(home, os.W_OK) else Path(tempfile.gettempdir())
    return own / "trainyard/locks"
