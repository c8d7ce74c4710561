"""What changed, in a sentence for people and in rows for a table."""

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from trainyard.drift.stability import Bin, Moved

if TYPE_CHECKING:
    from trainyard.drift.comparison import ColumnDrift, Drift

NAMED = 5
"""Columns that a sentence names; the others are counted."""
LONGEST_LABEL = 40
LONGEST_NAME = 100
"""Of a column: some tables are called by the questions of a survey."""


def sentence(drift: "Drift") -> str:
    """Which columns moved and how, the target, and what is gone, new or of another kind."""
    parts = [
        *_of_columns(drift.columns),
        *(["the target moved " + _how(drift.target)] if drift.target else []),
        *_of_names("gone", drift.gone),
        *_of_names("new", drift.new),
        *_of_names(
            "of another kind",
            [
                f"{_short(each.name)} ({each.before} before, {each.now} now)"
                for each in drift.changed
            ],
        ),
    ]
    return "; ".join(parts) or "there is nothing to compare"


def change(most: Bin) -> str:
    """A bin in words, such as "above 60: 10.0% of rows before, 31.0% now"."""
    label = most.label if len(most.label) <= LONGEST_LABEL else most.label[:LONGEST_LABEL] + "…"
    return f"{label}: {most.before:.1%} of rows before, {most.now:.1%} now"


def rows(drift: "Drift") -> list[dict[str, Any]]:
    """All have the same keys; what could not be compared has None where there is nothing to say."""
    return [
        *(_row(each) for each in drift.most_moved),
        *(_blank(each.name, f"{each.before} became {each.now}") for each in drift.changed),
        *(_blank(name, "gone") for name in drift.gone),
        *(_blank(name, "new") for name in drift.new),
    ]


def _of_columns(columns: Sequence["ColumnDrift"]) -> list[str]:
    if not columns:
        return []
    parts = []
    named = [each for each in columns if each.moved is not Moved.LITTLE][:NAMED]
    for level in (Moved.MUCH, Moved.SOME):
        found = [f"{_short(each.name)} ({_why(each)})" for each in named if each.moved is level]
        if found:
            parts.append(f"moved {level}: {', '.join(found)}")
    if not named:
        top = columns[0]
        return [f"no column moved more than a little (most: {_short(top.name)}, PSI {top.psi:.2f})"]
    return [*parts, *_counted(columns, len(named))]


def _counted(columns: Sequence["ColumnDrift"], named: int) -> list[str]:
    """How many columns are not named, by how far they moved."""
    little = sum(each.moved is Moved.LITTLE for each in columns)
    more = len(columns) - little - named
    return [
        *([f"{more} more moved some or much"] if more else []),
        *([f"{little} moved little"] if little else []),
    ]


def _of_names(what: str, names: Sequence[str]) -> list[str]:
    if not names:
        return []
    more = f" and {len(names) - NAMED} more" if len(names) > NAMED else ""
    return [f"{what}: {', '.join(map(_short, names[:NAMED]))}{more}"]


def _short(name: str) -> str:
    return name if len(name) <= LONGEST_NAME else name[:LONGEST_NAME] + "…"


def _how(column: "ColumnDrift") -> str:
    why = f"PSI {column.psi:.2f}" if column.moved is Moved.LITTLE else _why(column)
    return f"{column.moved} ({why})"


def _why(column: "ColumnDrift") -> str:
    """The index, what moved most, and new categories where that is not what moved most."""
    said = f"PSI {column.psi:.2f}, {change(column.most)}"
    if column.new.share >= 0.001 and column.most.label != "new categories":
        said += f", {column.new.share:.1%} in new categories"
    if column.new.names and column.new.share:
        said += f", such as {column.new.names[0][:LONGEST_LABEL]!r}"
    return said


def _row(column: "ColumnDrift") -> dict[str, Any]:
    return {
        "column": column.name,
        "kind": column.kind,
        "moved": str(column.moved),
        "psi": round(column.psi, 6),
        "most": column.most.label,
        "before": round(column.most.before, 6),
        "now": round(column.most.now, 6),
        "missing_before": column.missing_before,
        "missing_now": column.missing_now,
        "new_categories": column.new.share,
    }


def _blank(name: str, what: str) -> dict[str, Any]:
    keys = ("psi", "most", "before", "now", "missing_before", "missing_now", "new_categories")
    return {"column": name, "kind": None, "moved": what, **dict.fromkeys(keys)}
