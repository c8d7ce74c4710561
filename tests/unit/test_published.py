"""What of a request everybody may read in MLflow."""

from pathlib import Path

import pytest
from fakes import submission_of
from trainyard.contract import TrainRequest
from trainyard.rundir.folder import RunFolder
from trainyard.rundir.records import Submission

SIGNED = "https://ana:geheim@data.example/bank.csv?X-Amz-Signature=5ecre7"
SHOWN = "https://data.example/bank.csv"


def submission(data: dict[str, str], **tags: str) -> Submission:
    request = {"model": "xgboost_classifier", "data": data, "tags": tags}
    return submission_of(TrainRequest.model_validate(request))


@pytest.mark.parametrize(
    "data",
    [
        {"source": "file", "uri": SIGNED, "test_uri": SIGNED, "target": "y"},
        {"source": "images", "uri": SIGNED},
    ],
    ids=lambda data: data["source"],
)
def test_the_published_request_holds_no_signature_and_the_one_that_trains_does(
    data: dict[str, str], tmp_path: Path
) -> None:
    folder = RunFolder(tmp_path / ("0" * 32))
    signed = submission(data, origin="see https://x.example/?sig=5ecre7")
    folder.create(signed)
    published = folder.published_request.read_text()
    assert "5ecre7" not in published
    assert "geheim" not in published
    assert published.count(SHOWN) == len({"uri", "test_uri"} & set(data))
    assert folder.submission() == signed


def test_what_has_no_address_is_published_as_it_is(tmp_path: Path) -> None:
    folder = RunFolder(tmp_path / ("0" * 32))
    folder.create(submission({"source": "builtin", "name": "iris"}))
    assert folder.published_request.read_text() == folder.request.read_text()
