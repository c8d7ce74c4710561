"""What pydantic finds wrong becomes pointers into what was sent, and sentences, never too many."""

import difflib
import json
from enum import StrEnum
from typing import Any, Literal

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import BaseModel, ConfigDict, Field, ValidationError
from trainyard.contract import TrainRequest
from trainyard.field_errors import (
    MOST_NAMED,
    MOST_SUGGESTIONS,
    BadFields,
    bad_fields,
    complaints,
    invalid,
    shown,
)
from trainyard.suggestions import suggestion


class Strict(BaseModel):
    model_config = ConfigDict(extra="forbid", strict=True)


class Trees(Strict):
    depth: int


class Layers(Strict):
    widths: list[int | float]


class Side(StrEnum):
    LEFT = "left"
    RIGHT = "right"


class Params(Strict):
    """Every kind of field that a model's params may have."""

    class_weight: Literal["balanced"] | dict[str, float] | None = None
    monotone: dict[str, Literal[-1, 0, 1]] | None = None
    shape: Trees | Layers | None = None
    parts: dict[str, Trees | Layers] = Field(default_factory=dict)
    pair: tuple[int, str] | int = 1
    units: list[int] = [1]
    side: Side = Side.LEFT


def wrong(value: dict[str, Any], model: type[BaseModel] = Params) -> BadFields:
    with pytest.raises(ValidationError) as caught:
        model.model_validate_json(json.dumps(value))
    return bad_fields(caught.value, model, value)


def said(value: dict[str, Any]) -> dict[str, str]:
    return {each.pointer: each.detail for each in wrong(value).errors}


@pytest.mark.parametrize(
    ("value", "errors"),
    [
        (
            {"class_weight": 5},
            {"/class_weight": "5: input should be 'balanced' or an object"},
        ),
        (
            {"class_weight": {"yes": "x", "no": 1.0}},
            {"/class_weight/yes": "'x': input should be a valid number"},
        ),
        ({"monotone": {"age": 7}}, {"/monotone/age": "7: input should be -1, 0 or 1"}),
        ({"units": [1, "x"]}, {"/units/1": "'x': input should be a valid integer"}),
        (
            {"shape": {"widths": [1, "x"]}},
            {
                "/shape/depth": "is required",
                "/shape/widths": "unknown field; known are depth",
                "/shape/widths/1": "'x': input should be a valid integer or a valid number",
            },
        ),
        (
            {"parts": {"first": {"depth": "x"}}},
            {
                "/parts/first/depth": "'x': input should be a valid integer",
                "/parts/first/widths": "is required",
            },
        ),
        ({"shape": 3}, {"/shape": "3: input should be an object"}),
        ({"pair": [1]}, {"/pair/1": "is required"}),
        ({"side": "up"}, {"/side": "'up': input should be 'left' or 'right'"}),
    ],
)
def test_a_pointer_into_a_field_of_several_types_names_only_what_was_sent(value, errors):
    assert said(value) == errors


def leads_through(value: Any, pointer: str) -> bool:
    """Whether the value has all that the pointer names, but for a last field that is missing."""
    for part in pointer.split("/")[1:-1]:
        name = part.replace("~1", "/").replace("~0", "~")
        value = value.get(name) if isinstance(value, dict) else value[int(name)]
    return isinstance(value, dict | list)


json_values = st.recursive(
    st.none() | st.booleans() | st.integers(-9, 9) | st.floats(allow_nan=False) | st.text("ab[]~"),
    lambda children: (
        st.lists(children, max_size=3)
        | st.dictionaries(st.sampled_from(["a", "b/c~", "depth", "widths"]), children)
    ),
    max_leaves=8,
)


@given(st.dictionaries(st.sampled_from(list(Params.model_fields)), json_values))
def test_every_pointer_leads_through_what_was_sent(value):
    try:
        Params.model_validate_json(json.dumps(value))
    except ValidationError as error:
        for each in bad_fields(error, Params, value).errors:
            assert leads_through(value, each.pointer), (value, each)


def test_the_pointers_of_a_model_s_params_start_where_the_params_lie():
    with pytest.raises(ValidationError) as caught:
        Params.model_validate({"units": "x"})
    found = bad_fields(caught.value, Params, {"units": "x"}, below="/params")
    assert [each.pointer for each in found.errors] == ["/params/units"]


@pytest.mark.parametrize("count", [MOST_NAMED, MOST_NAMED + 1, 999, 10_000])
def test_of_many_unknown_fields_fifty_are_named_and_the_others_counted(count, monkeypatch):
    compared = counted(monkeypatch)
    found = wrong({f"unit{number}": 0 for number in range(count)})
    assert len(found.errors) == MOST_NAMED
    assert len(found.errors) + found.more == count
    hinted = [each for each in found.errors if "did you mean 'units'?" in each.detail]
    assert len(hinted) == len(compared) == MOST_SUGGESTIONS
    assert found.errors[-1].detail == "unknown field"


def counted(monkeypatch) -> list[str]:
    """The names that are compared with others from here on."""
    compared: list[str] = []
    compare = difflib.get_close_matches

    def counting(name, *arguments, **options):
        compared.append(name)
        return compare(name, *arguments, **options)

    monkeypatch.setattr(difflib, "get_close_matches", counting)
    return compared


def test_errors_are_found_among_very_many_wherever_the_known_fields_stand():
    noise = {f"x{number}": 0 for number in range(5_000)}
    found = wrong(
        {**noise, "model": 1, "data": {"source": "builtin", "name": "iris"}}, TrainRequest
    )
    assert found.errors[0].pointer == "/model"
    assert not [each for each in found.errors if "is required" in each.detail]
    assert len(found.errors) + found.more == 5_001


def test_very_many_errors_behind_many_good_values_are_counted_without_being_listed():
    found = wrong({"units": [1] * 5_000 + ["x"] * 5_000})
    assert (found.errors, found.more) == ((), 5_000)
    assert invalid(found.errors, found.more).detail.startswith("5000 fields are wrong")


def test_without_the_value_all_errors_are_those_of_the_model():
    with pytest.raises(ValidationError) as caught:
        Params.model_validate({f"unit{number}": 0 for number in range(2_000)})
    assert len(complaints(caught.value, Params)) == MOST_NAMED


@pytest.mark.parametrize(
    ("value", "most"),
    [("x" * 1_000_000, 80), ([["x" * 1000] * 1000] * 1000, 80), ({"a" * 9_000: 1}, 80)],
)
def test_a_quoted_value_is_short(value, most):
    assert len(shown(value)) <= most


def test_a_long_way_to_a_field_makes_no_long_answer():
    value: Any = "x"
    for _ in range(100):
        value = {"deep" * 100: value}
    (error,) = wrong({"class_weight": {"k" * 100_000: value}}).errors
    assert len(error.pointer) < 1_100


@pytest.mark.parametrize(
    ("name", "known", "said"),
    [
        ("y", [" Y ", "x"], "did you mean ' Y '?"),
        ("caf\u00e9", ["x", "cafe\u0301"], r"did you mean 'cafe\u0301'?"),
    ],
)
def test_a_name_that_only_looks_the_same_is_told_apart(name, known, said):
    assert suggestion(name, known) == said


def test_a_long_name_is_compared_with_none_and_many_known_names_are_not_all_listed(monkeypatch):
    compared = counted(monkeypatch)
    known = [f"column_{number}" for number in range(10_000)]
    assert suggestion("x" * 101, known).endswith("and 9980 more")
    assert not compared
    assert suggestion("colum_7", known) == "did you mean 'column_7'?"
    assert suggestion("anything", []) == ""
