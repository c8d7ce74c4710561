"""Texts in rows and columns; what is wider than the page scrolls by itself."""

from collections.abc import Iterable, Sequence

from nicegui import ui

from trainyard_console.frame import words


class Table:
    """A table under a name, whose first column says what each row is about."""

    def __init__(self, name: str, columns: Sequence[str]) -> None:
        self._columns = columns
        self._shown: list[Sequence[str]] = []
        box = ui.element("div").classes("wide")
        box.props("tabindex=0 role=region").props["aria-label"] = name
        with box:
            self._table = ui.element("table").classes("facts")

    def show(self, rows: Iterable[Sequence[str]]) -> None:
        """These rows, where they are others than before."""
        found = list(rows)
        if found == self._shown:
            return
        self._shown = found
        self._table.clear()
        with self._table:
            with ui.element("thead"), ui.element("tr"):
                for text in self._columns:
                    words("th", text).props("scope=col")
            with ui.element("tbody"):
                for row in found:
                    _show_row(row)


def _show_row(cells: Sequence[str]) -> None:
    with ui.element("tr"):
        words("th", cells[0]).props("scope=row")
        for text in cells[1:]:
            words("td", text)
