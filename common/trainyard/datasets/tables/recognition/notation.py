"""How a number is written: its decimal mark, what separates thousands, and what may stand around it."""

import re
from dataclasses import dataclass
from functools import cached_property
from typing import Any

CURRENCIES = r"R\$|[$€£¥₹₽₩₺₪]|USD|EUR|GBP|CHF|JPY|kr|zł"
PER_CENT = "%"
AFFIX = rf"(?:{CURRENCIES}|{PER_CENT})"
SPACES = " \u00a0\u2009\u202f"
"""The plain one and those that cannot break a line, thin and thinner."""


@dataclass(frozen=True)
class Notation:
    """One consistent way to write numbers. A per cent sign is left out, and 12% is 12."""

    decimal: str = "."
    thousands: str = ""
    in_seconds: bool = False
    """Whether durations and times of day are read too, as so many seconds."""

    @property
    def pattern(self) -> str:
        """A regular expression of one whole number so written, for Python and for RE2, which Arrow uses."""
        point, whole = re.escape(self.decimal), r"\d+"
        if self.thousands:
            whole = rf"(?:[1-9]\d{{0,2}}(?:{self._separator}\d{{3}})+|\d+)"
        number = rf"(?:{whole}(?:{point}\d*)?|{point}\d+)(?:[eE][+-]?\d+)?"
        space = f"[{SPACES}]?"
        return rf"^[+-]?{space}(?:{AFFIX}{space})?[+-]?{number}(?:{space}{AFFIX})?$"

    @property
    def ignored(self) -> str:
        """A regular expression of what is taken out of a number before it is read."""
        return rf"{AFFIX}|[+{SPACES}]" + (f"|{self._separator}" if self.thousands else "")

    @property
    def words(self) -> str:
        """As a person would say it."""
        apart = {"": "", " ": " and thousands apart by spaces"}
        return f"decimal {self.decimal!r}" + apart.get(
            self.thousands, f" and thousands apart by {self.thousands!r}"
        )

    def matches(self, text: str) -> bool:
        """Whether the text, without white space around it, is a number so written."""
        return self._compiled.match(text) is not None

    def as_json(self) -> dict[str, Any]:
        """What a logged model needs to read text as training did."""
        said = {"pattern": self.pattern, "ignored": self.ignored, "decimal": self.decimal}
        return said | {"seconds": True} if self.in_seconds else said

    @cached_property
    def _compiled(self) -> re.Pattern[str]:
        return re.compile(self.pattern, re.ASCII)

    @property
    def _separator(self) -> str:
        return f"[{SPACES}]" if self.thousands == " " else re.escape(self.thousands)


PLAIN = Notation()
DECIMAL_COMMA = Notation(",")
THOUSANDS_COMMA = Notation(".", ",")
SECONDS = Notation(in_seconds=True)
NOTATIONS = (
    PLAIN,
    DECIMAL_COMMA,
    THOUSANDS_COMMA,
    Notation(",", "."),
    Notation(".", " "),
    Notation(",", " "),
    Notation(".", "'"),
    Notation(",", "'"),
)
"""In the order of preference where a column can be read by several with the same numbers."""
