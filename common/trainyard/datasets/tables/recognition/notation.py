"""How a number is written: its decimal mark, what separates thousands, and what may stand around it."""

import re
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from trainyard.raw_columns import with_plain_signs

CODES = (
    *("USD", "EUR", "GBP", "CHF", "JPY", "CNY", "INR", "AUD", "CAD", "NZD", "SGD", "HKD", "BRL"),
    *("MXN", "ZAR", "SEK", "NOK", "DKK", "PLN", "CZK", "HUF", "RON", "TRY", "RUB", "KRW", "ILS"),
    *("THB", "IDR", "AED", "SAR"),
)
"""Of currencies, by ISO 4217."""
CURRENCIES = r"(?:US|A|C|NZ|HK|S|R)\$|[$€£¥₹₽₩₺₪]|Rs\.?|kr|zł|Kč|" + "|".join(CODES)
PER_CENT = "%"
AFFIX = rf"(?:{CURRENCIES}|{PER_CENT})"
SPACES = " \u00a0\u2009\u202f"
"""The plain one and those that cannot break a line, thin and thinner."""

SEPARATORS = {" ": f"[{SPACES}]", "'": "['\N{RIGHT SINGLE QUOTATION MARK}]"}
"""Of thousands, where one sign is written in several ways; the others are as they are."""
LAKHS = r"[1-9]\d?(?:,\d{2})+,\d{3}|"
"""12,34,567, as in India."""


@dataclass(frozen=True)
class Notation:
    """One consistent way to write numbers. A per cent sign is left out, and 12% is 12."""

    decimal: str = "."
    thousands: str = ""
    unit: str = ""
    """What stands behind each number and is left out, such as kg."""
    in_seconds: bool = False
    """Whether durations and times of day are read too, as so many seconds."""

    @property
    def pattern(self) -> str:
        """A regular expression of one whole number so written, for Python and for RE2, which Arrow uses."""
        point, whole = re.escape(self.decimal), r"\d+"
        if self.thousands:
            whole = rf"(?:[1-9]\d{{0,2}}(?:{self._separator}\d{{3}})+|{LAKHS if self.thousands == ',' else ''}\d+)"
        number = rf"(?:{whole}(?:{point}\d*)?|{point}\d+)(?:[eE][+-]?\d+)?"
        space = f"[{SPACES}]?"
        behind = rf"(?:{AFFIX}|{re.escape(self.unit)})" if self.unit else AFFIX
        before = rf"(?:[+-]?{space}(?:{AFFIX}{space})?|{AFFIX}{space}[+-])"
        return rf"^{before}{number}(?:{space}{behind})?$"

    @property
    def ignored(self) -> str:
        """A regular expression of what is taken out of a number before it is read."""
        unit = f"|{re.escape(self.unit)}$" if self.unit else ""
        return rf"{AFFIX}|[+{SPACES}]{unit}" + (f"|{self._separator}" if self.thousands else "")

    @property
    def words(self) -> str:
        """As a person would say it."""
        apart = {"": "", " ": " and thousands apart by spaces"}
        said = f"decimal {self.decimal!r}" + apart.get(
            self.thousands, f" and thousands apart by {self.thousands!r}"
        )
        return f"{said}, without the unit {self.unit!r}" if self.unit else said

    def matches(self, text: str) -> bool:
        """Whether the text, without white space around it, is a number so written."""
        return self._compiled.match(with_plain_signs(text)) is not None

    def as_json(self) -> dict[str, Any]:
        """What a logged model needs to read text as training did."""
        said = {"pattern": self.pattern, "ignored": self.ignored, "decimal": self.decimal}
        return said | {"seconds": True} if self.in_seconds else said

    @cached_property
    def _compiled(self) -> re.Pattern[str]:
        return re.compile(self.pattern, re.ASCII)

    @property
    def _separator(self) -> str:
        return SEPARATORS.get(self.thousands, re.escape(self.thousands))


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
