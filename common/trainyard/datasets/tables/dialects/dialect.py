"""How a CSV is written: what separates values, how text is quoted and encoded, and where the header is."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

# What pandas.read_csv takes for missing, so that a plain script sees the same table.
MISSING = (
    "",
    "#N/A",
    "#N/A N/A",
    "#NA",
    "-1.#IND",
    "-1.#QNAN",
    "-NaN",
    "-nan",
    "1.#IND",
    "1.#QNAN",
    "<NA>",
    "N/A",
    "NA",
    "NULL",
    "NaN",
    "None",
    "n/a",
    "nan",
    "null",
)
NAMES = {"\t": "a tab", " ": "a space"}


@dataclass(frozen=True)
class Dialect:
    """One way to write a CSV. The default is plain CSV."""

    delimiter: str = ","
    encoding: str = "utf-8"
    decimal: str = "."
    quote: str = '"'
    escape: str = ""
    """What stands before a quote inside quotes; empty where such a quote is doubled."""
    skip_rows: int = 0
    """Lines before the header."""
    header: bool = True
    extra: int = 0
    """1 where each row has one more value at its end than the header has names, -1 where it has one at its start."""

    def described(self) -> dict[str, Any]:
        """For the data profile, by the names that a request has for them."""
        return {
            "delimiter": self.delimiter,
            "encoding": self.encoding,
            "decimal": self.decimal,
            "quote": self.quote,
            "escape": self.escape,
            "skip_rows": self.skip_rows,
            "header": self.header,
        }


@dataclass(frozen=True)
class Layout:
    """A dialect with the columns of one file."""

    dialect: Dialect
    names: tuple[str, ...]
    """Of all columns in the file, in its order."""
    nameless: tuple[str, ...] = ()
    """Those without a name and without a value, as `names` calls them; they are no part of the table."""
    texts: frozenset[str] = frozenset()
    """Columns that are read as text, as another file of the same table, or what a model was trained on, has text in them."""
    missing: tuple[str, ...] = MISSING
    """Text that stands for a missing value."""
    codes: Mapping[str, str] = field(default_factory=dict)
    """Columns of whole numbers of which some begin with a zero, each with one of them."""
    stated: Mapping[str, Any] = field(default_factory=dict)
    """What the request says of the dialect."""
    word: str = ""
    """The first text beyond ASCII, as it reads in an encoding that was found by its letters."""

    def sentence(self, uri: str) -> str | None:
        """What a person should know of how the file is read; None for plain CSV and for what the request says."""
        found = [words for name, words in self._unusual() if name not in self.stated]
        if not found:
            return None
        return f"{uri!r} is not plain CSV, and is read with {', '.join(found)}; set data.csv to have it read otherwise"

    @property
    def in_encoding(self) -> str:
        """The encoding, and what tells a person whether it is right."""
        if not self.word:
            return f"the encoding {self.dialect.encoding}"
        return f"the encoding {self.dialect.encoding}, in which its first text beyond ASCII is {self.word!r} (where that is misspelt, set data.csv.encoding)"

    def _unusual(self) -> list[tuple[str, str]]:
        own, plain = self.dialect, Dialect()
        words = {
            "delimiter": f"the delimiter {NAMES.get(own.delimiter, repr(own.delimiter))}",
            "encoding": self.in_encoding,
            "decimal": "decimal commas",
            "quote": f"the quote {own.quote!r}",
            "escape": f"quotes escaped by {own.escape!r}",
            "skip_rows": f"the first {own.skip_rows} lines left out",
        }
        unusual = [
            (name, said)
            for name, said in words.items()
            if getattr(own, name) != getattr(plain, name)
        ]
        if own.extra < 0:
            said = "the first value of each row as its name, since the header has one name fewer than rows have values"
            unusual.append(("", said))
        if self.nameless:
            places = ", ".join(str(self.names.index(name) + 1) for name in self.nameless[:5])
            more = f" and {len(self.nameless) - 5} more" if len(self.nameless) > 5 else ""
            unusual.append(("", f"the nameless empty column {places}{more} left out"))
        return unusual
