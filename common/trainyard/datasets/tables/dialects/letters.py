"""Which encoding makes words of bytes, by how words of a script are written and which letters are common in it.

It needs a few words, where a detector that knows languages needs sentences.
"""

import re
from collections.abc import Iterable
from dataclasses import dataclass

MOSTLY = 0.9
"""Of what is beyond ASCII, the share that must be in words as a script has them."""
WORD = re.compile(r"[^\W\d_]+")
PUNCTUATION = frozenset(
    "\N{NO-BREAK SPACE}\N{LEFT-POINTING DOUBLE ANGLE QUOTATION MARK}\N{RIGHT-POINTING DOUBLE ANGLE QUOTATION MARK}"
    "\N{EN DASH}\N{EM DASH}\N{HORIZONTAL ELLIPSIS}\N{NUMERO SIGN}\N{LEFT DOUBLE QUOTATION MARK}"
    "\N{RIGHT DOUBLE QUOTATION MARK}\N{DOUBLE LOW-9 QUOTATION MARK}\N{RIGHT SINGLE QUOTATION MARK}\N{EURO SIGN}"
)
CYRILLIC = r"[\u0400-\u042f\u0490]?[\u0430-\u045f\u0491]+|[\u0400-\u042f\u0490]+"
GREEK = r"[\u0386-\u03ab]?[\u03ac-\u03c1\u03c3-\u03ce]*[\u03ac-\u03ce]|[\u0386-\u03ab]+"
"""With the sigma of an end there alone."""
HEBREW = r"[\u05d0-\u05d9\u05db\u05dc\u05de\u05e0-\u05e2\u05e4\u05e6-\u05ea]*[\u05d0-\u05ea]"
"""With the letters of an end there alone."""
ARABIC = r"[\u0621-\u063a\u0641-\u064a]+"


@dataclass(frozen=True)
class Script:
    """How its words are written, and its commonest letters, which are two in three of any text."""

    encoding: str
    word: re.Pattern[str]
    common: frozenset[str]


SCRIPTS = (
    *(
        Script(encoding, re.compile(CYRILLIC), frozenset("оеаинтсрвлк"))
        for encoding in ("cp1251", "koi8-r", "cp866")
    ),
    Script("cp1253", re.compile(GREEK), frozenset("αάοόιίεέτσςνηήυρπκ")),
    Script("cp1255", re.compile(HEBREW), frozenset("יוהלארתבשמםנן")),
    Script("cp1256", re.compile(ARABIC), frozenset("اليمونرتبةعدأ")),
)
EASTERN = ("big5", "cp932", "gb18030", "cp949")
"""Their characters have two bytes, of which the second may be a letter of ASCII."""
ASCII_LETTER = re.compile(r"[A-Za-z]")
POLISH = re.compile(r"[^\W\d_][³¹¿¾º][^\W\d_]")
"""Signs of cp1252 within words are letters of cp1250: ł, ą, ż, ľ and ş."""
CZECH, CZECH_TOO, NOT_CZECH = frozenset("ýšžŠŽ"), frozenset("ìèøùÈØ"), frozenset("àçåã")
TURKISH, NOT_TURKISH = frozenset("ðýþÝ"), frozenset("áéíóúæÁÉÍÓÚÆ")
"""In cp1254 they are Turkish letters; in cp1252 they are of Iceland, which has many others."""


def script_of(data: bytes) -> str | None:
    """The encoding in which nearly all beyond ASCII is in words of another script; of several that with the most common letters."""
    found = {each.encoding: _commonness(data, each) for each in SCRIPTS}
    best = max(found, key=lambda encoding: found[encoding])
    return best if found[best] > 0 else None


def latin_of(data: bytes) -> str | None:
    """The encoding of text that would be western in cp1252, but for letters that no western language has together."""
    text = data.decode("cp1252", "replace")
    if any(_is_apart(data, encoding) for encoding in EASTERN):
        return None
    there = frozenset(text)
    if POLISH.search(text):
        return "cp1250"
    if there & CZECH and there & CZECH_TOO and not there & NOT_CZECH:
        return "cp1250"
    found = there & TURKISH
    if (len(found) > 1 or (found and "ç" in text.lower())) and not there & NOT_TURKISH:
        return "cp1254"
    return None


def _is_apart(data: bytes, encoding: str) -> bool:
    """Whether nearly all words beyond ASCII are without letters of ASCII, as they are in the right one of the east."""
    try:
        words = [word for word in WORD.findall(data.decode(encoding)) if not word.isascii()]
    except UnicodeDecodeError:
        return False
    return sum(ASCII_LETTER.search(word) is None for word in words) >= MOSTLY * len(words)


def _commonness(data: bytes, script: Script) -> float:
    """The share of its words' letters that are common in the script; 0 where they are none of its words."""
    text = data.decode(script.encoding, "replace")
    beyond = sum(not each.isascii() and each not in PUNCTUATION for each in text)
    words = [word for word in WORD.findall(text) if script.word.fullmatch(word)]
    letters = "".join(words).lower()
    if not letters or len(letters) < MOSTLY * beyond:
        return 0.0
    return _share(letters, script.common)


def _share(letters: Iterable[str], common: frozenset[str]) -> float:
    found = [each in common for each in letters]
    return sum(found) / len(found)
