"""A submission as everybody may read it in MLflow: addresses without what gives access to them."""

from urllib.parse import urlsplit

from trainyard.contract import FileData, ImageData
from trainyard.datasets.sources.redaction import redacted, without_access
from trainyard.rundir.records import Submission


def published(submission: Submission) -> Submission:
    """The submission with the query, user and password of its data's addresses left out, and access from its tags.

    Of the addresses that are told of the run there is the host alone: whoever knows their path may post to many.
    """
    tags = {name: without_access(value) for name, value in submission.request.tags.items()}
    notify = [
        each.model_copy(update={"url": _origin(each.url)}) for each in submission.request.notify
    ]
    request = submission.request.model_copy(update={"tags": tags, "notify": notify})
    submission = submission.model_copy(update={"request": request})
    data = request.data
    if not isinstance(data, FileData | ImageData):
        return submission
    shown = {
        name: redacted(uri)
        for name in ("uri", "test_uri")
        if (uri := getattr(data, name, None)) is not None
    }
    request = request.model_copy(update={"data": data.model_copy(update=shown)})
    return submission.model_copy(update={"request": request})


def _origin(url: str) -> str:
    address = urlsplit(url)
    return f"{address.scheme}://{address.netloc}/"
