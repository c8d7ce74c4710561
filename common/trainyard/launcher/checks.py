"""What the fork server answers when a process that looked at a request has ended."""

from pydantic import ValidationError

from trainyard.contract import FieldError
from trainyard.launcher.looking import PARAMS
from trainyard.launcher.looks import Look
from trainyard.launcher.messages import Check, Checked


def checked(look: Look[Check], code: int) -> Checked:
    """What it found, or where it broke off."""
    lines = bytes(look.told).split(b"\n")
    for line in lines:
        if line.startswith(b"{"):
            try:
                return Checked.model_validate_json(line)
            except ValidationError:
                break
    reached = [line.decode() for line in lines if line.startswith(b"/")]
    error = FieldError(
        pointer=reached[-1] if reached else PARAMS, detail=look.broke("looking at this", code)
    )
    return Checked(number=look.order.number, errors=(error,))
