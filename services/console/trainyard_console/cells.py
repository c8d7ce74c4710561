"""Fields of a form side by side, as many as the page is wide enough for."""

from collections.abc import Iterable
from typing import Any, TypeVar

from nicegui import ui
from nicegui.elements.mixins.validation_element import ValidationElement
from nicegui.events import GenericEventArguments

CELL = "col-12 col-sm-6 col-md-3"
E = TypeVar("E", bound=ValidationElement[Any])


def row_of_cells() -> ui.element:
    """What is made within stands side by side."""
    return ui.element("div").classes("row q-col-gutter-md")


def cell(element: E) -> E:
    """The element in a cell of the row that is being made."""
    with ui.element("div").classes(CELL) as box:
        element.move(box)
    element.bind_visibility_to(box)
    return element.classes("full-width")


class FreeSelect(ui.select):
    """A choice in which anything else can be written too; what is written counts as the field is left, or `commit` called."""

    def __init__(self, label: str) -> None:
        super().__init__(
            [], label=label, with_input=True, new_value_mode="add-unique", clearable=True
        )
        self._written: str | None = None
        self.on("input-value", self._write)
        self.on("blur", self.commit)
        self.on_value_change(self._chosen)

    def commit(self) -> None:
        """Take over what was written last."""
        if self._written is not None and self._written != (self.value or ""):
            choose(self, self._written or None)
            # Not after a choice of the page's own, which has closed it: that would take back what is written meanwhile.
            self.run_method("hidePopup")

    def _write(self, event: GenericEventArguments) -> None:
        self._written = event.args or ""

    def _chosen(self) -> None:
        self._written = None


def offer(select: ui.select, names: Iterable[str]) -> None:
    """These to choose from; what is chosen stays, whether it is one of them or not."""
    chosen = [select.value] if select.value else []
    select.set_options(list(dict.fromkeys([*names, *chosen])), value=select.value)


def choose(select: ui.select, value: str | None) -> None:
    """Choose it, whether it was offered or not."""
    if value and value not in select.options:
        select.set_options([*select.options, value])
    select.set_value(value)
