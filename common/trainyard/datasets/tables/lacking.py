"""Files of a folder that lack the target, the weight, or their header line, or have a name twice: the file is named, and what to do."""

from collections.abc import Collection, Mapping, Sequence

from trainyard.contract import AnyTable
from trainyard.datasets.sources.location import Location
from trainyard.datasets.tables.selection import distinct
from trainyard.errors import InvalidData
from trainyard.suggestions import bare

LONGEST_SHOWN = 100


def needed_of(spec: AnyTable) -> list[str]:
    """The columns of which no row may lack a value: the target and the weight, where all rows count."""
    if spec.filter:
        return []
    return [name for name in (spec.target, spec.weight) if name is not None]


def check_files(
    columns: Mapping[str, Sequence[str]], needed: Collection[str], location: Location
) -> None:
    """Raise `InvalidData` for the first file that has a column twice, or lacks one of the `needed` that others have.

    `columns` are those of each file of the folder, by its path in it.
    """
    for name in needed:
        has = [file for file, names in columns.items() if name in names]
        lacking = [file for file in columns if file not in has]
        if has and lacking:
            said = _said(name, columns[lacking[0]], columns[has[0]])
            shown = f"{location.uri}/{lacking[0]}"
            more = f", as do {len(lacking) - 1} more files" if len(lacking) > 1 else ""
            raise InvalidData(f"{shown!r} {said}{more}", location.pointer)
    for file, names in columns.items():
        distinct(names, location.pointer, f" in {location.uri}/{file}")


def _said(name: str, names: Sequence[str], others: Sequence[str]) -> str:
    """What is wrong with a file of columns `names` beside one that has the column `name` among `others`."""
    alike = next((each for each in names if bare(each) == bare(name)), None)
    if alike is not None:
        return f"calls the column {name!r} {alike!r}; give it one name in all files"
    if not {bare(each) for each in names} & {bare(each) for each in others}:
        return f"begins with {_listed(names)}, where other files have the header {_listed(others)}; write the header into it, or take it out of the folder"
    return f"has no column {name!r}, which other files have; add it there, or take the file out of the folder"


def _listed(names: Sequence[str]) -> str:
    found = ", ".join(map(repr, names))
    return found if len(found) <= LONGEST_SHOWN else f"{found[:LONGEST_SHOWN]}…"
