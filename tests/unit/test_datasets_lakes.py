"""Tables of a lake whose files are in S3, and Iceberg catalogs by REST and in PostgreSQL: each a real server."""

import socket
import sys
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import boto3
import postgres
import pyarrow as pa
import pytest
from deltalake import DeltaTable, write_deltalake
from pyiceberg.catalog import load_catalog
from servers import ROOT, Server, free_port
from trainyard.contract import (
    DeltaData,
    FileData,
    IcebergData,
    ScoredDeltaData,
    ScoreRequest,
    Split,
    Task,
    at_version,
)
from trainyard.datasets import loading
from trainyard.datasets.access import DataAccess
from trainyard.datasets.scoring.tables import Wanted, rows_of_table
from trainyard.datasets.sources import s3
from trainyard.datasets.tables.iceberg import Snapshot
from trainyard.errors import InvalidData

ROWS = 60
KEYS = {"AWS_ACCESS_KEY_ID": "key", "AWS_SECRET_ACCESS_KEY": "secret-of-s3"}
TOKEN = "opens-the-catalog"
LIBRARIES = str(ROOT / "tests")


def rows(start: int) -> pa.Table:
    numbers = range(start, start + ROWS)
    return pa.table({"row": numbers, "y": [each % 2 for each in numbers]})


def looked_at(spec: Any, access: DataAccess) -> Any:
    return loading.inspect(
        spec, task=Task.CLASSIFICATION, kinds=("table",), access=access, split=Split()
    )


def read(spec: Any, access: DataAccess) -> list[int]:
    """The rows that are trained on, settled by a look as at submit."""
    pinned = at_version(spec, looked_at(spec, access))
    data = loading.load(pinned, Split(), task=Task.CLASSIFICATION, access=access)
    parts = (data.train, data.validation, data.test)
    return sorted(int(row) for part in parts for row in part.x["row"])


def refused(spec: Any, access: DataAccess) -> str:
    with pytest.raises(InvalidData) as caught:
        looked_at(spec, access)
    return f"{caught.value.pointer}: {caught.value.detail}"


@pytest.fixture(scope="module")
def endpoint(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """moto, in a process of its own: deltalake holds Python's lock while it waits for an answer."""
    port = free_port()
    command = [sys.executable, "-m", "moto.server", "-H", "127.0.0.1", "-p", str(port)]
    log = tmp_path_factory.mktemp("moto") / "log"
    server = Server(command, {}, port, "/moto-api/data.json", log)
    server.start()
    with pytest.MonkeyPatch.context() as patch:
        for name, value in KEYS.items():
            patch.setenv(name, value)
        patch.setenv("AWS_DEFAULT_REGION", "us-east-1")
        boto3.client("s3", endpoint_url=server.url).create_bucket(Bucket="lake")
        yield server.url
    server.kill()


@pytest.fixture(scope="module")
def access(endpoint: str) -> DataAccess:
    """Rows 0 to 59; then 60 to 119 with them; then those from 30 on."""
    options = {"aws_endpoint": endpoint, "aws_allow_http": "true"}
    uri = "s3://lake/shop/sales"
    write_deltalake(uri, rows(0), storage_options=options)
    write_deltalake(uri, rows(ROWS), storage_options=options, mode="append")
    DeltaTable(uri, storage_options=options).delete("row < 30")
    return DataAccess((), Path(), s3_endpoint=endpoint)


def sales(**changes: Any) -> DeltaData:
    return DeltaData(source="delta", uri="s3://lake/shop/sales", target="y", **changes)


@pytest.mark.parametrize(
    ("version", "expected"), [(0, range(60)), (1, range(120)), (2, range(30, 120))]
)
def test_a_delta_table_in_s3_is_read_at_its_version(access, version, expected):
    assert read(sales(version=version), access) == [*expected]


def test_a_prefix_with_a_log_is_delta_and_the_newest_version_counts(access, monkeypatch):
    monkeypatch.setattr(s3, "FILES_AT_SUBMIT", 1)
    plain = FileData(source="file", uri="s3://lake/shop/sales", target="y")
    assert looked_at(plain, access) == 2
    assert read(plain, access) == [*range(30, 120)]


def test_a_part_of_a_delta_table_in_s3_is_refused(access):
    client = boto3.client("s3", endpoint_url=access.s3_endpoint)
    found = client.list_objects_v2(Bucket="lake", Prefix="shop/sales/part-")["Contents"]
    part = FileData(source="file", uri=f"s3://lake/{found[0]['Key']}", target="y")
    assert "is a part of the Delta table in the folder 'sales'" in refused(part, access)


def test_a_version_that_is_not_there_is_refused(access):
    assert "its versions are 0 to 2" in refused(sales(version=7), access)
    assert "had no version at 2001" in refused(sales(timestamp="2001-01-01T00:00:00Z"), access)


def test_a_scoring_streams_the_rows_of_a_version_in_s3(access):
    data = ScoredDeltaData(source="delta", uri="s3://lake/shop/sales", version=0)
    request = ScoreRequest(model_uri="models:/m/1", data=data)
    with rows_of_table(request, Wanted(("row",), (), None), access) as found:
        scored = sorted(row for each in found.slices() for row in each.x["row"])
    assert scored == [*range(60)]


def test_a_file_that_was_vacuumed_in_s3_is_told_of_in_the_run(access):
    options = {"aws_endpoint": access.s3_endpoint, "aws_allow_http": "true"}
    uri = "s3://lake/shop/gone"
    write_deltalake(uri, rows(0), storage_options=options)
    write_deltalake(uri, rows(ROWS), storage_options=options, mode="overwrite")
    table = DeltaTable(uri, storage_options=options)
    table.vacuum(0, dry_run=False, enforce_retention_duration=False)
    spec = DeltaData(source="delta", uri=uri, target="y", version=0)
    with pytest.raises(InvalidData, match="is gone, as after a vacuum"):
        loading.load(spec, Split(), task=Task.CLASSIFICATION, access=access)


def test_a_bucket_off_the_list_is_not_asked_for_a_delta_table(access):
    other = replace(access, s3_buckets=("other",))
    assert "the bucket 'lake' is not allowed" in refused(sales(), other)


def catalogued(folder: Path, properties: dict[str, str], *more: str) -> DataAccess:
    """What reads the catalog `lake` with these properties, and others."""
    lines = "\n".join(f'"{name}" = "{value}"' for name, value in properties.items())
    file = folder / "connections.toml"
    file.write_text("\n".join([f"[iceberg.lake]\n{lines}", *more]))
    return DataAccess((folder,), folder, connections_file=file)


def filled(properties: dict[str, str]) -> list[int]:
    """Two snapshots of `shop.sales`: rows 0 to 59, and those from 30 to 119; their ids."""
    catalog = load_catalog("made", **properties)
    catalog.create_namespace("shop")
    table = catalog.create_table("shop.sales", schema=rows(0).schema)
    table.append(rows(0))
    table.append(rows(ROWS))
    table.delete("row < 30")
    return [each.snapshot_id for each in table.snapshots()]


def asked(**changes: Any) -> IcebergData:
    fields = {"catalog": "lake", "table": "shop.sales", "target": "y", **changes}
    return IcebergData(source="iceberg", **fields)


def test_a_catalog_in_postgres_is_read_by_a_user_who_may_only_read(tmp_path):
    with postgres.running() as server:
        owner, reader = (
            server.uri(user).replace("postgresql://", "postgresql+psycopg2://")
            for user in ("owner", "reader")
        )
        warehouse = f"file://{tmp_path}/warehouse"
        snapshots = filled({"type": "sql", "uri": owner, "warehouse": warehouse})
        named = {"type": "sql", "name": "made", "warehouse": warehouse}
        access = catalogued(tmp_path, {**named, "uri": reader})
        assert read(asked(), access) == [*range(30, 120)]
        assert read(asked(snapshot_id=snapshots[0]), access) == [*range(60)]
        assert "has no table 'shop.none'" in refused(asked(table="shop.none"), access)
        wrong = reader.replace(postgres.PASSWORD, "a-wrong-word")
        said = refused(asked(), catalogued(tmp_path, {"type": "sql", "uri": wrong}))
        assert "'lake.shop.sales' cannot be read" in said
        assert "a-wrong-word" not in said


@pytest.fixture(scope="module")
def rest(
    endpoint: str, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[tuple[str, list[int]]]:
    """A REST catalog whose warehouse is in S3 and which hands out what opens that; its address and the snapshots."""
    home = tmp_path_factory.mktemp("rest")
    store = {
        "s3.endpoint": endpoint,
        "s3.access-key-id": KEYS["AWS_ACCESS_KEY_ID"],
        "s3.secret-access-key": KEYS["AWS_SECRET_ACCESS_KEY"],
        "s3.region": "us-east-1",
    }
    behind = {"uri": f"sqlite:///{home}/catalog.db", "warehouse": "s3://lake/warehouse"}
    snapshots = filled({"type": "sql", **behind, **store})
    port = free_port()
    handed = [f"{name}={value}" for name, value in store.items()]
    program = [sys.executable, f"{LIBRARIES}/rest_catalog.py", str(port)]
    command = [*program, behind["uri"], behind["warehouse"], TOKEN, *handed]
    server = Server(command, {}, port, "/health", home / "log")
    server.start()
    yield server.url, snapshots
    server.kill()


def test_a_rest_catalog_hands_out_what_opens_its_files(rest, tmp_path, monkeypatch):
    url, snapshots = rest
    for name in KEYS:
        monkeypatch.delenv(name)
    access = catalogued(tmp_path, {"type": "rest", "uri": url, "token": TOKEN})
    assert read(asked(), access) == [*range(30, 120)]
    assert read(asked(snapshot_id=snapshots[0]), access) == [*range(60)]
    assert looked_at(asked(), access) == str(snapshots[-1])
    assert "has no table 'shop.none'" in refused(asked(table="shop.none"), access)
    assert "has no branch or tag 'dev'" in refused(asked(ref="dev"), access)


def test_a_rest_catalog_that_refuses_is_told_of_without_its_token(rest, tmp_path):
    url, _ = rest
    access = catalogued(tmp_path, {"type": "rest", "uri": url, "token": "another-token"})
    said = refused(asked(), access)
    assert "'lake.shop.sales' cannot be read" in said
    assert "another-token" not in said


@pytest.mark.parametrize(
    "catalog",
    [
        {"type": "rest", "uri": "http://127.0.0.1:{port}", "token": "hidden-word"},
        {"type": "sql", "uri": "postgresql+psycopg2://reader:hidden-word@127.0.0.1:{port}/lake"},
    ],
    ids=["rest", "postgres"],
)
def test_a_catalog_that_never_answers_is_given_up(catalog, tmp_path):
    with socket.create_server(("127.0.0.1", 0)) as silent:
        port = str(silent.getsockname()[1])
        properties = {name: value.replace("{port}", port) for name, value in catalog.items()}
        access = catalogued(tmp_path, properties)
        with pytest.raises(InvalidData, match=r"'lake\.shop\.sales' cannot be read") as caught:
            Snapshot(asked(), access, patience_seconds=2)
    assert "hidden-word" not in caught.value.detail
