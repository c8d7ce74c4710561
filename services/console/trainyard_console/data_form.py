"""The data of a training as fields: where it comes from, and a look at its columns before anything is sent."""

import re
from collections.abc import Callable, Iterable, Mapping
from pathlib import PurePosixPath
from typing import Any

from nicegui import ui
from nicegui.elements.mixins.validation_element import ValidationElement
from trainyard.client import AsyncTrainyardClient
from trainyard.contract import DataPreview, DatasetInfo
from trainyard.errors import RequestError, TrainyardError, Unauthorized

from trainyard_console.cells import ComboBox, cell, choose, row_of_cells
from trainyard_console.frame import Page, quiet_button
from trainyard_console.preview import PreviewTable
from trainyard_console.words import said

SOURCES: dict[str, dict[str, str]] = {
    "table": {
        "builtin": "builtin",
        "file": "file",
        "delta": "Delta table",
        "iceberg": "Iceberg table",
        "sql": "query of a database",
    },
    "images": {"builtin": "builtin", "images": "images"},
}
"""By the kind of data that a model takes."""
FIELDS = {
    "builtin": ("name",),
    "file": ("uri", "target"),
    "delta": ("uri", "target"),
    "iceberg": ("catalog", "table", "target"),
    "sql": ("connection", "query", "target"),
    "images": ("uri",),
}
"""Of each source, what has to be said of it."""


class DataForm:
    """The fields of one source at a time. `client` gives the service that is to look at the data."""

    def __init__(
        self,
        page: Page,
        client: Callable[[], AsyncTrainyardClient],
        changed: Callable[[], None],
    ) -> None:
        self._page, self._client, self._changed = page, client, changed
        self._datasets: list[DatasetInfo] = []
        self._asked = 0
        with row_of_cells():
            self.source = cell(ui.select({}, label="Source"))
            self._name = cell(ui.select([], label="Name"))
            self._uri = cell(ComboBox("Path below a data root, or address", self._other_path))
            catalog = cell(ui.input("Catalog", placeholder="lake"))
            table = cell(ui.input("Table", placeholder="shop.sales"))
            connection = cell(ui.input("Connection", placeholder="warehouse, or files"))
            self._target = cell(ComboBox("Target column"))
        query = ui.textarea("Query", placeholder="SELECT …").props("autogrow")
        self.fields: dict[str, ValidationElement[Any]] = {
            "name": self._name,
            "uri": self._uri,
            "catalog": catalog,
            "table": table,
            "connection": connection,
            "query": query.classes("full-width"),
            "target": self._target,
        }
        self._look = quiet_button("Look at the data", on_click=self.look)
        self._seen = PreviewTable(self._predict)
        self.source.on_value_change(self._changed_source)
        self._name.on_value_change(changed)
        for each in (catalog, table, connection):
            each.on("blur", changed)
        for field in self.fields.values():
            if field is not self._target:
                field.on_value_change(self._forget)

    def offer(self, kinds: Iterable[str], datasets: list[DatasetInfo]) -> None:
        """The sources of these kinds of data, and what the service lists of each."""
        self._datasets = datasets
        sources = {key: word for kind in kinds for key, word in SOURCES[kind].items()}
        kept = self.source.value if self.source.value in sources else "builtin"
        self.source.set_options(sources, value=kept)
        self._show_source(kept=self._uri.value)

    def take(self, data: Mapping[str, Any]) -> dict[str, Any]:
        """Put what a request says of its data into the fields; what has none is given back."""
        rest = dict(data)
        source = rest.pop("source", "builtin")
        if source not in self.source.options:
            self.source.options[source] = source
        self.source.set_value(source)
        self._show_source()
        for name in FIELDS.get(source, ()):
            field = self.fields[name]
            if isinstance(field, ui.select):
                choose(field, rest.pop(name, None))
            else:
                field.set_value(rest.pop(name, ""))
        self._changed()
        return rest

    @property
    def value(self) -> dict[str, Any]:
        """The data as the fields say it."""
        source = self.source.value
        stated = {name: self.fields[name].value for name in FIELDS.get(source, ())}
        return {"source": source} | {name: each for name, each in stated.items() if each}

    @property
    def about(self) -> str:
        """What the data may be called: the last part of what names it, without an ending."""
        value = self.value
        if value["source"] == "iceberg":
            named = value.get("table", "").rpartition(".")[2]
        else:
            named = value.get("name") or value.get("uri") or value.get("connection", "")
        return re.sub(r"[^\w-]+", "-", PurePosixPath(named).name.partition(".")[0]) or "data"

    @property
    def wrong(self) -> dict[str, str]:
        """What can be told to be wrong by the columns that were seen, by its pointer."""
        target = self._target.value if "target" in FIELDS.get(self.source.value, ()) else None
        why = self._seen.why_no_target(target) if target else None
        return {"/data/target": why} if why else {}

    def places(self) -> dict[str, ValidationElement[Any]]:
        """The fields that are shown, by the pointers that errors name."""
        shown = FIELDS.get(self.source.value, ())
        return {"/data/source": self.source} | {
            f"/data/{name}": self.fields[name] for name in shown
        }

    async def look(self) -> None:
        """Show the columns, or beside the fields what is wrong with them."""
        self._asked += 1
        asked = self._asked
        self._seen.wait()
        found = await self._looked(self._for_a_look())
        if asked == self._asked:
            self._show(found)

    def _for_a_look(self) -> dict[str, Any]:
        """The data without its target, which may not be said yet, or wrongly."""
        return {name: each for name, each in self.value.items() if name != "target"}

    async def _looked(self, data: Mapping[str, Any]) -> DataPreview | TrainyardError:
        try:
            return await self._client().preview(data)
        except TrainyardError as error:
            return error

    def _show(self, found: DataPreview | TrainyardError) -> None:
        places = self.places()
        for field in places.values():
            field.error = None
        if isinstance(found, DataPreview):
            self._seen.show(found, has_target="/data/target" in places)
            self._target.offer(each.name for each in found.columns)
            return
        if isinstance(found, Unauthorized):
            self._page.sign_in_again()
        errors = found.errors if isinstance(found, RequestError) else ()
        for each in errors:
            if each.pointer in places:
                places[each.pointer].error = each.detail
        self._seen.fail("" if errors and all(e.pointer in places for e in errors) else said(found))

    async def _other_path(self) -> None:
        self._changed()
        if self._uri.value:
            await self.look()

    def _predict(self, column: str) -> None:
        """Somebody has chosen what is to be predicted."""
        self._target.set_value(column)

    def _forget(self) -> None:
        """What was seen, or is being looked at, is other data than the fields say now."""
        self._asked += 1
        self._seen.clear()

    def _changed_source(self) -> None:
        self._show_source()
        self._changed()
        self._forget()

    def _show_source(self, kept: str | None = "") -> None:
        """The fields of this source, and the names there are of it; a path may be `kept`."""
        shown = FIELDS.get(self.source.value, ())
        for name, field in self.fields.items():
            field.set_visibility(name in shown)
            field.error = None
        names = [each.name for each in self._datasets if each.source == self.source.value]
        self._name.set_options(names, value=self._name.value if self._name.value in names else None)
        self._uri.offer(names)
        self._uri.set_value(kept)
