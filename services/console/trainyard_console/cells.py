"""Fields of a form side by side, as many as the page is wide enough for."""

from collections.abc import Awaitable, Callable, Iterable
from functools import partial
from typing import Any, TypeVar

from nicegui import ui
from nicegui.elements.mixins.validation_element import ValidationElement
from nicegui.events import GenericEventArguments

CELL = "col-12 col-sm-6 col-md-3"
BY_ARROWS = """(event) => {
  const step = {ArrowDown: 1, ArrowUp: -1}[event.key];
  const items = [...event.currentTarget.querySelectorAll("[role=menuitem]")];
  if (!step || !items.length) return;
  event.preventDefault();
  const at = items.indexOf(document.activeElement);
  items[at < 0 && step < 0 ? items.length - 1 : (at + step + items.length) % items.length].focus();
}"""
"""Goes through a menu's items as arrows do in any menu; Tab does too."""
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
        self._settled = settled
        self.props("clearable")
        with self.add_slot("append"):
            self._button = ui.button(icon="arrow_drop_down", color=None)
            self._button.props("flat dense round size=sm aria-haspopup=menu aria-expanded=false")
            self._button.props["aria-label"] = f"choose {label}"
            self._button.disable()
            with self._button:
                self._menu = ui.menu().props("auto-close").on("keydown", js_handler=BY_ARROWS)
        self._menu.on_value_change(self._tell_whether_open)
        self.on("change", self._leave)

    def offer(self, names: Iterable[str]) -> None:
        """These to choose from; what the field holds stays, whether it is one of them or not."""
        offered = list(names)
        if offered == self._names:
            return
        self._names = offered
        self._button.set_enabled(bool(offered))
        self._menu.clear()
        with self._menu:
            for name in offered:
                ui.menu_item(name, partial(self._choose, name)).props("role=menuitem")

    def _tell_whether_open(self) -> None:
        self._button.props["aria-expanded"] = "true" if self._menu.value else "false"

    async def _leave(self, event: GenericEventArguments) -> None:
        """The field was left or cleared; of a clear the browser tells before it tells the value."""
        await self._choose(event.args)

    async def _choose(self, value: str | None) -> None:
        self.set_value(value)
        if self._settled is not None:
            await self._settled()


def choose(select: ui.select, value: str | None) -> None:
    """Choose it, whether it was offered or not."""
    if value and value not in select.options:
        select.set_options([*select.options, value])
    select.set_value(value)
