"""Which columns of a table are features, target and weight: the names in a spec held against the header."""

import difflib
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

from trainyard.contract import FileData
from trainyard.errors import InvalidData


@dataclass(frozen=True)
class Selection:
    """Column names; `features` in the order of the spec, or of the table where the spec names none."""

    features: tuple[str, ...]
    target: str
    weight: str | None = None
    categorical: frozenset[str] = frozenset()
    named: bool = False
    """Whether the caller named the features, so that a bad one is pointed at by its position."""

    @property
    def columns(self) -> list[str]:
        """All columns to read."""
        return [*self.features, self.target, *([self.weight] if self.weight else [])]

    def pointer(self, feature: str) -> str:
        """Where in the request to mend `feature`."""
        return f"/data/features/{self.features.index(feature)}" if self.named else "/data/drop"


def select(names: Sequence[str], spec: FileData) -> Selection:
    """Hold the spec's names against the table's. Raises `InvalidData` for the first that cannot be right."""
    _check_duplicates(names)
    _check_known(spec.target, names, "/data/target")
    if spec.weight is not None:
        _check_known(spec.weight, names, "/data/weight")
        if spec.weight == spec.target:
            raise InvalidData(f"{spec.weight!r} is the target and cannot be the weight too", "/data/weight")
    apart = {spec.target: "the target", **({spec.weight: "the weight"} if spec.weight else {})}
    _check_list(spec.drop, names, apart, "/data/drop")
    dropped = dict.fromkeys(spec.drop, "in drop")
    _check_list(spec.features or (), names, {**dropped, **apart}, "/data/features")
    features = tuple(spec.features or (name for name in names if name not in apart and name not in dropped))
    if not features:
        raise InvalidData("no columns are left to train on", "/data/drop" if spec.drop else "/data/uri")
    unused = {name: "not one of the features" for name in names if name not in features}
    _check_list(spec.categorical, names, {**unused, **dropped, **apart}, "/data/categorical")
    return Selection(features, spec.target, spec.weight, frozenset(spec.categorical), named=spec.features is not None)


def check_has(names: Sequence[str], selection: Selection) -> None:
    """That the table for the test metrics has every column the training table is used with."""
    _check_duplicates(names, "/data/test_uri")
    for name in selection.columns:
        _check_known(name, names, "/data/test_uri")


def _check_duplicates(names: Sequence[str], pointer: str = "/data/uri") -> None:
    twice = [name for name, count in Counter(names).items() if count > 1]
    if twice:
        raise InvalidData(f"the column {twice[0]!r} occurs {names.count(twice[0])} times; give each a name of its own", pointer)


def _check_list(asked: Sequence[str], names: Sequence[str], refused: dict[str, str], pointer: str) -> None:
    for position, name in enumerate(asked):
        here = f"{pointer}/{position}"
        _check_known(name, names, here)
        if name in refused:
            raise InvalidData(f"{name!r} is {refused[name]}; take it out here", here)
        if name in asked[:position]:
            raise InvalidData(f"{name!r} is listed twice", here)


def _check_known(name: str, names: Sequence[str], pointer: str) -> None:
    if name in names:
        return
    near = difflib.get_close_matches(name, names, n=1, cutoff=0.5)
    shown = ", ".join(map(repr, names[:20])) + (", …" if len(names) > 20 else "")  # noqa: PLR2004 - enough to recognise a table by
    raise InvalidData(f"{name!r} is not a column; {f'did you mean {near[0]!r}? The' if near else 'the'} columns are {shown}", pointer)
