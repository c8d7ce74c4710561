"""Each request of docs/data.md is sent as it stands to a service that has such data, and trains."""

import json
import re
import sqlite3
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest
from deltalake import write_deltalake
from PIL import Image
from pyiceberg.catalog import load_catalog
from servers import ROOT, Server, Yard, open_yard

ROWS = 200
RNG = np.random.default_rng(4)
REQUESTS = [
    json.loads(block)
    for block in re.findall(
        r"^```json\n(.*?)^```", (ROOT / "docs/data.md").read_text(), re.DOTALL | re.MULTILINE
    )
]
TABLES = [each for each in REQUESTS if each["data"]["source"] != "images"]
PICTURES = [each for each in REQUESTS if each["data"]["source"] == "images"]


@pytest.fixture(scope="module")
def connections(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The database and the catalog of the page, in files beside this one."""
    home = tmp_path_factory.mktemp("documented")
    lake = {
        "type": "sql",
        "uri": f"sqlite:///{home}/catalog.db",
        "warehouse": f"file://{home}/lake",
    }
    lines = [f'{name} = "{value}"' for name, value in lake.items()]
    file = home / "connections.toml"
    file.write_text(
        "\n".join(['[sql]\nwarehouse = "sqlite:///w.db"', "[iceberg.lake]", *lines, ""])
    )
    with closing(sqlite3.connect(home / "w.db")) as database:
        customers().to_sql("customers", database, index=False)
    catalog = load_catalog("lake", **lake)
    catalog.create_namespace("shop")
    rows = pa.Table.from_pandas(sales()[["amount", "country", "bought"]], preserve_index=False)
    table = catalog.create_table("shop.sales", schema=rows.schema)
    table.append(rows)
    snapshot = table.current_snapshot()
    assert snapshot is not None
    table.manage_snapshots().create_tag(snapshot.snapshot_id, "end-of-month").commit()
    return file


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The tables and pictures of the page."""
    home = tmp_path_factory.mktemp("roots")
    frame = sales()
    for version in range(4):
        write_deltalake(home / "sales", frame.assign(price=frame.price + version), mode="overwrite")
    german = frame.assign(left=frame.bought)[["amount", "country", "left"]]
    with (home / "export.csv").open("w", encoding="cp1252") as file:
        file.write("Größen aus dem Laden\n\n")
        german.to_csv(file, index=False, sep=";", decimal=",")
    for folder in ("exports", "clicks", "shop"):
        (home / folder).mkdir()
    frame.to_parquet(home / "shop/sales.parquet", index=False)
    for part in range(2):
        frame.iloc[part::2].to_csv(home / f"exports/{part}.csv", index=False)
        frame.iloc[part::2].to_parquet(home / f"clicks/{part}.parquet", index=False)
    customers().to_csv(home / "customers.csv", index=False)
    days = [f"{row % 12 + 1:02}/{row // 12 % 12 + 1:02}/2025" for row in range(ROWS)]
    pd.DataFrame({"day": days, "rides": RNG.integers(0, 90, ROWS), "a": range(ROWS)}).to_csv(
        home / "rides.csv", index=False
    )
    for row in range(60):
        picture = home / "pets" / ("cat", "dog")[row % 2] / f"{row}.png"
        picture.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(RNG.integers(0, 255, (12, 12), np.uint8)).save(picture)
    return home


def sales() -> pd.DataFrame:
    """Two thirds of the rows meet the page's filter."""
    return pd.DataFrame(
        {
            "customer": np.arange(ROWS) % 40,
            "amount": RNG.uniform(1, 90, ROWS).round(2),
            "price": RNG.uniform(1, 90, ROWS).round(2),
            "country": np.resize(["DE", "AT", "FR"], ROWS),
            "day": pd.date_range("2026-01-01", periods=ROWS).as_unit("us"),
            "bought": np.arange(ROWS) % 2,
            "returned": np.arange(ROWS) // 3 % 2,
        }
    )


def customers() -> pd.DataFrame:
    return pd.DataFrame(
        {
            "customer": range(40),
            "country": ["DE", "AT"] * 20,
            "age": RNG.integers(18, 90, 40),
            "plan": ["free", "pro"] * 20,
            "calls": RNG.integers(0, 9, 40),
            "churned": [0, 0, 1, 1] * 10,
            "active": 1,
        }
    )


@pytest.fixture(scope="module", params=["boosting"])
def documented(
    request: pytest.FixtureRequest,
    mlflow_server: Server,
    tmp_path_factory: pytest.TempPathFactory,
    root: Path,
    connections: Path,
) -> Iterator[Yard]:
    """A service that has them all."""
    yield from open_yard(
        mlflow_server,
        tmp_path_factory.mktemp(f"documented-{request.param}"),
        request.param,
        TRAINYARD_DATA_ROOTS=str(root),
        TRAINYARD_CONNECTIONS_FILE=str(connections),
    )


def trained(yard: Yard, request: dict[str, Any]) -> dict[str, Any]:
    run = yard.ended(yard.submit(request)["run_id"])
    assert run["status"] == "FINISHED", run
    return run


@pytest.mark.parametrize("request_", TABLES, ids=[f"{each['data']}"[:60] for each in TABLES])
def test_a_documented_table_trains(documented: Yard, request_: dict[str, Any]) -> None:
    run = trained(documented, request_)
    assert run["metrics"]
    if request_["data"]["source"] == "delta":
        assert run["data_version"] == request_["data"]["version"]


@pytest.mark.parametrize("documented", ["pytorch"], indirect=True)
@pytest.mark.parametrize("request_", PICTURES, ids=lambda each: each["data"]["uri"])
def test_documented_pictures_train(documented: Yard, request_: dict[str, Any]) -> None:
    assert "test_accuracy" in trained(documented, request_)["metrics"]


def test_the_page_has_every_source() -> None:
    assert {each["data"]["source"] for each in REQUESTS} == {
        *("file", "images", "delta", "iceberg", "sql"),
    }
