"""Which columns of a table are features, target and weight: the names in a spec held against the header.

Tables have up to tens of thousands of columns, so names are looked up in sets and dicts, never in lists.
"""

import re
from collections import Counter
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import Any

from trainyard.contract import CategoryColumn, DateColumn, NumberColumn, Split, TableData
from trainyard.errors import InvalidData
from trainyard.suggestions import suggestion

NUMBER = re.compile(r"[+-]?\d*[.,]\d+|[+-]?\d+", re.ASCII)


@dataclass(frozen=True)
class Selection:
    """Column names; `features` in the order of the spec, or of the table where the spec names none."""

    features: tuple[str, ...]
    target: str
    weight: str | None = None
    categorical: frozenset[str] = frozenset()
    named: bool = False
    """Whether the caller named the features, so that a bad one is pointed at by its position."""
    left_out: tuple[str, ...] = ()
    """Columns that hold a pandas index, left out because the caller did not name them."""
    key: str | None = None
    """The column that rows are divided by, where it is not chance; a feature only where the caller named it."""
    numbers: Mapping[str, NumberColumn] = field(default_factory=dict)
    """How the caller says that columns of text hold numbers."""
    dates: Mapping[str, DateColumn] = field(default_factory=dict)
    """How the caller says that columns hold dates."""
    ignores_dates: bool = False
    """Whether dates are left out, but for those in `dates`."""

    @property
    def labels(self) -> list[str]:
        """The target, and the weight and the column to divide by where there are."""
        others = [each for each in (self.weight, self.key) if each is not None]
        return [self.target, *others]

    @property
    def columns(self) -> list[str]:
        """All columns to read, each once."""
        return list(dict.fromkeys([*self.features, *self.labels]))

    def with_categories(self, names: Collection[str]) -> "Selection":
        """The same, with those features categories of which the request does not say otherwise."""
        stated = self.numbers.keys() | self.dates.keys()
        more = self.categorical | (set(names) & set(self.features)) - stated
        return replace(self, categorical=more) if more != self.categorical else self

    def pointer(self, feature: str) -> str:
        """Where in the request to mend `feature`."""
        return f"/data/features/{self._positions[feature]}" if self.named else "/data/drop"

    @cached_property
    def _positions(self) -> dict[str, int]:
        return {name: position for position, name in enumerate(self.features)}


def select(
    names: Sequence[str],
    spec: TableData,
    index: Collection[str] = frozenset(),
    *,
    key: str | None = None,
) -> Selection:
    """Hold the spec's names against the table's. Raises `InvalidData` for the first that cannot be right.

    Columns in `index` are features only where the spec names them in `features` or `categorical`; `key`, the
    column to divide rows by, only where `features` names it.
    """
    known = distinct(names, spec.pointer)
    apart = _apart(spec, known)
    _check_key(key, known, apart)
    _check_list(spec.drop, known, apart, "/data/drop")
    refused = {**dict.fromkeys(spec.drop, "in drop"), **apart}
    _check_list(spec.features or (), known, refused, "/data/features")
    if key is not None and key not in (spec.features or ()):
        refused.setdefault(key, "the column to divide by, and a feature only if features names it")
    named = {*(spec.features or ()), *spec.categorical, *refused}
    left_out = tuple(name for name in names if name in index and name not in named)
    unasked = {*refused, *left_out}
    features = tuple(spec.features or (name for name in names if name not in unasked))
    _check_features(features, names, left_out, spec)
    unused = dict.fromkeys(known.keys() - set(features), "not one of the features")
    _check_list(spec.categorical, known, {**unused, **refused}, "/data/categorical")
    _check_stated(spec, known, {**unused, **refused})
    return Selection(
        features,
        spec.target,
        spec.weight,
        named=spec.features is not None,
        left_out=left_out,
        key=key,
        **stated(spec),
    )


def stated(spec: TableData) -> dict[str, Any]:
    """What the spec says of how columns are to be read, by the names of a `Selection`."""
    columns = spec.columns.items()
    categories = [name for name, each in columns if isinstance(each, CategoryColumn)]
    return {
        "categorical": frozenset([*spec.categorical, *categories]),
        "numbers": {name: each for name, each in columns if isinstance(each, NumberColumn)},
        "dates": {name: each for name, each in columns if isinstance(each, DateColumn)},
        "ignores_dates": spec.dates == "ignore",
    }


def stated_at(name: str) -> str:
    """Where a request says how a column is to be read, as a JSON pointer."""
    return "/data/columns/" + name.replace("~", "~0").replace("/", "~1")


def _check_stated(spec: TableData, known: Collection[str], refused: Mapping[str, str]) -> None:
    """Raise `InvalidData` for a column of `spec.columns` that is no feature, or a category elsewhere."""
    categories = frozenset(spec.categorical)
    for name, each in spec.columns.items():
        _check_known(name, known, stated_at(name))
        if name in refused:
            raise InvalidData(f"{name!r} is {refused[name]}; take it out here", stated_at(name))
        if name in categories and not isinstance(each, CategoryColumn):
            raise InvalidData(
                f"{name!r} is a {each.type} here and in categorical too; take it out of one of them",
                stated_at(name),
            )


def _check_features(
    features: Sequence[str], names: Sequence[str], left_out: Sequence[str], spec: TableData
) -> None:
    """Raise `InvalidData` unless there are features, each with a name."""
    if not features:
        index_too = f" but the index {left_out[0]!r}; name it in features" if left_out else ""
        raise InvalidData(
            f"no columns are left to train on{index_too}",
            "/data/drop" if spec.drop else spec.pointer,
        )
    if "" in features:
        raise InvalidData(
            f"column {names.index('') + 1} of {len(names)} has no name; name it in the table, or list in features the columns to train on",
            spec.pointer,
        )


def selection_of_tests(selection: Selection, split: Split) -> Selection:
    """What a separate test table must have: all the same, but by column no word on which rows are its test rows."""
    return replace(selection, key=None) if split.by == "column" else selection


def _apart(spec: TableData, known: Collection[str]) -> dict[str, str]:
    """The columns that are no features, each with what it is."""
    _check_known(spec.target, known, "/data/target")
    apart = {spec.target: "the target"}
    if spec.weight is not None:
        _check_known(spec.weight, known, "/data/weight")
        if spec.weight == spec.target:
            raise InvalidData(
                f"{spec.weight!r} is the target and cannot be the weight too", "/data/weight"
            )
        apart[spec.weight] = "the weight"
    return apart


def _check_key(key: str | None, known: Collection[str], apart: Mapping[str, str]) -> None:
    """Raise `InvalidData` unless rows can be divided by the column."""
    if key is not None:
        _check_known(key, known, "/split/column")
        if key in apart:
            raise InvalidData(
                f"{key!r} is {apart[key]}; divide the rows by another column", "/split/column"
            )


def check_has(names: Sequence[str], selection: Selection) -> None:
    """Raise `InvalidData` unless the table for the test metrics has every column that is trained with."""
    known = distinct(names, "/data/test_uri")
    for name in selection.columns:
        _check_known(name, known, "/data/test_uri")


def distinct(names: Sequence[str], pointer: str, where: str = "") -> dict[str, int]:
    """The names, each once, in the table's order. Raises `InvalidData` for one that is there twice; `where` follows in its words."""
    counts = Counter(names)
    name, count = max(counts.items(), key=lambda each: each[1], default=("", 0))
    if count > 1:
        raise InvalidData(
            f"the column {name!r} occurs {count} times{where}; give each a name of its own{_headless(counts)}",
            pointer,
        )
    return counts


def _check_list(
    asked: Sequence[str], known: Collection[str], refused: Mapping[str, str], pointer: str
) -> None:
    seen: set[str] = set()
    for position, name in enumerate(asked):
        here = f"{pointer}/{position}"
        _check_known(name, known, here)
        if name in refused:
            raise InvalidData(f"{name!r} is {refused[name]}; take it out here", here)
        if name in seen:
            raise InvalidData(f"{name!r} is listed twice", here)
        seen.add(name)


def _check_known(name: str, known: Collection[str], pointer: str) -> None:
    if name not in known:
        hint = suggestion(name, known, otherwise="the columns are")
        raise InvalidData(f"{name!r} is not a column; {hint}{_misread(known)}", pointer)


def _misread(known: Collection[str]) -> str:
    """What to say in `data.csv`, where one column was found, or a header that looks like none."""
    if len(known) == 1:
        return "; where there are several, say in data.csv.delimiter what stands between values"
    return _headless(known)


def _headless(names: Collection[str]) -> str:
    """What to say in `data.csv` where most names are numbers."""
    if 2 * sum(NUMBER.fullmatch(each) is not None for each in names) <= len(names):
        return ""
    return (
        "; where no line has names, set data.csv.header to false, and columns are called 0, 1, 2, …"
    )
