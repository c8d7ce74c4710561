"""What is wrong with a request."""

from pydantic import Field

from trainyard.contract.wire import Wire


class FieldError(Wire):
    """One bad field: a JSON pointer into the request, and a sentence."""

    pointer: str
    detail: str


class Problem(Wire):
    """An error, as application/problem+json (RFC 9457)."""

    type: str
    title: str
    status: int
    detail: str
    errors: list[FieldError] = Field(default_factory=list)
