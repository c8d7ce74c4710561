"""Raw columns as a trained model reads them: numbers, categories and dates, from whatever type a caller has.

This file is copied into logged models beside their own code, where Trainyard is not installed: it imports nothing
but pandas, numpy and MLflow. A column is described by an entry of the model's `preprocessing.json`, a dict with
`name`, `kind` and `optional`, and for text `notation`, for dates `date`.
"""

import datetime as dt
import math
import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import date, datetime
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd

MISSING = {"", "?", "-", "na", "n/a", "nan", "<na>", "nat", "null", "none"}
"""Text that stands for a missing number or date, in lower case; beside it what training found to."""
TRUTH = {"true": 1.0, "false": 0.0}
NUMBER = re.compile(r"-?(0|[1-9]\d*)(\.\d+)?")
"""As programs write them, so that codes such as 007 are none."""
ZERO_LED = re.compile(r"0[0-9]+")
"""A code whose zeros are lost where it is read as a number."""
HEXADECIMAL = re.compile(r"0[xX][0-9a-fA-F]+")
ZEROS = (
    *("\N{FULLWIDTH DIGIT ZERO}", "\N{ARABIC-INDIC DIGIT ZERO}", "\N{DEVANAGARI DIGIT ZERO}"),
    *("\N{EXTENDED ARABIC-INDIC DIGIT ZERO}", "\N{BENGALI DIGIT ZERO}", "\N{TAMIL DIGIT ZERO}"),
    *("\N{GURMUKHI DIGIT ZERO}", "\N{GUJARATI DIGIT ZERO}", "\N{TELUGU DIGIT ZERO}"),
    *("\N{KANNADA DIGIT ZERO}", "\N{MALAYALAM DIGIT ZERO}", "\N{THAI DIGIT ZERO}"),
    *("\N{LAO DIGIT ZERO}", "\N{MYANMAR DIGIT ZERO}", "\N{KHMER DIGIT ZERO}"),
)
"""The first of the ten digits of each script that is read."""
DIGITS = tuple(
    ("[" + "".join(chr(ord(zero) + digit) for zero in ZEROS) + "]", str(digit))
    for digit in range(10)
)
MARKS = (
    ("[\N{ARABIC DECIMAL SEPARATOR}\N{FULLWIDTH FULL STOP}]", "."),
    ("[\N{ARABIC THOUSANDS SEPARATOR}\N{FULLWIDTH COMMA}]", ","),
    ("[\N{FULLWIDTH PERCENT SIGN}\N{ARABIC PERCENT SIGN}]", "%"),
)
INVISIBLE = (
    "[\N{ZERO WIDTH SPACE}\N{ZERO WIDTH NON-JOINER}\N{ZERO WIDTH JOINER}\N{WORD JOINER}"
    "\N{ZERO WIDTH NO-BREAK SPACE}\N{SOFT HYPHEN}\N{LEFT-TO-RIGHT MARK}\N{RIGHT-TO-LEFT MARK}"
    "\N{LEFT-TO-RIGHT EMBEDDING}-\N{RIGHT-TO-LEFT OVERRIDE}\N{LEFT-TO-RIGHT ISOLATE}-\N{POP DIRECTIONAL ISOLATE}]"
)
"""What a copy from a page or a program leaves in a cell, and nobody sees."""
CELLS = ((INVISIBLE, ""), (r'^="(.*)"$', r"\1"))
"""The latter is how text is written for Excel, so that it stays as it is."""
MINUSES = (
    (
        "[\N{MINUS SIGN}\N{FULLWIDTH HYPHEN-MINUS}\N{SMALL HYPHEN-MINUS}\N{HYPHEN}\N{NON-BREAKING HYPHEN}]",
        "-",
    ),
    ("^(\\D{0,3})\N{EN DASH}(\\s?[\\d.,])", r"\1-\2"),
    (r"^([^\d(]*)\((.+)\)([^\d()]*)$", r"-\1\2\3"),
    (r"^(.*\d)\s?-$", r"-\1"),
)
"""Typographers' minus, a dash in its place, the brackets of accountants and the last sign of SAP, each with what it is in plain numbers."""
SIGNS = (*CELLS, *DIGITS, *MARKS, *MINUSES)
OTHER_SIGNS = "|".join(
    [
        *(pattern for pattern, _ in (*CELLS, *DIGITS, *MARKS, *MINUSES[:2])),
        r"\)[^\d()]*$|\d\s?-$",
    ]
)
"""Where a number may have signs that programs do not write. For Python and for RE2, as are `SIGNS`."""
MOST_SHOWN = 5

ISO, COMPACT = "ISO8601", "%Y%m%dT%H%M%S"
ISO_DATE = re.compile(r"\d{4}-\d\d-\d\d([T ].*)?", re.DOTALL)
ZONES = {
    **dict.fromkeys(("Z", "UTC", "GMT", "WET"), 0),
    "EDT": -4,
    "EST": -5,
    "CDT": -5,
    "MDT": -6,
    "MST": -7,
    "PDT": -7,
    "PST": -8,
    "WEST": 1,
    "CET": 1,
    "MEZ": 1,
    "CEST": 2,
    "MESZ": 2,
    "EET": 2,
    "EEST": 3,
    "MSK": 3,
    "JST": 9,
}
"""Hours from UTC of the zones whose letters mean one zone; those of America as RFC 2822 has them. CST, IST and BST mean several."""
WITH_ZONE = re.compile(
    rf"(:\d\d(?:\.\d+)?(?: [AP]M)?)\s?({'|'.join(ZONES)}|[+-]\d\d(?::?\d\d)?)$", re.IGNORECASE
)
TIMES = (
    *("", " %H:%M", " %H:%M:%S", " %H:%M:%S.%f", "T%H:%M:%S", ":%H:%M:%S"),
    *(" %I:%M %p", " %I:%M:%S %p", " %I:%M%p", " %I:%M:%S%p", " %I:%M:%S.%f %p"),
)
PLAINER_DATES = (
    (INVISIBLE, ""),
    ("[\N{NO-BREAK SPACE}\N{NARROW NO-BREAK SPACE}\N{THIN SPACE}]", " "),
    (r"(\d)(?:st|nd|rd|th)(?: of)?\b", r"\1"),
    (r"(?:, at |, | at )(\d{1,2}[:.]\d\d)", r" \1"),
    (r" (?:Uhr|uhr|hrs?)$", ""),
    (r" (\d{1,2})\.(\d\d)((?:\.\d\d(?:\.\d+)?)?(?: ?[AaPp][Mm])?)$", r" \1:\2\3"),
    (r"(:\d\d)\.(\d\d)((?:\.\d+)? ?[AaPp][Mm]|\.\d+)$", r"\1:\2\3"),
    (r"(:\d\d),(\d)", r"\1.\2"),
    (r"([+-]\d\d:?\d\d|Z)\[[A-Za-z_+-]+(?:/[A-Za-z_+-]+){0,2}\]$", r"\1"),
    (
        r"^[A-Z][a-z]{2} ([A-Z][a-z]{2}) {1,2}(\d{1,2}) (\d\d:\d\d:\d\d)( (?:[A-Z]{3,4}|[+-]\d{4}))? (\d{4})$",
        r"\1 \2 \5 \3\4",
    ),
)
"""What people and programs write into dates besides, each with the same in the `ORDERS` and `TIMES` that are read: th, a comma or at before the time, Uhr behind it, dots in it, a comma in its seconds, Java's name of a zone, and C's order."""
ANY_DIGIT = {ord(digit): "0" for digit in "123456789"}
COMMON_DATE = re.compile(r"[0-9/: TZ+-]*")
"""In which nothing of that is: most dates, and soon told."""
ORDERS: dict[str, tuple[str, ...]] = {
    "year_first": (
        *(f"%Y{mark}%m{mark}%d" for mark in "-/."),
        *("%Y. %m. %d.", "%Y年%m月%d日", "%Y%m%d"),
    ),
    "day_first": tuple(f"%d{mark}%m{mark}{year}" for mark in "/.-" for year in ("%Y", "%y")),
    "month_first": tuple(f"%m{mark}%d{mark}{year}" for mark in "/.-" for year in ("%Y", "%y")),
    "month_named": (
        *(f"%d{mark}{month}{mark}%Y" for mark in " -/" for month in ("%b", "%B")),
        *("%b %d, %Y", "%B %d, %Y", "%b %d %Y", "%B %d %Y", "%d. %b %Y", "%d. %B %Y"),
        *("%d-%b-%y", "%a, %d %b %Y", "%A, %B %d, %Y"),
    ),
}
"""How the day of a date as text may be written, by what comes first; `TIMES` may follow."""
YEAR = r"(?P<year>(?:1[89]|20|21)\d\d)"
SHORT_YEAR = r"(?P<year>(?:1[89]|20|21)\d\d|\d\d)"
APART = "[-/ _'\N{RIGHT SINGLE QUOTATION MARK}]{0,2}"
NUMBER_IN_YEAR = r"0?(?P<number>[1-9]\d?)"
WEEK = r"(?:W|WK|KW|CW|Week)"
PERIODS: dict[str, tuple[str, ...]] = {
    "month": (
        rf"{YEAR}(?:[-/ ]|[- ]?M){NUMBER_IN_YEAR}",
        rf"{NUMBER_IN_YEAR}[-/.]{YEAR}",
        rf"{YEAR}(?:年|\. ){NUMBER_IN_YEAR}[月.]",
        rf"{YEAR}(?P<number>\d\d)",
        rf"(?P<name>[A-Z]{{3,9}})[.,]?{APART}{SHORT_YEAR}",
        rf"{YEAR}[-/ ]?(?P<name>[A-Z]{{3,9}})",
    ),
    "quarter": (
        rf"{YEAR}[-/ ]{{0,2}}Q0?(?P<number>[1-4])",
        rf"Q(?P<number>[1-4]){APART}{SHORT_YEAR}",
        rf"(?P<number>[1-4])Q{APART}{SHORT_YEAR}",
    ),
    "half year": (
        rf"{YEAR}[-/ ]{{0,2}}[HS](?P<number>[12])",
        rf"H(?P<number>[12]){APART}{SHORT_YEAR}",
        rf"(?P<number>[12])H{APART}{SHORT_YEAR}",
    ),
    "week": (
        rf"{YEAR}[-/ ]{{0,2}}{WEEK} ?{NUMBER_IN_YEAR}(?:-?(?P<day>[1-7]))?",
        rf"{WEEK} ?{NUMBER_IN_YEAR}(?:[-/ ]|, ){YEAR}",
    ),
    "year": (
        YEAR,
        rf"[FC]Y ?{SHORT_YEAR}",
        rf"(?:FY ?)?{YEAR}[-/](?P<next>\d\d|\d{{4}})",
    ),
}
"""How the periods of a calendar are written as text; each is read as its first day. Without regard to case."""
MONTHS = (
    *("january", "february", "march", "april", "may", "june", "july", "august", "september"),
    *("october", "november", "december"),
)
SECONDS_A_DAY = 86_400
PARTS: dict[str, Callable[[pd.DatetimeIndex], Any]] = {
    "hour": lambda times: (times - times.normalize()).total_seconds() / SECONDS_A_DAY,
    "weekday": lambda times: times.day_of_week / 7,
    "day_of_month": lambda times: (times.day - 1) / 31,
    "month": lambda times: (times.month - 1) / 12,
}
"""What comes round again, as a share of the round; the hour with its minutes and seconds."""


def check_columns(rows: Any, columns: Sequence[Mapping[str, Any]]) -> pd.DataFrame:
    """The rows, if they have every column but optional ones. Raises ValueError that names those that are not there.

    A column is optional where training rows lacked its value too, so that the model knows what that means.
    """
    frame = rows if isinstance(rows, pd.DataFrame) else pd.DataFrame(rows)
    there = set(frame.columns)
    gone = [column["name"] for column in columns if column["name"] not in there]
    if len(gone) == len(columns):
        message = f"the rows have none of the model's columns; give a frame with columns of these names: {_listed(gone)}"
        raise ValueError(message)
    needed = {column["name"] for column in columns if not column.get("optional")}
    if absent := [name for name in gone if name in needed]:
        message = f"the rows lack {_listed(absent)}, which the model needs; names count as they are written, with their case and spaces"
        raise ValueError(message)
    return frame


def column_of(rows: pd.DataFrame, name: str) -> pd.Series:
    """The values of a column, of which all are missing where the rows do not have it."""
    if name in rows.columns:
        return rows[name]
    return pd.Series(np.nan, index=rows.index, dtype=np.float64)


def numbers(values: pd.Series, column: Mapping[str, Any]) -> npt.NDArray[np.float64]:
    """float64 of (n,), NaN where missing; text as training read it. Raises ValueError for what is no number."""
    if isinstance(values.dtype, pd.CategoricalDtype):
        values = values.astype(object)
    if (column.get("notation") or {}).get("seconds"):
        values = _in_seconds(values, column)
    if values.dtype.kind in "mM":
        message = f"the column {column['name']!r} is of type {values.dtype}, where numbers are due"
        raise ValueError(message)
    if not pd.api.types.is_numeric_dtype(values.dtype):
        values = values.astype(object).map(lambda value: _number(value, column))
    found: npt.NDArray[np.float64] = pd.to_numeric(values, errors="coerce").to_numpy(
        dtype=np.float64, na_value=np.nan
    )
    return found


def _in_seconds(values: pd.Series, column: Mapping[str, Any]) -> pd.Series:
    """Durations and times of day in seconds, as training read them; numbers as they are."""
    if values.dtype.kind == "m":
        found: pd.Series = values.dt.total_seconds()
        return found
    if values.dtype.kind in "biuf":
        return values
    return values.astype(object).map(lambda value: _seconds(value, column))


def _seconds(value: Any, column: Mapping[str, Any]) -> Any:
    if isinstance(value, dt.time):
        value = value.isoformat()
    if isinstance(value, dt.timedelta | np.timedelta64):
        return pd.Timedelta(value).total_seconds()
    if not isinstance(value, str) or ":" not in value:
        return value
    try:
        return pd.Timedelta(value.strip() + ":00" * (value.count(":") == 1)).total_seconds()
    except ValueError as error:
        message = (
            f"the column {column['name']!r} is {value!r}, where a time such as 17:30:00 is due"
        )
        raise ValueError(message) from error


def codes(values: pd.Series, categories: Sequence[Any]) -> npt.NDArray[np.int32]:
    """The position of each value among the categories, -1 where it is none of them: (n,).

    What is not there as it is written may be there as a number: 3, 3.0, "3" and "3.0" are one, and so are
    True, "True" and "true"; where categories are numbers or truths alone, 1 and true are one too. Where they are
    numbers alone, codes such as "01067" are the numbers that training read them as.
    """
    exact = {str(category): code for code, category in reversed([*enumerate(categories)])}
    alike = {same(category): code for code, category in reversed([*enumerate(categories)])}
    truths = _truths(alike)
    are_numbers = all(isinstance(each, float) for each in alike) and not any(
        isinstance(each, str) for each in categories
    )

    def code(value: Any) -> int:
        if isinstance(value, bytes):
            text = value.decode(errors="replace")
            value = text if text in exact else value.hex()
        key = same(value)
        if are_numbers and isinstance(key, str) and ZERO_LED.fullmatch(key):
            key = float(key)
        found: int = exact.get(str(value), alike.get(key, truths.get(key, -1)))
        return found

    values = values.astype(object)
    known = {value: code(value) for value in values.dropna().unique()}
    return values.map(known).fillna(-1).to_numpy(dtype=np.int32)


def same(value: Any) -> Any:
    """What is equal for values that are one category: numbers by their value, true and false in any case."""
    text = str(value)
    if NUMBER.fullmatch(text):
        return float(text)
    return text.casefold() if text.casefold() in TRUTH else text


def dates(values: pd.Series, column: Mapping[str, Any]) -> npt.NDArray[Any]:
    """datetime64[us] of (n,): the time on the wall in the column's zone. Raises ValueError for what is no date."""
    about = column["date"]
    if isinstance(values.dtype, pd.CategoricalDtype):
        values = values.astype(object)
    if values.dtype.kind == "M":
        return _on_the_wall(pd.DatetimeIndex(values), column)
    if values.isna().all():
        return np.full(len(values), np.datetime64("NaT"), "datetime64[us]")
    values = values.astype(object)
    if about.get("digits"):
        values = values.map(_digits)
    known = values.dropna().unique()
    found = np.full(len(known), np.datetime64("NaT"), "datetime64[us]")
    text = np.array([isinstance(value, str) for value in known], dtype=bool)
    found[text] = _written(known[text], column)
    for at in np.flatnonzero(~text):
        if not isinstance(known[at], date | datetime | np.datetime64):
            message = f"the column {column['name']!r} is {known[at]!r}, where a date is due, such as {_example(about)}"
            raise ValueError(message)  # noqa: TRY004 - one kind of error for all that is wrong with rows
        found[at] = _on_the_wall(pd.DatetimeIndex([known[at]]), column)[0]
    places = pd.Index(known).get_indexer(pd.Index(values))
    return np.where(places >= 0, found[places], np.datetime64("NaT"))


def parsed(words: Sequence[str], formats: Iterable[str], *, zone: str | None) -> npt.NDArray[Any]:
    """Dates as text to datetime64[us] of (n,), NaT where no format fits; in `zone` where there is one.

    Where `zone` is None, text with a zone fits none, and otherwise text without.
    """
    found = np.full(len(words), np.datetime64("NaT"), "datetime64[us]")
    words = plain_dates(words)
    aware = np.array([WITH_ZONE.search(word) is not None for word in words], dtype=bool)
    text = pd.Index([WITH_ZONE.sub(_offset, word) for word in words], dtype=object)
    fits = aware == (zone is not None)
    iso = np.array([ISO_DATE.fullmatch(word) is not None for word in text], dtype=bool)
    for each in formats:
        todo = np.flatnonzero(np.isnat(found) & fits & (iso if each == ISO else True))
        if each in PERIODS and zone is None:
            found[todo] = [period_start(word, each) for word in text[todo]]
        elif len(todo):
            written = each if each == ISO or zone is None else each + "%z"
            times = pd.to_datetime(
                text[todo], format=written, errors="coerce", utc=zone is not None
            ).as_unit("us")
            if zone is not None:
                times = times.tz_convert(zone).tz_localize(None)
            found[todo] = times.to_numpy()
    return found


def plain_date(word: str) -> str:
    """The text of a date without white space around it, as `ORDERS` and `TIMES` have it."""
    return plain_dates([word])[0]


def plain_dates(words: Iterable[str]) -> list[str]:
    """As `plain_date`, for many: what is to be replaced is found out once for all that are alike but for their digits."""
    found: dict[str, list[tuple[re.Pattern[str], str]]] = {}
    made = []
    for word in map(str.strip, words):
        plain = word
        if not COMMON_DATE.fullmatch(word):
            shape = word.translate(ANY_DIGIT)
            if shape not in found:
                found[shape] = _replaced_in(shape)
            for pattern, plainer in found[shape]:
                plain = pattern.sub(plainer, plain)
        made.append(plain.strip())
    return made


def _replaced_in(shape: str) -> list[tuple[re.Pattern[str], str]]:
    """Those of `PLAINER_DATES` that change a date of this shape, one after the other."""
    changing = []
    for pattern, plainer in PLAINER_DATES:
        changed = re.sub(pattern, plainer, shape)
        if changed != shape:
            changing.append((re.compile(pattern), plainer))
        shape = changed
    return changing


def period_start(word: str, kind: str) -> Any:
    """The first day of a month, a quarter, a week, …, as datetime64[D]; NaT where the word is none of this kind."""
    for pattern in PERIODS[kind]:
        if match := re.fullmatch(pattern, word, re.IGNORECASE | re.ASCII):
            try:
                return np.datetime64(_first_day(match.groupdict(), kind), "D")
            except ValueError:
                continue
    return np.datetime64("NaT", "D")


def _first_day(said: Mapping[str, str | None], kind: str) -> date:
    """Raises ValueError for what no calendar has, such as a month 13."""
    year, number = int(said["year"] or 0), int(said.get("number") or 1)
    if len(said["year"] or "") < len("2024"):
        year += 1900 if year >= 69 else 2000  # as strptime has it
    if name := said.get("name"):
        number = next((at for at, each in enumerate(MONTHS, 1) if each.startswith(name.lower())), 0)
    if (following := said.get("next")) and not str(year + 1).endswith(following):
        message = f"{following} does not follow {year}"
        raise ValueError(message)
    if kind == "week":
        return date.fromisocalendar(year, number, int(said.get("day") or 1))
    months = {"quarter": 3, "half year": 6}.get(kind, 1)
    return date(year, (number - 1) * months + 1, 1)


def _digits(value: Any) -> Any:
    """A whole number such as 20241231 as its digits, in which training found a date; others as they are."""
    whole = isinstance(value, int | np.integer) or (isinstance(value, float) and value.is_integer())
    return str(int(value)) if whole else value


def _offset(zone: re.Match[str]) -> str:
    """The zone behind a time as its hours from UTC, which all that reads dates knows."""
    hours = ZONES.get(zone[2].upper())
    offset = zone[2] if hours is None else f"{hours:+03d}"
    return zone[1] + offset + ":00" * (len(offset) == len("+00"))


def formats_of(order: str) -> list[str]:
    """Every way to write a date with this order, or a period of this kind; ISO-8601 first: nobody means anything else by it."""
    if order in PERIODS:
        return [ISO, order]
    return [ISO, COMPACT, *(day + time for day in ORDERS[order] for time in TIMES)]


def features_of(times: npt.NDArray[Any], formats: Iterable[str] = ()) -> dict[str, Any]:
    """What is made of the dates of training rows, datetime64[us] of (n,): the `origin` of elapsed days, and the `parts` that vary.

    Among `formats` may be a kind of periods, of whose first days only the month means something.

    The origin is the day in the middle, so that neither 0001-01-01 nor 9999-12-31, which stand for "unknown" in
    many a table, costs the others their precision.
    """
    there = times[~np.isnat(times)]
    if not len(there):
        return {"origin": "1970-01-01", "parts": []}
    middle = np.sort(there)[len(there) // 2]
    index = pd.DatetimeIndex(there)
    kind = next((each for each in formats if each in PERIODS), None)
    telling = tuple(PARTS) if kind is None else ("month",)
    varying = [name for name in telling if len(np.unique(PARTS[name](index))) > 1]
    return {"origin": str(middle.astype("datetime64[D]")), "parts": varying}


def feature_names(about: Mapping[str, Any]) -> list[str]:
    """The names of the columns that `date_features` makes."""
    return [
        "elapsed_days",
        *(f"{part}_{wave}" for part in about["parts"] for wave in ("sin", "cos")),
    ]


def date_features(times: npt.NDArray[Any], about: Mapping[str, Any]) -> npt.NDArray[np.float64]:
    """Days since the origin, and sine and cosine of each part: float64 of (n, 1 + 2 parts), NaN where there is no date."""
    index = pd.DatetimeIndex(times.astype("datetime64[us]"))
    since = index.to_numpy() - np.datetime64(about["origin"], "us")
    elapsed = np.where(np.isnat(since), np.nan, since.astype(np.int64) / (SECONDS_A_DAY * 1e6))
    angles = [
        2 * math.pi * np.asarray(PARTS[part](index), dtype=np.float64) for part in about["parts"]
    ]
    waves = [wave(angle) for angle in angles for wave in (np.sin, np.cos)]
    return np.column_stack([elapsed, *waves])


def written(times: pd.Series, about: Mapping[str, Any]) -> pd.Series:
    """Dates of a training frame as ISO-8601 text, which `dates` reads as they are; None where there is none."""
    index = pd.DatetimeIndex(times)
    if about["zone"] is not None:
        index = index.tz_localize(about["zone"], ambiguous=True, nonexistent="shift_forward")
    texts = [None if pd.isna(each) else each.isoformat() for each in index]
    return pd.Series(texts, index=times.index, dtype=object)


def take_csv() -> None:
    """Let MLflow's server, for models that take columns of any type, read CSV as text; `numbers` and `dates` read that.

    MLflow 3.17 declares such columns, and its server then refuses CSV, as it has no type to read them in.
    """
    from mlflow.types.schema import AnyType, Schema

    theirs: Any = Schema.pandas_types
    if getattr(theirs, "reads_any_as_text", False):
        return

    def pandas_types(schema: Schema) -> list[Any]:
        kinds: list[Any] = [] if schema.is_tensor_spec() else schema.input_types()
        if not any(isinstance(kind, AnyType) for kind in kinds):
            return list(theirs(schema))
        text = np.dtype(object)
        return [text if isinstance(kind, AnyType) else kind.to_pandas() for kind in kinds]

    pandas_types.reads_any_as_text = True  # type: ignore[attr-defined] # a mark on a function
    Schema.pandas_types = pandas_types  # type: ignore[method-assign,assignment] # what this is for


def with_plain_signs(text: str) -> str:
    """The text of a number, with digits as programs write them, and the minus before it where it is written as in (5) or 5-."""
    if re.search(OTHER_SIGNS, text):
        for pattern, plain in SIGNS:
            text = re.sub(pattern, plain, text)
    return text


def _listed(names: Sequence[str]) -> str:
    more = f" and {len(names) - MOST_SHOWN} more" if len(names) > MOST_SHOWN else ""
    return ", ".join(map(repr, names[:MOST_SHOWN])) + more


def _number(value: Any, column: Mapping[str, Any]) -> Any:
    if isinstance(value, str):
        return _parsed_number(value, column)
    if isinstance(value, date | datetime | list | tuple | dict | np.ndarray):
        message = f"the column {column['name']!r} is {value!r}, where a number is due"
        raise ValueError(message)  # noqa: TRY004 - one kind of error for all that is wrong with rows
    return value


def _parsed_number(text: str, column: Mapping[str, Any]) -> float:
    """The number that is written; NaN for what stands for a missing one."""
    notation, bare = column.get("notation"), text.strip()
    if bare.casefold() in MISSING or (notation and bare in notation["missing"]):
        return math.nan
    if bare.casefold() in TRUTH:
        return TRUTH[bare.casefold()]
    bare = with_plain_signs(bare)
    try:
        if HEXADECIMAL.fullmatch(bare):
            return float(int(bare, 16))
        if notation is None:
            return float(bare)
        if re.fullmatch(notation["pattern"], bare, re.ASCII):
            return float(re.sub(notation["ignored"], "", bare).replace(notation["decimal"], "."))
    except ValueError:
        pass
    message = f"the column {column['name']!r} is {text!r}, where a number is due"
    if notation:
        message += f" with the decimal mark {notation['decimal']!r}"
    raise ValueError(message)


def _truths(alike: Mapping[Any, int]) -> dict[Any, int]:
    """Where each of 1 and 0, or true and false, stands as the other is written; empty where that is not plain."""
    pairs = {"true": 1.0, "false": 0.0, 1.0: "true", 0.0: "false"}
    if not set(alike) <= {"true", "false"} and not set(alike) <= {0.0, 1.0}:
        return {}
    return {pairs[key]: code for key, code in alike.items()}


def _on_the_wall(times: pd.DatetimeIndex, column: Mapping[str, Any]) -> npt.NDArray[Any]:
    """Times as datetime64[us] in the column's zone. Raises ValueError for a zone where training had none, or none where it had."""
    zone = column["date"]["zone"]
    if (times.tz is None) != (zone is None) and not times.isna().all():
        has = "without a zone" if times.tz is None else f"with the zone {times.tz}"
        due = "without one" if zone is None else f"with one ({zone})"
        message = f"the column {column['name']!r} holds times {has}, and training had them {due}; give them likewise"
        raise ValueError(message)
    if times.tz is not None:
        times = times.tz_convert(zone).tz_localize(None)
    found: npt.NDArray[Any] = times.as_unit("us").to_numpy()
    return found


def _written(words: Sequence[str], column: Mapping[str, Any]) -> npt.NDArray[Any]:
    about = column["date"]
    found = parsed(words, about["formats"], zone=about["zone"])
    for word, time in zip(words, found, strict=True):
        bare = word.strip()
        if np.isnat(time) and bare.casefold() not in MISSING and bare not in about["missing"]:
            message = f"the column {column['name']!r} is {word!r}, where a date is due, such as {_example(about)}"
            raise ValueError(message)
    return found


def _example(about: Mapping[str, Any]) -> str:
    return "2024-12-31T08:00:00" + ("" if about["zone"] is None else "Z")
