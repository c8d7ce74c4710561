"""A training as a form: service, model, data, params, and what becomes of the result."""

import json
from collections.abc import Mapping, Sequence
from functools import partial
from typing import Any

from nicegui import ui
from nicegui.elements.mixins.validation_element import ValidationElement
from pydantic import ValidationError
from trainyard.contract import DatasetInfo, FieldError, ModelInfo, Run, TrainRequest
from trainyard.errors import RequestError, TrainyardError, Unauthorized
from trainyard.field_errors import complaints

from trainyard_console.cells import CELL, ComboBox, cell, row_of_cells
from trainyard_console.data_form import DataForm
from trainyard_console.fields import ParamField
from trainyard_console.frame import Page, frame, words
from trainyard_console.watch import Watch
from trainyard_console.words import said

WHEN = {"now": "as the run ends", "asked": "once somebody asks"}


async def train_page(page: Page, service: str, run_id: str) -> None:
    """The page; filled with the request of a run, where one is named."""
    watches = page.session.watches
    with frame(page, "Train"):
        watch = watches.get(service) or await page.asker()
        if watch is None:
            return
        form = TrainForm(page, watch)
    request = await page.attempt(watch.client.request(run_id)) if run_id else None
    await form.fill(request or {})


class TrainForm:
    """The form. What it has no field for stays as it came, and can be edited as JSON."""

    def __init__(self, page: Page, watch: Watch) -> None:
        self._page, self._watch = page, watch
        self._models: dict[str, ModelInfo] = {}
        self._datasets: list[DatasetInfo] = []
        self._params: dict[str, ParamField] = {}
        self._registered: list[str] = []
        services = list(page.session.watches)
        with row_of_cells():
            self._service = cell(ui.select(services, value=watch.name, label="Service"))
            self._model = cell(ui.select({}, label="Model"))
        self._about = words("p", "").classes("quiet")
        words("h2", "Data")
        self._data = DataForm(page, lambda: self._watch.client, self._offer_names)
        words("h2", "Params")
        self._params_box = row_of_cells()
        words("h2", "Result")
        self._make_result()
        self._more = ui.textarea("More fields, as JSON").classes("full-width").props("autogrow")
        self._wrong = ui.element("div").props("role=alert").classes("bad")
        ui.button("Train", on_click=self._send).classes("q-mt-md")
        self._service.on_value_change(self._changed_service)
        self._model.on_value_change(lambda: self._show_model({}))
        for element in {*self._places().values(), *self._data.fields.values()}:
            left = partial(self._look_again, element)
            element.on("blur", left).on("change", left)

    async def fill(self, request: Mapping[str, Any]) -> None:
        """Ask the service what it trains, on what, and take over the request."""
        models = await self._page.attempt(self._watch.client.models())
        datasets = await self._page.attempt(self._watch.client.datasets())
        self._models, self._datasets = {each.name: each for each in models or ()}, datasets or []
        registered = await self._page.attempt(self._watch.client.registered_models())
        self._registered = [each.name for each in registered.models] if registered else []
        first = next(iter(self._models), None)
        wanted = request.get("model", first)
        self._model.set_options(
            list(self._models), value=wanted if wanted in self._models else first
        )
        self._show_model(request.get("params", {}))
        self._take(request or (self._models[first].example if first else {}))

    async def _changed_service(self) -> None:
        self._watch = self._page.session.watches[self._service.value]
        await self.fill({})

    def _make_result(self) -> None:
        with row_of_cells():
            self._experiment = cell(ui.input("Experiment", value="Default"))
            self._run_name = cell(ui.input("Run name"))
            self._register = cell(ComboBox("Register as"))
            self._metric = cell(ComboBox("Promote to champion by"))
            self._when = cell(ui.select(WHEN, value="now", label="Decided"))
            self._seed = cell(ui.number("Seed", value=42, min=0, precision=0))
            self._timeout = cell(
                ui.number("Longest training, in seconds", value=7200, min=1, precision=0)
            )

    def _show_model(self, params: Mapping[str, Any]) -> None:
        """The fields of the model that is chosen."""
        info = self._models.get(self._model.value or "")
        self._params_box.clear()
        self._params = {}
        if info is None:
            return
        self._about.text = (
            f"{info.description} ({info.framework} {info.framework_version}, {info.task})"
        )
        self._data.offer(info.data, self._datasets)
        self._metric.offer(info.metrics)
        self._offer_names()
        with self._params_box:
            for name, schema in info.params_schema.get("properties", {}).items():
                with ui.element("div").classes(CELL):
                    value = params.get(name, info.defaults.get(name))
                    self._params[name] = ParamField(name, schema, value)

    def _offer_names(self) -> None:
        """The registered models there are, and a name for one more."""
        made_up = f"{self._data.about}-{self._model.value}".replace("_", "-")
        self._register.offer(dict.fromkeys([made_up, *self._registered]))

    def _take(self, request: Mapping[str, Any]) -> None:
        """Put what a request says into the fields, and the rest of it below them."""
        rest = json.loads(json.dumps(dict(request)))
        for name in ("model", "params"):
            rest.pop(name, None)
        data, register = rest.pop("data", {}), rest.pop("register", {})
        promote = register.get("promote", {})
        data = self._data.take(data)
        for key, element in self._plain().items():
            if key in rest:
                element.value = rest.pop(key)
        self._register.set_value(register.pop("name", ""))
        self._metric.set_value(promote.pop("metric", ""))
        self._when.value = promote.pop("when", "now")
        if not promote:
            register.pop("promote", None)
        rest |= {key: left for key, left in (("data", data), ("register", register)) if left}
        self._more.value = json.dumps(rest, indent=2) if rest else ""

    def _plain(self) -> dict[str, ValidationElement[Any]]:
        """Fields of the request that are an element each, by their names."""
        return {
            "experiment": self._experiment,
            "run_name": self._run_name,
            "seed": self._seed,
            "timeout_seconds": self._timeout,
        }

    def _request(self) -> dict[str, Any]:
        """The request as the fields say it. Raises ValueError where the JSON below them is none."""
        request: dict[str, Any] = json.loads(self._more.value or "{}")
        if not isinstance(request, dict):
            raise TypeError
        request |= {"data": request.get("data", {}) | self._data.value}
        register = request.get("register", {})
        if self._metric.value:
            rule = {"metric": self._metric.value, "when": self._when.value}
            register = register | {"promote": register.get("promote", {}) | rule}
        if self._register.value:
            register = register | {"name": self._register.value}
        plain: dict[str, Any] = {
            key: int(each.value) if isinstance(each.value, float) else each.value
            for key, each in self._plain().items()
            if each.value not in {None, ""}
        }
        params = {name: each.value for name, each in self._params.items() if not each.is_default}
        request |= {"model": self._model.value, "params": params, **plain}
        return request | ({"register": register} if register else {})

    async def _send(self) -> None:
        self._wrong.clear()
        wrong = [name for name, each in self._params.items() if not each.is_right]
        if wrong:
            self._say([f"Look again at {', '.join(wrong)}: the fields say what would be right."])
            return
        request = self._request_or_why_not()
        if request is None:
            return
        for element in self._places().values():
            element.error = None
        if found := self._found_wrong(request):
            self._blame(found, "Not sent yet: the fields say what would be right.")
        else:
            await self._submit(request)

    def _request_or_why_not(self) -> dict[str, Any] | None:
        self._more.error = None
        try:
            return self._request()
        except (ValueError, TypeError):
            self._more.error = 'should be a JSON object, such as {"tags": {"team": "growth"}}'
            return None

    def _found_wrong(self, request: Mapping[str, Any]) -> list[FieldError]:
        """What can be told without the service: by the wire's rules, and by the columns that were seen."""
        found = [FieldError(pointer=at, detail=why) for at, why in self._data.wrong.items()]
        try:
            TrainRequest.model_validate_json(json.dumps(request))
        except ValidationError as error:
            found += complaints(error, TrainRequest, request)
        return found

    def _look_again(self, element: ValidationElement[Any]) -> None:
        """Somebody has left the field, or gone from its text to a button in it; what was said of it stays for as long as it holds the same."""
        request = self._request_or_why_not()
        if request is None or any(not each.is_right for each in self._params.values()):
            return
        places = self._places()
        found = [each for each in self._found_wrong(request) if places.get(each.pointer) is element]
        if found:
            element.error = found[0].detail

    async def _submit(self, request: Mapping[str, Any]) -> None:
        try:
            run: Run = await self._watch.client.submit(request)
        except Unauthorized:
            self._page.sign_in_again()
        except RequestError as error:
            why = "The service refused it; the fields say why." if error.errors else error.detail
            self._blame(error.errors, why)
        except TrainyardError as error:
            self._say([said(error)])
        else:
            ui.navigate.to(f"/runs/{self._watch.name}/{run.run_id}")

    def _places(self) -> dict[str, ValidationElement[Any]]:
        """The elements by the pointers that errors name."""
        params = {f"/params/{name}": each.element for name, each in self._params.items()}
        return (
            params
            | {f"/{key}": each for key, each in self._plain().items()}
            | self._data.places()
            | {
                "/model": self._model,
                "/register/name": self._register,
                "/register/promote/metric": self._metric,
            }
        )

    def _blame(self, errors: Sequence[FieldError], otherwise: str) -> None:
        """Say beside each field what is wrong with it, and below all what has no field, or else this."""
        places = self._places()
        for each in errors:
            if each.pointer in places:
                places[each.pointer].error = each.detail
        others = [f"{each.pointer}: {each.detail}" for each in errors if each.pointer not in places]
        self._say(others or [otherwise])

    def _say(self, sentences: list[str]) -> None:
        self._wrong.clear()
        with self._wrong:
            for sentence in sentences:
                words("p", sentence)
