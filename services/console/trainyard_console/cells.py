"""Fields of a form side by side, as many as the page is wide enough for."""

from collections.abc import Awaitable, Callable, Iterable
from functools import partial
from typing import Any, TypeVar

from nicegui import ui
from nicegui.elements.mixins.validation_element import ValidationElement

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


class ComboBox(ui.input):
    """A text field with a list of names to choose from; anything else can be written too.

    `settled` is called once what was written is left or entered, as the field is cleared, and as a name is chosen.
    """

    def __init__(self, label: str, settled: Callable[[], Awaitable[None]] | None = None) -> None:
        super().__init__(label)
        self._names: list[str] = []
        self._last: str | None = self.value
        self._settled = settled
        self.props("clearable")
        with self.add_slot("append"):
            button = ui.button(icon="arrow_drop_down", color=None).props("flat dense round size=sm")
            button.props["aria-label"] = f"choose {label}"
            with button:
                self._menu = ui.menu().props("auto-close")
        self.on("change", self._settle).on("clear", self._settle)

    def offer(self, names: Iterable[str]) -> None:
        """These to choose from; what the field holds stays, whether it is one of them or not."""
        offered = list(names)
        if offered == self._names:
            return
        self._names = offered
        self._menu.clear()
        with self._menu:
            for name in offered:
                ui.menu_item(name, partial(self._choose, name)).props("role=menuitem")

    async def _choose(self, name: str) -> None:
        self.set_value(name)
        await self._settle()

    async def _settle(self) -> None:
        if self.value != self._last:
            self._last = self.value
            if self._settled is not None:
                await self._settled()


def choose(select: ui.select, value: str | None) -> None:
    """Choose it, whether it was offered or not."""
    if value and value not in select.options:
        select.set_options([*select.options, value])
    select.set_value(value)
