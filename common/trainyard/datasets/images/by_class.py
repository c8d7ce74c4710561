"""A folder of pictures by class, `train/cat/1.png` or `cat/1.png`, decoded once to bytes by Pillow."""

import io
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from trainyard.datasets.images.class_folders import Labelled, divided
from trainyard.datasets.images.pixels import WHITE, Found, Images
from trainyard.datasets.sources.location import Location
from trainyard.datasets.sources.memory import check_fits
from trainyard.datasets.tables.parts import visible
from trainyard.errors import InvalidData

OTHER_ENDINGS = (
    *(".heic", ".heif", ".avif", ".jxl", ".jp2", ".svg", ".eps", ".pdf", ".psd", ".ico", ".tga"),
    *(".ppm", ".pgm", ".raw", ".dng", ".cr2", ".nef", ".arw", ".dcm", ".npy"),
)
"""Of pictures that are not read."""
FORMATS = ("PNG", "JPEG", "BMP", "GIF", "WEBP", "TIFF")
"""What Pillow may take a picture for, whatever its name says."""
LOOKED_AT = 20
"""Pictures whose headers are read at submit."""
MOST_BYTES = MOST_PIXELS = 1 << 25
GREY = frozenset({"1", "L", "LA", "I", "I;16", "I;16B", "F"})
DEEP = frozenset({"I", "I;16", "I;16B"})
CLEAR = frozenset({"LA", "La", "PA", "RGBA", "RGBa"})
"""With a part that says how much can be seen through."""
DARK = 64
"""Brightest of all bytes, below which pictures of 16 bits have lost most of their shades."""


@dataclass(frozen=True)
class _Picture:
    """A file with its class, and what its header says."""

    file: str
    label: str
    size: tuple[int, int] = (0, 0)
    """Width and height."""
    mode: str = ""
    moves: bool = False
    """Whether it has several frames or pages."""


def check(location: Location) -> None:
    """Raise `InvalidData` unless each picture is in the folder of a class, and the first ones are pictures."""
    for picture in divided(location).train[:LOOKED_AT]:
        _looked_at(location, picture)


def read(location: Location) -> Found:
    """All pictures in the size that most have, grey where all are. Raises `InvalidData`."""
    found = divided(location)
    said = [*found.said, *_unread(location)]
    train = [_looked_at(location, each) for each in found.train]
    test = [_looked_at(location, each) for each in found.test]
    both = [*train, *test]
    sizes = Counter(each.size for each in train)
    size = max(sizes, key=lambda each: (sizes[each], -each[0] * each[1]))
    channels = 1 if all(each.mode in GREY for each in both) else 3
    check_fits(len(both) * size[0] * size[1] * channels, repr(location.uri), location.pointer)
    said += _done(location, both, size, channels)
    made = [_images(location, part, size, channels) for part in (train, test)]
    said += _dark(location, both, [x for x, _ in made])
    return Found(made[0], made[1] if test else None, tuple(said))


def _unread(location: Location) -> list[str]:
    """A sentence where there are pictures of kinds that are not read."""
    files = [file for file in visible(location.files or ()) if file.lower().endswith(OTHER_ENDINGS)]
    if not files:
        return []
    return [
        f"{len(files)} file(s) of {location.uri!r}, such as {files[0]!r}, are pictures of kinds that are not read; save them as PNG or JPEG to train on them"
    ]


def _looked_at(location: Location, labelled: Labelled) -> _Picture:
    """The picture with what its header says, checked to be no bomb. Raises `InvalidData`."""
    opened = _opened(location, labelled.file)
    if opened.width * opened.height > MOST_PIXELS:
        raise InvalidData(
            f"{labelled.file!r} in {location.uri!r} is {opened.width} x {opened.height}, and at most {MOST_PIXELS:,} pixels are read; save it smaller",
            location.pointer,
        )
    mode = "RGBA" if "transparency" in opened.info else opened.mode
    return _Picture(labelled.file, labelled.label, opened.size, mode, _moves(opened))


def _moves(opened: Any) -> bool:
    try:
        return bool(getattr(opened, "is_animated", False))
    except (OSError, ValueError, SyntaxError, EOFError):
        return False  # what is damaged is told of by its decoding


def _opened(location: Location, file: str) -> Any:
    from PIL import Image, UnidentifiedImageError

    with location.seekable(file) as stream:
        if stream.size() > MOST_BYTES:
            raise InvalidData(
                f"{file!r} in {location.uri!r} takes {stream.size():,} bytes, and at most {MOST_BYTES:,} are read; save it smaller",
                location.pointer,
            )
        data = stream.read()
    try:
        return Image.open(io.BytesIO(data), formats=FORMATS)
    except (UnidentifiedImageError, OSError, ValueError, Image.DecompressionBombError) as error:
        raise _damaged(location, file, error) from error


def _images(
    location: Location, pictures: Sequence[_Picture], size: tuple[int, int], channels: int
) -> Images:
    """uint8 of (n, height, width, channels), and the classes."""
    x = np.empty((len(pictures), size[1], size[0], channels), dtype=np.uint8)
    for at, picture in enumerate(pictures):
        try:
            x[at] = _decoded(_opened(location, picture.file), size, channels)
        except (OSError, ValueError, SyntaxError) as error:
            raise _damaged(location, picture.file, error) from error
    return x, np.array([each.label for each in pictures], dtype=np.str_)


def _decoded(picture: Any, size: tuple[int, int], channels: int) -> npt.NDArray[np.uint8]:
    """Bytes of (height, width, channels): upright as a camera says, on white where it can be seen through."""
    from PIL import Image, ImageOps

    picture = ImageOps.exif_transpose(picture)
    if picture.mode in DEEP:
        picture = Image.fromarray(_as_bytes(np.asarray(picture).astype(np.float64), (65535,)))
    elif picture.mode == "F":
        picture = Image.fromarray(_as_bytes(np.asarray(picture).astype(np.float64), (1, WHITE)))
    if picture.mode in CLEAR or "transparency" in picture.info:
        picture = picture.convert("RGBA")
        white = Image.new("RGBA", picture.size, "white")
        picture = Image.alpha_composite(white, picture)
    picture = picture.convert("L" if channels == 1 else "RGB")
    if picture.size != size:
        picture = picture.resize(size, Image.Resampling.BILINEAR)
    return np.asarray(picture, dtype=np.uint8).reshape(size[1], size[0], channels)


def _as_bytes(shades: npt.NDArray[np.float64], whites: Sequence[int]) -> npt.NDArray[np.uint8]:
    """Shades as bytes, white at the first of `whites` that none is above. Raises ValueError for shades beyond them all."""
    low, high = shades.min(), shades.max()
    white = next((each for each in whites if low >= 0 and high <= each), None)
    if white is None:
        read = " or ".join(f"0..{each}" for each in whites)
        message = f"its values lie within {low:g}..{high:g}, and {read} is read"
        raise ValueError(message)
    return np.rint(shades * (WHITE / white)).astype(np.uint8)


def _done(
    location: Location, pictures: Sequence[_Picture], size: tuple[int, int], channels: int
) -> list[str]:
    """What is done to some of the pictures, in words."""
    others = [each for each in pictures if each.size != size]
    clear = [each for each in pictures if each.mode in CLEAR]
    grey = [each for each in pictures if each.mode in GREY and channels == 3]
    deep = [each for each in pictures if each.mode in DEEP]
    floats = [each for each in pictures if each.mode == "F"]
    moving = [each for each in pictures if each.moves]
    counted = {
        f"are not {size[0]} x {size[1]}, as most are, and are resized to it": others,
        "can be seen through, and are put on white": clear,
        "are grey among coloured ones, and are read as coloured": grey,
        "are of 16 bits, and are read as bytes": deep,
        "hold floats, and are read as bytes": floats,
        "have several frames or pages, of which the first is read": moving,
    }
    return [
        f"{len(found)} of {len(pictures)} pictures of {location.uri!r} {words}, such as {found[0].file!r}"
        for words, found in counted.items()
        if found
    ]


def _dark(
    location: Location, pictures: Sequence[_Picture], parts: Sequence[npt.NDArray[np.uint8]]
) -> list[str]:
    """A sentence where pictures of 16 bits use so few of these that few shades are left of them."""
    brightest = max(int(x.max(initial=0)) for x in parts)
    if brightest >= DARK or not all(each.mode in DEEP for each in pictures):
        return []
    return [
        f"the pictures of {location.uri!r} are of 16 bits, of which white is 65535, and none has more than {brightest * 257:,}, so that {brightest + 1} shades are left of theirs; save them as bytes, or brighter"
    ]


def _damaged(location: Location, file: str, error: Exception) -> InvalidData:
    from PIL import UnidentifiedImageError

    unknown = isinstance(
        error, UnidentifiedImageError
    )  # which tells of Python's own, and not of the picture
    why = "of no kind that is known" if unknown else str(error)
    return InvalidData(
        f"{file!r} in {location.uri!r} is not a readable picture: {why}; {', '.join(FORMATS)} are read",
        location.pointer,
    )
