"""Which pictures of a folder train and which test, and of which class each is, by the folders that they lie in."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from trainyard.datasets.sources.location import Location
from trainyard.datasets.tables.parts import visible
from trainyard.errors import InvalidData

ENDINGS = (
    *(".png", ".apng", ".jpg", ".jpeg", ".jpe", ".jfif", ".bmp", ".gif", ".webp"),
    *(".tif", ".tiff"),
)
PARTS = {
    "train": frozenset({"train", "training", "train_set", "training_set"}),
    "test": frozenset({"test", "testing", "test_set", "testing_set"}),
    "validation": frozenset({"val", "valid", "validation", "validation_set"}),
}
"""How the folder of each part may be called, in lower case."""
RIGHT = "'train/cat/1.png' or 'cat/1.png' is right"
SHOWN = 3


@dataclass(frozen=True)
class Labelled:
    """A file of the folder with its class."""

    file: str
    label: str


@dataclass(frozen=True)
class Divided:
    """The pictures to train on, those to test on where they are set apart, and what to say of it."""

    train: list[Labelled]
    test: list[Labelled]
    said: list[str]


def holds_pictures(location: Location) -> bool:
    """Whether the folder has pictures in it, or nothing but such without a byte."""
    return bool(_pictures(location.files or location.empty))


def divided(location: Location) -> Divided:
    """The pictures of the folder; those without a byte are left out, and told of. Raises `InvalidData`."""
    files = _pictures([*(location.files or ()), *location.empty])
    paths, said = _unwrapped({file: file for file in files}, location, "")
    parts = {path.split("/")[0].lower() for path in paths.values()}
    if parts & PARTS["train"]:
        found, more = _by_part(paths, location)
    else:
        _check_trains(paths, parts, location)
        found, more = {"train": _labelled(paths, location)}, _sentence_of_parts(paths, location)
    said += more
    empty = frozenset(location.empty)
    said += _without_bytes(found, empty, location)
    full = {part: [each for each in some if each.file not in empty] for part, some in found.items()}
    return _of_parts(full, said, location)


def _pictures(files: Iterable[str]) -> list[str]:
    return sorted(file for file in visible(files) if file.lower().endswith(ENDINGS))


def _unwrapped(
    paths: dict[str, str], location: Location, part: str
) -> tuple[dict[str, str], list[str]]:
    """Each file's path, without the folders that have all classes, or all parts, in them; and a sentence of these."""
    wrapping: list[str] = []
    while (
        all(path.count("/") > 1 for path in paths.values())
        and len(tops := {path.split("/")[0] for path in paths.values()}) == 1
        and (part or not {top.lower() for top in tops} & PARTS["train"])
    ):
        wrapping += tops
        paths = {file: path.partition("/")[2] for file, path in paths.items()}
    if not wrapping:
        return paths, []
    folder = "/".join([part, *wrapping] if part else wrapping)
    return paths, [f"the classes of {location.uri!r} are the folders below {folder!r}"]


def _by_part(
    paths: dict[str, str], location: Location
) -> tuple[dict[str, list[Labelled]], list[str]]:
    """The pictures of each part that has a folder of its own."""
    found: dict[str, dict[str, str]] = {}
    folders: dict[str, str] = {}
    for file, path in paths.items():
        folder, _, rest = path.partition("/")
        known = next((name for name, each in PARTS.items() if folder.lower() in each), None)
        if known is None:
            raise InvalidData(
                f"{file!r} in {location.uri!r} is beside the folder of training pictures; put it into 'train', 'validation' or 'test'",
                location.pointer,
            )
        found.setdefault(known, {})[file] = rest
        folders[known] = folder
    said: list[str] = []
    for part, some in found.items():
        found[part], more = _unwrapped(some, location, folders[part])
        said += more
    return {part: _labelled(some, location) for part, some in found.items()}, said


def _labelled(paths: dict[str, str], location: Location) -> list[Labelled]:
    made = []
    for file, path in paths.items():
        label, _, name = path.partition("/")
        if not name:
            raise InvalidData(
                f"{file!r} in {location.uri!r} is in no folder of a class; {RIGHT}",
                location.pointer,
            )
        made.append(Labelled(file, label))
    return made


def _check_trains(paths: dict[str, str], tops: set[str], location: Location) -> None:
    """Raise `InvalidData` where the folders are those of tests, with classes in them, and none is to train on."""
    are_tests = tops <= PARTS["test"] | PARTS["validation"]
    if are_tests and all(path.count("/") > 1 for path in paths.values()):
        raise InvalidData(
            f"{location.uri!r} has the folders {', '.join(map(repr, sorted(tops)))} and none of pictures to train on; put these into 'train'",
            location.pointer,
        )


def _sentence_of_parts(paths: dict[str, str], location: Location) -> list[str]:
    """A sentence where each class has the same folders in it, as parts have classes."""
    inner: dict[str, set[str]] = {}
    for path in paths.values():
        folders = path.split("/")[:-1]
        inner.setdefault(folders[0], set()).add(folders[1] if len(folders) > 1 else "")
    names = next(iter(inner.values()), set())
    if len(inner) < 2 or len(names) < 2 or any(each != names for each in inner.values()):
        return []
    return [
        f"the folders {_shown(sorted(inner))} of {location.uri!r} are read as classes, and each has the same folders in it, {_shown(sorted(names))}; where these are the classes, call the folders above them 'train' and 'test'"
    ]


def _without_bytes(
    found: dict[str, list[Labelled]], empty: frozenset[str], location: Location
) -> list[str]:
    """A sentence where pictures are without a byte. Raises `InvalidData` where a class has only such to train on."""
    none = [each for some in found.values() for each in some if each.file in empty]
    if not none:
        return []
    total = sum(map(len, found.values()))
    left = {each.label for each in found["train"] if each.file not in empty}
    for each in found["train"]:
        if each.label not in left:
            raise InvalidData(
                f"the class {each.label!r} of {location.uri!r} has no picture that holds anything: {each.file!r} has 0 bytes; save the pictures again, or take the folder away",
                location.pointer,
            )
    return [
        f"{len(none)} of {total} pictures of {location.uri!r} have 0 bytes and are left out, such as {_shown([each.file for each in none])}"
    ]


def _of_parts(found: dict[str, list[Labelled]], said: list[str], location: Location) -> Divided:
    """What is to validate tests where nothing else does, and trains too where something does."""
    train, test, validation = (found.get(part, []) for part in PARTS)
    if not validation:
        return Divided(train, test, said)
    if not test:
        more = f"the validation pictures of {location.uri!r} are the test, as there are no others"
        return Divided(train, validation, [*said, more])
    more = f"the validation pictures of {location.uri!r} are among those to train on, of which split.validation_size are set apart"
    return Divided([*train, *validation], test, [*said, more])


def _shown(names: Sequence[str]) -> str:
    more = f" and {len(names) - SHOWN} more" if len(names) > SHOWN else ""
    return ", ".join(map(repr, names[:SHOWN])) + more
