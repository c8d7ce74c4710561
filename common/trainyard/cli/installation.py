"""The service that is installed on this machine, for commands that call no server."""

from typing import Any

from pydantic import ValidationError

from trainyard.errors import ServiceError
from trainyard.field_errors import sentence


def installed() -> tuple[Any, Any]:
    """The settings and the service. Raises `ServiceError`."""
    try:
        from trainyard.service import installed_service
        from trainyard.settings import Settings

        settings = Settings()
        settings.secret  # noqa: B018 - reads the token's file, which may be missing
        service = installed_service()
        return settings.of(service), service
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
