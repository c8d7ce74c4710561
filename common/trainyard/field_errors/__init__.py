"""What pydantic finds wrong, as JSON pointers and sentences that a caller can act on.

    bounds      pydantic's errors, but never a hundred thousand of them
    places      where in the request an error is, and which model it broke
    sentences   pointers, quoted values, sentences: plain and short
    complaints  the three together: `bad_fields`, and the refusal made of them

All of it is bounded, whatever was sent: how many fields are named, how long a pointer or a quoted
value is, and for how many unknown names the nearest known one is looked for.
"""

from trainyard.field_errors.complaints import (
    MOST_NAMED,
    MOST_SUGGESTIONS,
    BadFields,
    bad_fields,
    complaints,
    invalid,
)
from trainyard.field_errors.sentences import pointer, readable, sentence, shown

__all__ = [
    "MOST_NAMED",
    "MOST_SUGGESTIONS",
    "BadFields",
    "bad_fields",
    "complaints",
    "invalid",
    "pointer",
    "readable",
    "sentence",
    "shown",
]
