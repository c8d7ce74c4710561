"""What a person should read about a table, as a list of sentences that stays short."""

from collections.abc import Sequence

from trainyard.datasets.tables.recognition.notation import Notation
from trainyard.datasets.tables.selection import Selection

MOST = 100
"""Sentences. A table of thousands of constant columns needs no sentence for each."""


def of_columns(selection: Selection, target: Notation | None) -> list[str]:
    """A sentence for each index column that is no feature, and one where the target was text, written as `target` says."""
    said = [
        f"the column {name!r} is a pandas index and was left out; name it in features to use it"
        for name in selection.left_out
    ]
    if target is not None:
        said.append(
            f"the target {selection.target!r} is text, and is read as numbers with {target.words}"
        )
    return said


def bounded(sentences: Sequence[str]) -> tuple[str, ...]:
    """The first `MOST`, the last of which says how many more there are."""
    if len(sentences) <= MOST:
        return tuple(sentences)
    return (*sentences[: MOST - 1], f"{len(sentences) - MOST + 1} more columns have such warnings")
