"""An object store that all hosts of the lab reach, as a place for their checkpoints."""

import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import boto3
from hosts_lab import Place, ServerAt

PLACE = "s3://checkpoints/of-runs"
KEYS = {
    "AWS_ACCESS_KEY_ID": "of-the-tests",
    "AWS_SECRET_ACCESS_KEY": "of-the-tests",
    "AWS_DEFAULT_REGION": "us-east-1",
}


@contextmanager
def objects_on(place: Place, home: Path) -> Iterator[dict[str, str]]:
    """moto on this host: the variables of a service, and its hosts, that keep their checkpoints there."""
    command = [sys.executable, "-m", "moto.server", "-H", place.address, "-p", "9000"]
    log = home / "objects.log"
    server = ServerAt(place.command(command), {}, 9000, "/moto-api/data.json", log, place=place)
    server.start()
    variables = {"TRAINYARD_CHECKPOINTS": PLACE, "TRAINYARD_S3_ENDPOINT": server.url, **KEYS}
    _client(variables).create_bucket(Bucket=PLACE.split("/")[2])
    yield variables
    server.kill()


def names_in(variables: Mapping[str, str], folder: str) -> list[str]:
    """The names of the objects right below s3://BUCKET/FOLDER."""
    _, _, bucket, prefix = folder.split("/", 3)
    found = _client(variables).list_objects_v2(Bucket=bucket, Prefix=f"{prefix}/", Delimiter="/")
    return [each["Key"].rpartition("/")[2] for each in found.get("Contents", ())]


def _client(variables: Mapping[str, str]) -> Any:
    return boto3.client(
        "s3",
        endpoint_url=variables["TRAINYARD_S3_ENDPOINT"],
        aws_access_key_id=variables["AWS_ACCESS_KEY_ID"],
        aws_secret_access_key=variables["AWS_SECRET_ACCESS_KEY"],
        region_name=variables["AWS_DEFAULT_REGION"],
    )
