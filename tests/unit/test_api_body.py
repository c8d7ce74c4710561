"""A body becomes a TrainRequest, or one answer that names every bad field."""

import asyncio
import difflib
import json
import threading

import pytest
from fastapi import Request
from hypothesis import given
from hypothesis import strategies as st
from trainyard.api import body
from trainyard.api.body import parse_train_request
from trainyard.contract import TrainRequest
from trainyard.errors import Invalid, Malformed
from trainyard.field_errors import MOST_NAMED, MOST_SUGGESTIONS

GOOD = {"model": "xgboost_classifier", "data": {"source": "builtin", "name": "iris"}}
FILE = {"source": "file", "uri": "a.csv", "target": "y"}


def refused(**fields: object) -> dict[str, str]:
    """Each pointer that is named, and its sentence."""
    with pytest.raises(Invalid) as caught:
        parse_train_request(json.dumps(GOOD | fields).encode())
    return {error.pointer: error.detail for error in caught.value.errors}


def test_a_good_body_is_the_request_it_says():
    assert parse_train_request(json.dumps(GOOD).encode()) == TrainRequest.model_validate(GOOD)


@pytest.mark.parametrize(
    "sent",
    [
        b"",
        b"{",
        b"\xff\xfe",
        b"\xef\xbb\xbf{}",
        b"{} {}",
        b'{"seed": NaN}',
        b'{"seed": -Infinity}',
        b'"\\ud800"',
        b"[" * 10_000,
        b'{"a":' * 10_000,
        b"9" * 10_000,
    ],
)
def test_what_is_not_json_is_malformed(sent):
    with pytest.raises(Malformed, match="the body is not JSON"):
        parse_train_request(sent)


@pytest.mark.parametrize("sent", [b"[]", b"null", b"1", b'"text"', b"1e999"])
def test_json_that_is_no_object_is_invalid(sent):
    with pytest.raises(Invalid, match="should be an object"):
        parse_train_request(sent)


def test_every_bad_field_is_named_at_once():
    errors = refused(
        model=1,
        data=FILE | {"target": ["y"], "format": "xls"},
        seed="42",
        max_attempts=0,
        params={"deep": ["\0", {"a/b~c": "\0"}]},
    )
    assert set(errors) == {
        "/model",
        "/data/target",
        "/data/format",
        "/seed",
        "/max_attempts",
        "/params/deep/0",
        "/params/deep/1/a~1b~0c",
    }


def test_a_sentence_names_the_value_and_what_would_be_right():
    errors = refused(seed="42", max_attempts=0, on_existing="again", model="m" * 1000)
    assert errors["/seed"] == "'42': input should be a valid integer"
    assert errors["/max_attempts"] == "0: input should be greater than or equal to 1"
    assert errors["/on_existing"].endswith("'attach', 'rerun_failed' or 'rerun'")
    assert len(errors["/model"]) < 200


@pytest.mark.parametrize(
    ("fields", "where", "near"),
    [
        ({"modle": 1}, "/modle", "model"),
        ({"register_": {"name": "a"}}, "/register_", "register"),
        ({"data": FILE | {"taget": "y"}}, "/data/taget", "target"),
        ({"split": {"testsize": 0.2}}, "/split/testsize", "test_size"),
        (
            {"register": {"name": "a", "promote": {"metric": "test_f1", "min_dela": 0}}},
            "/register/promote/min_dela",
            "min_delta",
        ),
    ],
)
def test_an_unknown_field_is_told_its_nearest_right_name(fields, where, near):
    assert refused(**fields) == {where: f"unknown field; did you mean {near!r}?"}


def test_an_unknown_field_like_no_other_is_told_all_names():
    assert "known are source, name" in refused(data=GOOD["data"] | {"zzz": 1})["/data/zzz"]


@pytest.mark.parametrize(
    ("data", "where", "words"),
    [
        (
            {},
            "/data/source",
            "is required: one of 'builtin', 'file', 'delta', 'iceberg', 'sql', 'images'",
        ),
        (
            {"source": "oracle"},
            "/data/source",
            "'oracle': should be one of 'builtin', 'file', 'delta', 'iceberg', 'sql', 'images'",
        ),
        (
            {"source": ["x"]},
            "/data/source",
            "one of 'builtin', 'file', 'delta', 'iceberg', 'sql', 'images'",
        ),
        ([], "/data", "[]: input should be an object"),
        ({"source": "file", "target": "y"}, "/data/uri", "is required"),
    ],
)
def test_a_data_spec_is_complained_of_by_its_own_names(data, where, words):
    errors = refused(data=data)
    assert set(errors) == {where}
    assert words in errors[where]


def test_a_rule_about_two_fields_names_what_holds_them():
    errors = refused(split={"test_size": 0.6, "validation_size": 0.5})
    assert "leave no rows to train on" in errors["/split"]


def test_a_bad_tag_name_is_named_once_by_its_pointer():
    assert set(refused(tags={"a~b/c!": "x"})) == {"/tags/a~0b~1c!"}


def test_a_number_beyond_floating_point_is_invalid_wherever_it_stands():
    sent = json.dumps(GOOD | {"params": {"rate": 0}}).replace("0}", "1e999}").encode()
    with pytest.raises(Invalid) as caught:
        parse_train_request(sent)
    assert [error.pointer for error in caught.value.errors] == ["/params/rate"]


def test_many_bad_fields_make_one_short_detail():
    with pytest.raises(Invalid) as caught:
        parse_train_request(json.dumps(GOOD | {f"unknown{n}": n for n in range(50)}).encode())
    assert caught.value.detail.endswith("and 47 more")
    assert len(caught.value.errors) == 50


BIG_BODIES = {
    "unknown fields": GOOD | {f"k{number}": 0 for number in range(90_000)},
    "unknown fields that are nearly known": GOOD
    | {f"on_existin{number}": 0 for number in range(50_000)},
    "columns that are no names": GOOD | {"data": FILE | {"drop": [0] * 300_000}},
    "names of tags": GOOD | {"tags": {f"!{number}": "" for number in range(60_000)}},
    "NUL characters": GOOD | {"params": {"a": ["\0"] * 90_000}},
    "NUL characters far down": GOOD
    | {"params": {"k" * 400_000: {str(number): "\0" for number in range(30_000)}}},
    "one long name": GOOD | {"k" * 1_000_000: 0},
    "one long value": GOOD | {"seed": "k" * 1_000_000},
}


@pytest.mark.parametrize("name", BIG_BODIES)
def test_a_megabyte_of_mistakes_makes_a_short_answer(name, monkeypatch):
    compared = []
    compare = difflib.get_close_matches
    monkeypatch.setattr(
        difflib,
        "get_close_matches",
        lambda *args, **options: compared.append(args[0]) or compare(*args, **options),
    )
    with pytest.raises(Invalid) as caught:
        parse_train_request(json.dumps(BIG_BODIES[name]).encode())
    problem = caught.value.problem()
    assert 1 <= len(problem.errors) <= MOST_NAMED
    assert len(problem.model_dump_json()) < 60_000
    assert len(compared) <= MOST_SUGGESTIONS


def test_a_problem_says_how_many_fields_it_does_not_list():
    with pytest.raises(Invalid) as caught:
        parse_train_request(json.dumps(GOOD | {f"unknown{n}": n for n in range(10_000)}).encode())
    assert len(caught.value.errors) == 50
    assert caught.value.detail.endswith("and 9997 more; `errors` lists 50 of the 10000")


def test_a_good_body_is_parsed_once(monkeypatch):
    def again(*_, **__):
        raise AssertionError("the body was parsed a second time")

    monkeypatch.setattr(body, "from_json", again)
    parse_train_request(json.dumps(GOOD).encode())


@pytest.mark.parametrize(
    ("fields", "where"),
    [
        ({"seed": 42.5}, "/seed"),
        ({"seed": True}, "/seed"),
        ({"split": {"stratify": 1}}, "/split/stratify"),
        ({"split": {"test_size": "0.2"}}, "/split/test_size"),
        ({"run_name": 7}, "/run_name"),
        ({"data": FILE | {"drop": "y"}}, "/data/drop"),
    ],
)
def test_no_value_is_taken_for_another_type(fields, where):
    assert set(refused(**fields)) == {where}


@pytest.mark.parametrize("spaces", [0, body.SMALL_BYTES])
def test_a_long_body_is_parsed_in_a_thread_so_that_others_are_answered(spaces, monkeypatch):
    threads = []
    parse = body.parse_train_request

    def parsed(content):
        threads.append(threading.current_thread())
        return parse(content)

    async def receive():
        content = json.dumps(GOOD).encode() + b" " * spaces
        return {"type": "http.request", "body": content, "more_body": False}

    monkeypatch.setattr(body, "parse_train_request", parsed)
    request = Request({"type": "http", "method": "POST", "headers": []}, receive)
    asyncio.run(body.read_train_request(request, 1_048_576))
    assert (threads[0] is threading.main_thread()) == (spaces == 0)


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda children: st.lists(children) | st.dictionaries(st.text(), children),
    max_leaves=20,
)
field_names = st.sampled_from([*TrainRequest.model_fields, "register"]) | st.text()


@given(
    st.binary()
    | st.dictionaries(field_names, json_values).map(lambda value: json.dumps(GOOD | value).encode())
)
def test_whatever_is_sent_is_a_request_or_a_problem_that_can_be_written(sent):
    try:
        answer = parse_train_request(sent).model_dump_json()
    except (Malformed, Invalid) as error:
        answer = error.problem().model_dump_json()
    json.loads(answer)
