"""Which encoding the first bytes of a text are in."""

import codecs

from trainyard.datasets.tables.dialects.letters import latin_of, script_of

MARKS = {
    codecs.BOM_UTF32_LE: "utf-32",
    codecs.BOM_UTF32_BE: "utf-32",
    codecs.BOM_UTF16_LE: "utf-16",
    codecs.BOM_UTF16_BE: "utf-16",
}
"""UTF-32 first: its mark begins as that of UTF-16 does."""
WESTERN = frozenset(
    bytes([*range(0xA0, 0x100), *b"\x80\x82\x84\x85\x86\x87\x89"]).decode("cp1252")
) | frozenset(
    bytes([*range(0x8A, 0x8D), 0x8E, *range(0x91, 0x98), *range(0x99, 0x9D), 0x9E, 0x9F]).decode(
        "cp1252"
    )
)
"""Beyond ASCII, what texts of western Europe have."""
MOSTLY = 0.9
MOST_TOGETHER = 0.4
"""Share of letters beyond ASCII that stand beside another one. In Cyrillic or Chinese it is nearly all."""
SAMPLE_BYTES = 1 << 16
WINDOWS = {"mac_greek": "cp1253"}
"""What charset-normalizer finds, and what it is: small letters are the same in both, and hardly a table is a Mac's."""


def encoding_of(data: bytes) -> str:
    """The encoding of a text that begins with `data`, by Python's name.

    Western texts and those of a few scripts are told apart here, as charset-normalizer takes short ones for other
    languages; what is left is charset-normalizer's to say.
    """
    for mark, encoding in MARKS.items():
        if data.startswith(mark):
            return encoding
    begin = data[:4096]
    for encoding, zeros in (("utf-32-le", (2, 3)), ("utf-32-be", (0, 1))):
        if all(begin[at::4].count(0) > MOSTLY * len(begin) / 4 for at in zeros):
            return encoding
    for encoding, odd in (("utf-16-le", 1), ("utf-16-be", 0)):
        # Before UTF-8, which a zero byte is too.
        if data[odd:4096:2].count(0) > 0.4 * len(data[:4096]) / 2:
            return encoding
    if is_utf8(data):
        return "utf-8"
    return _of_one_byte(data)


def is_guess(encoding: str) -> bool:
    """Whether the letters alone tell of such an encoding, so that it may be another."""
    return not encoding.startswith("utf-")


def is_utf8(data: bytes) -> bool:
    """Whether these are UTF-8, of which the last character may be cut."""
    try:
        codecs.getincrementaldecoder("utf-8")().decode(data)
    except UnicodeDecodeError:
        return False
    return True


def _of_one_byte(data: bytes) -> str:
    high = [at for at, byte in enumerate(data) if byte > 127][:SAMPLE_BYTES]
    letters = bytes(data[at] for at in high).decode("cp1252", "replace")
    there = set(high)
    together = sum(at - 1 in there or at + 1 in there for at in high) / len(high)
    around = b"\n".join(data.splitlines()[:1] + _lines_with_high(data))[:SAMPLE_BYTES]
    known = (script_of(around) if together > MOST_TOGETHER else None) or latin_of(around)
    if known is not None and _decodes(data, known):
        return known
    is_western = sum(each in WESTERN for each in letters) >= MOSTLY * len(letters)
    if is_western and together <= MOST_TOGETHER:
        return "cp1252" if _decodes(data, "cp1252") else "latin-1"
    return _by_languages(around, data)


def _by_languages(around: bytes, data: bytes) -> str:
    """What charset-normalizer says of the lines that are not ASCII, if all can be read so."""
    from charset_normalizer import from_bytes

    best = from_bytes(around).best()
    found = "latin-1" if best is None else WINDOWS.get(best.encoding, best.encoding)
    return found if _decodes(data, found) else "latin-1"


def _lines_with_high(data: bytes) -> list[bytes]:
    return [line for line in data.splitlines() if not line.isascii()]


def _decodes(data: bytes, encoding: str) -> bool:
    try:
        codecs.getincrementaldecoder(encoding)().decode(data)
    except UnicodeDecodeError:
        return False
    return True
