"""Which role each call needs, in one table, and whose name stands under what they ask for."""

from collections.abc import Mapping
from typing import TypeVar

from fastapi import Request

from trainyard.contract import (
    Caller,
    Promotion,
    Role,
    Rollback,
    RunRequest,
    TrainRequest,
    When,
)
from trainyard.errors import Forbidden

Word = TypeVar("Word", Promotion, Rollback)
RULES: Mapping[str, Role | None] = {
    "get_health": None,
    "get_readiness": None,
    "custom_swagger_ui_html": None,
    "swagger_ui_redirect": None,
    "list_runs": Role.READ,
    "get_run": Role.READ,
    "get_outcome": Role.READ,
    "get_logs": Role.READ,
    "get_curves": Role.READ,
    "get_trials": Role.READ,
    "get_request": Role.READ,
    "get_yard": Role.READ,
    "list_registered_models": Role.READ,
    "list_versions": Role.READ,
    "list_models": Role.READ,
    "get_model": Role.READ,
    "list_datasets": Role.READ,
    "get_capacity": Role.READ,
    "get_usage": Role.READ,
    "get_version": Role.READ,
    "get_metrics": Role.READ,
    "train": Role.TRAIN,
    "score": Role.TRAIN,
    "preview_data": Role.TRAIN,
    "cancel_run": Role.TRAIN,
    "promote_run": Role.PROMOTE,
    "roll_back": Role.PROMOTE,
    "get_audit": Role.ADMIN,
    "decide": Role.ADMIN,
    "predict": Role.ADMIN,
}
"""By the route's name, which is its operationId; None needs no token. A route that is not here is an admin's alone."""


async def check_role(request: Request) -> None:
    """Raise `Forbidden` where the caller's role is not enough. Without tokens, and between services, there is no caller."""
    caller = caller_of(request)
    route = request.scope["route"].name
    needed = RULES.get(route, Role.ADMIN)
    if caller is not None and needed is not None and not caller.role.includes(needed):
        raise _forbidden(caller, needed, f"{request.method} {request.scope['route'].path}")


def check_register(caller: Caller | None, wanted: RunRequest) -> None:
    """Raise `Forbidden` for a training that would move an alias by itself, asked for by who may not promote."""
    if caller is None or caller.role.includes(Role.PROMOTE) or not isinstance(wanted, TrainRequest):
        return
    register = wanted.register_
    if register is not None and register.alias is not None:
        what = f"/register/alias: to give {register.alias!r} to the new version"
        raise _forbidden(caller, Role.PROMOTE, what)
    if register is not None and register.promote is not None and register.promote.when is When.NOW:
        what = f'/register/promote: to move {register.promote.alias!r} as the run ends ("when": "asked" leaves it to who may)'
        raise _forbidden(caller, Role.PROMOTE, what)


def signed(word: Word, caller: Caller | None) -> Word:
    """With the name of who asks; a name that somebody gives for another stands beside their own."""
    if caller is None or not caller.is_a_person or word.by == caller.name:
        return word
    by = f"{word.by} (by the token of {caller.name})" if word.by else caller.name
    return word.model_copy(update={"by": by})


def caller_of(request: Request) -> Caller | None:
    """Whose token came with the call; None where none is asked for."""
    return getattr(request.state, "caller", None)


def _forbidden(caller: Caller, needed: Role, what: str) -> Forbidden:
    return Forbidden(f"{what} needs the role {needed}, and {caller.name} has {caller.role}")
