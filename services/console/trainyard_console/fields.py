"""A form made of a model's JSON Schema: a field for each param, with its range and help, checked as it is filled."""

import json
from collections.abc import Callable, Mapping
from typing import Any

from nicegui import ui
from nicegui.elements.mixins.validation_element import ValidationElement

BOUNDS: tuple[tuple[str, str, Callable[[float, float], bool]], ...] = (
    ("minimum", "at least", lambda value, bound: value >= bound),
    ("exclusiveMinimum", "above", lambda value, bound: value > bound),
    ("maximum", "at most", lambda value, bound: value <= bound),
    ("exclusiveMaximum", "below", lambda value, bound: value < bound),
)
YES_OR_NO = {True: "yes", False: "no"}


class ParamField:
    """One param. `schema` is its part of the model's JSON Schema, `value` what it starts with."""

    def __init__(self, name: str, schema: Mapping[str, Any], value: Any) -> None:
        self.name = name
        self._default = schema.get("default")
        choices = schema.get("anyOf", [schema])
        kinds = [each for each in choices if each.get("type") != "null"]
        self._may_be_empty = len(kinds) < len(choices)
        self._kind: Mapping[str, Any] = kinds[0] if len(kinds) == 1 else {}
        self.element = self._made(value)
        self.element.validation = self._problem
        self.element.props["hint"] = self._hint(schema)
        self.element.classes("full-width")

    @property
    def is_right(self) -> bool:
        """Whether what the field holds can be sent; it says why where not."""
        return self.element.validate()

    @property
    def is_default(self) -> bool:
        """Whether it need not be sent."""
        return bool(self.value == self._default)

    @property
    def value(self) -> Any:
        """What the field holds, as JSON has it. Raises ValueError for text that is no JSON."""
        raw = self.element.value
        if self._is_number:
            return int(raw) if raw is not None and self._kind["type"] == "integer" else raw
        if self._options is not None:
            return raw
        return json.loads(raw) if raw else None

    @property
    def _is_number(self) -> bool:
        return self._kind.get("type") in {"integer", "number"} and "enum" not in self._kind

    @property
    def _options(self) -> dict[Any, str] | None:
        """What can be chosen, where it is a choice."""
        if self._kind.get("type") == "boolean":
            return YES_OR_NO
        values = [self._kind["const"]] if "const" in self._kind else self._kind.get("enum")
        return None if values is None else {each: str(each) for each in values}

    def _made(self, value: Any) -> ValidationElement[Any]:
        if self._is_number:
            return ui.number(self.name, value=value, step="any")  # type: ignore[arg-type]  # HTML's word
        if self._options is not None:
            return ui.select(
                self._options, label=self.name, value=value, clearable=self._may_be_empty
            )
        return ui.input(self.name, value="" if value is None else json.dumps(value))

    def _hint(self, schema: Mapping[str, Any]) -> str:
        bounds = [f"{word} {self._kind[key]}" for key, word, _ in BOUNDS if key in self._kind]
        default = "" if self._default is None else f"default {json.dumps(self._default)}"
        kind = "" if self._is_number or self._options is not None else "as JSON"
        facts = ", ".join(filter(None, [kind, *bounds, default]))
        return (
            f"{schema.get('description', '')} ({facts})" if facts else schema.get("description", "")
        )

    def _problem(self, raw: Any) -> str | None:
        """What is wrong with it, and what would be right."""
        if raw is None or raw == "":
            return None if self._may_be_empty else "should not be empty"
        if not self._is_number:
            return None if self._options is not None else _no_json(raw)
        is_whole = raw == int(raw)
        shown = int(raw) if is_whole else raw
        if self._kind["type"] == "integer" and not is_whole:
            return f"{raw} should be a whole number"
        for key, word, holds in BOUNDS:
            if key in self._kind and not holds(raw, self._kind[key]):
                return f"{shown} should be {word} {self._kind[key]}"
        return None


def _no_json(text: str) -> str | None:
    try:
        json.loads(text)
    except ValueError:
        return f'{text} is no JSON; write [64, 32], {{"a": 1}}, "text" or 3'
    return None
