"""`split` in a request: what may be said together, and that requests of old are what they were."""

import json

import pytest
from trainyard.api.body import parse_train_request
from trainyard.contract import Split, TrainRequest
from trainyard.errors import Invalid
from trainyard.supervisor.idempotency import digest_of

GOOD = {"model": "m", "data": {"source": "file", "uri": "a.csv", "target": "y"}}


def refused(**split: object) -> dict[str, str]:
    with pytest.raises(Invalid) as caught:
        parse_train_request(json.dumps(GOOD | {"split": split}).encode())
    return {error.pointer: error.detail for error in caught.value.errors}


def test_a_division_at_random_is_written_as_before_there_were_others():
    """Runs in MLflow have this as a tag, and are compared by it."""
    written = '{"test_size":0.2,"validation_size":0.1,"stratify":true,"seed":42}'
    assert Split().model_dump_json() == written
    assert Split(by="random", column=None).model_dump_json() == written


@pytest.mark.parametrize(
    "said",
    [
        {"by": "time", "column": "when", "seed": 7},
        {"by": "time", "column": "when", "stratify": False, "validation_size": 0.0},
        {"by": "group", "column": "customer", "test_size": 0.3},
        {"by": "column", "column": "set"},
    ],
)
def test_what_is_written_down_is_read_again_as_the_same(said):
    """A run's process reads the request that the service wrote, with all defaults in it."""
    request = TrainRequest.model_validate(GOOD | {"split": said})
    again = TrainRequest.model_validate_json(request.model_dump_json(by_alias=True))
    assert again == request
    assert digest_of(again) == digest_of(request)
    assert digest_of(request) != digest_of(TrainRequest.model_validate(GOOD))


def test_a_rule_that_needs_a_column_is_refused_without():
    said = refused(by="time")["/split"]
    assert "by 'time' needs column" in said


def test_a_column_is_refused_where_rows_are_divided_at_random():
    assert "'when' has no meaning with by 'random'" in refused(column="when")["/split/column"]


@pytest.mark.parametrize("by", ["time", "group", "column"])
def test_stratify_is_refused_where_it_is_said_and_has_no_meaning(by):
    said = refused(by=by, column="c", stratify=True)["/split/stratify"]
    assert f"no meaning with by '{by}'" in said
    Split(by=by, column="c", stratify=False)


@pytest.mark.parametrize("share", ["test_size", "validation_size"])
def test_shares_are_refused_where_the_table_says_which_rows_are_which(share):
    said = refused(by="column", column="set", **{share: 0.1})[f"/split/{share}"]
    assert f"{share} 0.1 has no meaning with by 'column'" in said


def test_an_unknown_rule_is_told_the_known_ones():
    said = refused(by="date", column="when")["/split/by"]
    assert "'date': input should be 'random', 'time', 'group' or 'column'" in said
