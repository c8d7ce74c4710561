"""How a number is written: its decimal mark, what separates thousands, and what may stand around it."""

import re
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from trainyard.raw_columns import with_plain_signs

CODES = (
    *("USD", "EUR", "GBP", "CHF", "JPY", "CNY", "INR", "AUD", "CAD", "NZD", "SGD", "HKD", "BRL"),
    *("MXN", "ZAR", "SEK", "NOK", "DKK", "PLN", "CZK", "HUF", "RON", "TRY", "RUB", "KRW", "ILS"),
    *("THB", "IDR", "AED", "SAR", "VND", "PHP", "MYR", "TWD", "PKR", "BDT", "EGP", "NGN", "KES"),
    *("ARS", "CLP", "COP", "PEN", "UAH", "KZT", "BGN", "ISK", "QAR", "KWD", "MAD", "BTC"),
)
"""Of currencies, by ISO 4217; in small letters too."""
SYMBOLS = "$¢£¤¥\u058f\u09f3\u0e3f\u20a0-\u20c0元円원\uff04\uffe1\uffe5\uffe6"
CURRENCIES = rf"(?:US|A|C|NZ|HK|S|R)\$|[{SYMBOLS}]|Rs\.?|kr|zł|Kč|(?i:{'|'.join(CODES)})"
PER_CENT, PER_MILLE = "%", "\N{PER MILLE SIGN}"
AFFIX = rf"(?:{CURRENCIES}|{PER_CENT}|{PER_MILLE})"
SPACES = " \u00a0\u2007\u2009\u202f"
"""The plain one and those that cannot break a line, as wide as a digit, thin and thinner."""
APOSTROPHES = "'\N{RIGHT SINGLE QUOTATION MARK}\N{ACUTE ACCENT}`"
TEXT_MARK = f"[{APOSTROPHES[:2]}]"
"""What makes a text of a cell in a spreadsheet, where it stands before a number."""
NO_CENTS = "[.,](?:--?|\N{EN DASH}|\N{EM DASH})"
"""In place of decimals, as in 5,- for five of a currency."""

SEPARATORS = {" ": f"[{SPACES}]", "'": f"[{APOSTROPHES}]"}
"""Of thousands, where one sign is written in several ways; the others are as they are."""
LAKHS = r"[1-9]\d?(?:,\d{2})+,\d{3}|"
"""12,34,567, as in India."""


@dataclass(frozen=True)
class Notation:
    """One consistent way to write numbers. A sign of per cent or per mille is left out, and 12% is 12."""

    decimal: str = "."
    thousands: str = ""
    unit: str = ""
    """What stands behind each number, or before it, and is left out, such as kg."""
    in_seconds: bool = False
    """Whether durations and times of day are read too, as so many seconds."""

    @property
    def pattern(self) -> str:
        """A regular expression of one whole number so written, for Python and for RE2, which Arrow uses."""
        point, whole = re.escape(self.decimal), r"\d+"
        if self.thousands:
            whole = rf"(?:[1-9]\d{{0,2}}(?:{self._separator}\d{{3}})+|{LAKHS if self.thousands == ',' else ''}\d+)"
        decimals = rf"(?:{NO_CENTS}|{point}\d*)?"
        number = rf"(?:{whole}{decimals}|{point}\d+)(?:[eE][+-]?\d+)?"
        space = f"[{SPACES}]?"
        around = rf"(?:{AFFIX}|{re.escape(self.unit)})" if self.unit else AFFIX
        before = rf"(?:[+-]?{space}(?:{AFFIX}{space})?|{around}{space}[+-]?)"
        return rf"^{TEXT_MARK}?{before}{number}(?:{space}{around})?$"

    @property
    def ignored(self) -> str:
        """A regular expression of what is taken out of a number before it is read."""
        unit = re.escape(self.unit)
        units = f"^{unit}|{unit}$|" if unit else ""  # first: euros begins as a currency does
        apart = f"|{self._separator}" if self.thousands else ""
        return rf"{units}{AFFIX}|{NO_CENTS}|^{TEXT_MARK}|[{SPACES}]{apart}|\+"

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
    Notation(".", "_"),
)
"""In the order of preference where a column can be read by several with the same numbers."""
