"""What a look at data has shown: its columns, how they would be trained on, and what to read before."""

from collections.abc import Callable
from functools import partial

from nicegui import ui
from trainyard.contract import DataPreview, PreviewedColumn

from trainyard_console.frame import quiet_button, words


class PreviewTable:
    """The columns, from which the target can be chosen by `choose`."""

    def __init__(self, choose: Callable[[str], None]) -> None:
        self._choose = choose
        self._found: DataPreview | None = None
        self._said = words("p", "").props('role=status aria-live="polite"')
        self._warnings = ui.element("ul").props('aria-label="warnings about the data"')
        self._box = ui.element("div").classes("wide preview")

    def wait(self) -> None:
        """A look is under way."""
        self._said.text = "Looking …"

    def fail(self, why: str) -> None:
        """Nothing could be seen; `why` is empty where the fields say it."""
        self.clear()
        self._said.text = why

    def clear(self) -> None:
        """Nothing was looked at."""
        self._found = None
        self._said.text = ""
        self._warnings.clear()
        self._box.clear()

    def show(self, found: DataPreview, *, has_target: bool) -> None:
        """What was seen, with a button a column where one of them is the target."""
        self.clear()
        self._found = found
        self._said.text = found.in_words
        of_columns = [text for each in found.columns for text in each.warnings]
        with self._warnings:
            for text in [*found.warnings, *of_columns]:
                words("li", text)
        if found.columns:
            with self._box.props('tabindex=0 role=region aria-label="columns"'):
                self._table(found.columns, has_target=has_target)

    def why_no_target(self, name: str) -> str | None:
        """What is wrong with the column as a target, as far as the first rows tell."""
        if self._found is None or not self._found.columns:
            return None
        column = next((each for each in self._found.columns if each.name == name), None)
        if column is None:
            return None if self._found.more_columns else f"{name!r} is not a column of the data"
        if column.missing:
            return f"{name!r} is missing in {column.missing:,} of the rows that were looked at; a target must be there in every row"
        return f"{name!r} cannot be trained on" if column.type == "none" else None

    def _table(self, columns: list[PreviewedColumn], *, has_target: bool) -> None:
        with ui.element("table").classes("facts"):
            with ui.element("thead"), ui.element("tr"):
                for text in ("Column", "Type", "Missing", "Examples"):
                    words("th", text).props("scope=col")
                if has_target:
                    words("th", "Target").props("scope=col")
            with ui.element("tbody"):
                for column in columns:
                    with ui.element("tr"):
                        self._row(column, has_target=has_target)

    def _row(self, column: PreviewedColumn, *, has_target: bool) -> None:
        words("th", column.name).props("scope=row")
        words("td", column.type)
        words("td", f"{column.missing:,}" if column.missing else "")
        words("td", ", ".join(column.examples))
        if has_target:
            with ui.element("td"):
                button = quiet_button("Predict this", on_click=partial(self._choose, column.name))
                button.props("dense").props["aria-label"] = f"predict {column.name}"
