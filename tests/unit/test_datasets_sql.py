"""Queries: what databases answer as a table, what they do not get to do, and which rows count."""

import json
import sqlite3
import time
from collections.abc import Iterator
from contextlib import closing
from dataclasses import replace
from pathlib import Path
from typing import Any

import postgres
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from deltalake import DeltaTable, write_deltalake
from pydantic import ValidationError
from trainyard.contract import ScoredSqlData, ScoreRequest, Split, SqlData, Task, at_version
from trainyard.datasets import loading
from trainyard.datasets.access import DataAccess
from trainyard.datasets.scoring.tables import Wanted, rows_of_table
from trainyard.datasets.sources.connections import read_connections
from trainyard.datasets.tables.queries import data_roots, kept
from trainyard.errors import InvalidData, ServiceError
from trainyard.settings import Settings
from trainyard.supervisor.retention import prune_rows
from trainyard.worker.logged_dataset import dataset_input
from trainyard.worker.scored_model import About
from trainyard.worker.scoring_look import inspect_scored

ROWS = 60


@pytest.fixture(scope="module")
def server() -> Iterator[postgres.Postgres]:
    with postgres.running() as server:
        yield server


@pytest.fixture
def access(tmp_path: Path) -> DataAccess:
    """SQLite, and the folder of the data roots."""
    root = tmp_path / "roots"
    (root / "shop").mkdir(parents=True)
    numbers = range(ROWS)
    table = pa.table({"a": numbers, "b": [f"n{each % 3}" for each in numbers]})
    table = table.append_column("y", pa.array([each % 2 for each in numbers]))
    pq.write_table(table, root / "shop" / "sales.parquet")
    with closing(sqlite3.connect(tmp_path / "app.db")) as database:
        database.execute("CREATE TABLE sales (a, b, y)")
        rows = [(each, f"n{each % 3}", each % 2) for each in numbers]
        database.executemany("INSERT INTO sales VALUES (?, ?, ?)", rows)
        database.commit()
    file = tmp_path / "connections.toml"
    file.write_text('[sql]\napp = "sqlite:///app.db"\n')
    return DataAccess(
        (root,), root, connections_file=file, rows_dir=tmp_path / "rows", query_seconds=20
    )


@pytest.fixture
def with_postgres(access: DataAccess, server: postgres.Postgres) -> DataAccess:
    file = access.connections_file
    file.write_text(f'[sql]\napp = "sqlite:///app.db"\nwarehouse = "{server.uri()}"\n')
    return access


def asked(connection: str, query: str, **changes: Any) -> SqlData:
    return SqlData(source="sql", connection=connection, query=query, target="y", **changes)


def looked_at(spec: SqlData, access: DataAccess) -> SqlData:
    """As the look at submit pins it."""
    version = loading.inspect(
        spec, task=Task.CLASSIFICATION, kinds=("table",), access=access, split=Split()
    )
    return at_version(spec, version)


def load(spec: SqlData, access: DataAccess) -> Any:
    return loading.load(spec, Split(), task=Task.CLASSIFICATION, access=access)


def rows_of(data: Any) -> int:
    return sum(len(part.x) for part in (data.train, data.validation, data.test))


def refusal(spec: SqlData, access: DataAccess) -> str:
    with pytest.raises(InvalidData) as caught:
        load(looked_at(spec, access), access)
    return f"{caught.value.pointer}: {caught.value.detail}"


def test_sqlite_and_duckdb_answer_with_the_columns_and_rows_of_the_query(access):
    for connection, table in (("app", "sales"), ("files", "'shop/sales.parquet'")):
        query = f"SELECT b, a * 2.5 AS price, y FROM {table} WHERE a >= 10;"
        data = load(looked_at(asked(connection, query), access), access)
        assert rows_of(data) == ROWS - 10
        assert set(data.train.x["b"]) == {"n0", "n1", "n2"}
        assert data.train.x["price"].min() >= 25.0
        assert data.profile["sql"]["query"] == query
        assert (data.name, data.source) == (connection, connection)


def test_a_query_that_no_row_meets_is_refused_at_the_submit(access):
    for connection, table in (("app", "sales"), ("files", "'shop/sales.parquet'")):
        spec = asked(connection, f"SELECT a, y FROM {table} WHERE a < 0")
        with pytest.raises(InvalidData, match="no row meets it"):
            looked_at(spec, access)


def test_duckdb_keeps_names_that_differ_in_case_and_refuses_those_that_are_alike(access):
    query = "SELECT a AS X, a * 2.5 AS x, y FROM 'shop/sales.parquet'"
    frame = load(looked_at(asked("files", query), access), access).train.x
    assert list(frame) == ["X", "x"]
    alike = asked("files", "SELECT a AS x, b AS x, y FROM 'shop/sales.parquet'")
    assert "the column 'x' occurs 2 times" in refusal(alike, access)


def test_a_column_of_several_types_is_refused_with_what_to_write(access):
    query = "SELECT union_value(num := a) AS u, a, y FROM 'shop/sales.parquet'"
    assert "CAST(u AS TEXT)" in refusal(asked("files", query), access)


def test_postgres_answers_in_types_that_train(with_postgres, server):
    server.run(
        "DROP TABLE IF EXISTS kinds",
        "CREATE TABLE kinds AS SELECT g % 2 AS y, g::smallint AS small, g / 8.0 AS exact, g::real AS real,"
        " g % 3 = 0 AS flag, now() - g * interval '1 day' AS at, date '2024-01-01' + g AS day,"
        " 'n' || g % 3 AS name, ('{\"a\":' || g % 2 || '}')::jsonb AS doc, NULLIF(g, 7) AS gap"
        f" FROM generate_series(1, {ROWS}) g",
    )
    spec = asked("warehouse", "SELECT * FROM kinds -- all of them")
    frame = load(looked_at(spec, with_postgres), with_postgres).train.x
    kinds = {name: str(dtype) for name, dtype in frame.dtypes.items()}
    assert kinds | {"doc": "", "name": ""} == {
        "small": "int16",
        "exact": "float64",
        "real": "float32",
        "flag": "bool",
        "at": "datetime64[us]",
        "day": "datetime64[us]",
        "gap": "float64",
        "doc": "",
        "name": "",
    }
    assert sorted(frame["doc"].cat.categories) == ['{"a": 0}', '{"a": 1}']
    assert (frame["exact"] * 8 == frame["small"]).all()
    interval = asked("warehouse", "SELECT interval '1 day' AS wait, 1 AS y")
    assert "the column 'wait' is an interval; write EXTRACT(EPOCH" in refusal(
        interval, with_postgres
    )


@pytest.mark.parametrize(
    "query",
    [
        "SELECT a, y FROM sales; DELETE FROM sales",
        "DELETE FROM sales",
        "WITH gone AS (DELETE FROM sales RETURNING *) SELECT * FROM gone",
        "SELECT 1) TO PROGRAM 'touch /tmp/x' --",
        "COPY sales TO STDOUT",
        "CREATE TABLE other AS SELECT 1",
        "SELECT set_config('transaction_read_only', 'off', true), 1 AS y",
        "SET TRANSACTION READ WRITE",
        "SELECT pg_read_file('/etc/passwd') AS a, 1 AS y",
    ],
)
def test_postgres_reads_and_does_nothing_else(with_postgres, server, query):
    server.run(
        "CREATE TABLE IF NOT EXISTS sales AS SELECT g AS a, g % 2 AS y FROM generate_series(1, 60) g",
        "GRANT ALL ON sales TO reader",
    )
    assert refusal(asked("warehouse", query), with_postgres).startswith("/data/query: 'warehouse'")
    whole = asked("warehouse", "SELECT a, y FROM sales")
    assert rows_of(load(looked_at(whole, with_postgres), with_postgres)) == 60


@pytest.mark.parametrize(
    "query",
    [
        "SELECT a, y FROM sales; DELETE FROM sales",
        "DELETE FROM sales",
        "ATTACH 'other.db' AS other",
        "PRAGMA query_only = 0",
        "SELECT load_extension('x') AS a, 1 AS y",
        "CREATE TEMP TABLE t AS SELECT 1",
    ],
)
def test_sqlite_reads_and_does_nothing_else(access, query):
    assert refusal(asked("app", query), access).startswith("/data/query: 'app'")
    assert rows_of(load(looked_at(asked("app", "SELECT * FROM sales"), access), access)) == ROWS
    assert not list(access.connections_file.parent.glob("other.db"))


@pytest.mark.parametrize(
    ("query", "why"),
    [
        ("SELECT * FROM '/etc/passwd'", "outside the data roots"),
        ("SELECT * FROM '../connections.toml'", "outside the data roots"),
        ("SELECT * FROM 'link.parquet'", "outside the data roots"),
        ("SELECT * FROM 'shop/salse.parquet'", "did you mean 'sales.parquet'"),
        ("SELECT * FROM read_csv('/etc/passwd')", "Permission Error"),
        ("SELECT * FROM read_text('{root}/shop/sales.parquet')", "Permission Error"),
        ("SELECT * FROM glob('/*')", "Permission Error"),
        ("SELECT * FROM query_table('/etc/passwd')", "does not exist"),
        ("SELECT * FROM read_parquet('http://127.0.0.1:9/x.parquet')", "Permission Error"),
        ("COPY (SELECT 1) TO '{root}/out.csv'", "not one SELECT"),
        ("ATTACH '{root}/out.db'", "not one SELECT"),
        ("INSTALL httpfs", "not one SELECT"),
        ("LOAD httpfs", "not one SELECT"),
        ("SET enable_external_access = true", "not one SELECT"),
        ("SELECT 1 AS y; SELECT 2 AS y", "not one SELECT"),
        ("SELECT nothing FROM", "syntax error"),
        ("SELECT * FROM access", "does not exist"),
        ('WITH "/etc/passwd" AS (SELECT 1) FROM "/etc/passwd"', "outside the data roots"),
        ('WITH a AS (SELECT 1) SELECT * FROM main."/etc/passwd"', "does not exist"),
    ],
)
def test_duckdb_opens_nothing_but_tables_below_the_data_roots(access, tmp_path, query, why):
    outside = tmp_path / "outside.parquet"
    pq.write_table(pa.table({"a": [1], "y": [1]}), outside)
    root = access.roots[0]
    (root / "link.parquet").symlink_to(outside)
    said = refusal(asked("files", query.format(root=root)), access)
    assert said.startswith("/data/query")
    assert why in said
    assert not list(root.glob("out.*"))


@pytest.mark.parametrize("uri", ["v.parquet", "views"])
def test_duckdb_filters_by_text_that_a_file_stores_as_a_view(access, uri):
    root = access.roots[0]
    (root / "views").mkdir()
    text = pa.array([f"n{each % 3}" for each in range(ROWS)], pa.string_view())
    table = pa.table({"v": text, "a": range(ROWS), "y": [each // 3 % 2 for each in range(ROWS)]})
    for path in ("v.parquet", "views/1.parquet"):
        pq.write_table(table, root / path)
    query = f"SELECT * FROM '{uri}' WHERE v = 'n1'"
    assert rows_of(load(looked_at(asked("files", query), access), access)) == ROWS / 3


def test_duckdb_joins_a_delta_table_and_a_csv_as_any_request_reads_them(access):
    root = access.roots[0]
    write_deltalake(root / "orders", pa.table({"a": list(range(ROWS))}))
    DeltaTable(root / "orders").delete("a < 20")
    (root / "names.csv").write_text("Liste vom Montag\nb;label\nn0;null\nn1;eins\n", "cp1252")
    query = "SELECT s.a, n.label, y FROM 'shop/sales.parquet' s JOIN orders USING (a) LEFT JOIN 'names.csv' n USING (b)"
    data = load(looked_at(asked("files", query), access), access)
    assert rows_of(data) == ROWS - 20
    assert list(data.train.x["label"].cat.categories) == ["eins"]


@pytest.mark.parametrize(
    "query",
    [
        "WITH train AS (SELECT * FROM 'train.csv') SELECT a, y FROM Train",
        "WITH b AS (SELECT * FROM 'train.csv'), train AS (SELECT * FROM b) SELECT * FROM train",
        "SELECT * FROM (WITH train AS (SELECT * FROM 'train.csv') SELECT a, y FROM train)",
        "WITH RECURSIVE train AS (SELECT 0 AS a, 0 AS y UNION ALL SELECT a + 1, 1 - y FROM train WHERE a < 59) SELECT * FROM train",
        "WITH sales AS (SELECT * FROM sales) SELECT a, y FROM sales",
    ],
)
def test_what_a_query_calls_by_its_with_may_be_called_as_a_folder_is(access, query):
    root = access.roots[0]
    for folder in ("train", "sales"):
        (root / folder).mkdir()
    (root / "train" / "1.png").write_bytes(b"a picture")
    lines = "".join(f"{each},{each % 2}\n" for each in range(ROWS))
    for name in ("train.csv", "sales/1.csv"):
        (root / name).write_text(f"a,y\n{lines}")
    assert rows_of(load(looked_at(asked("files", query), access), access)) == ROWS
    outside = "SELECT * FROM train, (WITH train AS (SELECT 1) SELECT * FROM train)"
    assert "holds no .parquet file" in refusal(asked("files", outside), access)


ENDLESS = {
    "app": "WITH RECURSIVE r(n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM r) SELECT sum(n) AS a, 1 AS y FROM r",
    "files": "SELECT count(*) AS a, 1 AS y FROM range(100000000000) t(a), range(1000) u(b) WHERE a % 7 = b",
    "warehouse": "SELECT pg_sleep(1000)::text AS a, 1 AS y",
}


@pytest.mark.parametrize("connection", ENDLESS)
def test_a_query_that_does_not_end_ends_at_the_limit(with_postgres, monkeypatch, connection):
    monkeypatch.setattr(kept, "AT_SUBMIT_SECONDS", 0.3)
    spec = looked_at(asked(connection, ENDLESS[connection]), with_postgres)
    began = time.monotonic()
    with pytest.raises(InvalidData, match=r"longer than the 0.4 s .*TRAINYARD_QUERY_SECONDS"):
        load(spec, replace(with_postgres, query_seconds=0.4))
    assert time.monotonic() - began < 10
    assert not list(with_postgres.rows_dir.iterdir())


def test_the_columns_of_a_slow_query_are_known_at_submit(with_postgres, monkeypatch):
    monkeypatch.setattr(kept, "AT_SUBMIT_SECONDS", 0.3)
    for connection in ("files", "warehouse"):
        query = ENDLESS[connection].replace("AS y", "AS z")
        with pytest.raises(InvalidData, match="'y' is not a column; the columns are a, z"):
            looked_at(asked(connection, query), with_postgres)


def test_duckdb_has_a_limit_to_its_memory(access, monkeypatch):
    monkeypatch.setattr(data_roots, "LOOK_MEMORY_MB", 50)
    query = "SELECT list(a ORDER BY b)::text AS a, 1 AS y FROM range(100000000) t(a), range(3) u(b)"
    assert "Out of Memory Error" in refusal(asked("files", query), access)


def test_whatever_reads_again_reads_the_rows_of_the_first_read(access):
    first = looked_at(asked("app", "SELECT * FROM sales"), access)
    once = load(first, access)
    with closing(sqlite3.connect(access.connections_file.parent / "app.db")) as database:
        database.execute("DELETE FROM sales WHERE a < 30")
        database.commit()
    again = load(looked_at(first, access), access)
    assert (rows_of(again), again.digest) == (ROWS, once.digest)
    assert again.profile["sql"] == once.profile["sql"]
    newest = looked_at(asked("app", "SELECT * FROM sales"), access)
    assert newest.rows != first.rows
    assert rows_of(load(newest, access)) == ROWS - 30
    other = asked("app", "SELECT a, y FROM sales WHERE a < 50", rows=first.rows)
    assert rows_of(load(other, access)) == 20


def test_rows_that_are_no_longer_kept_are_asked_for_again_and_that_is_said(access):
    late = asked("app", "SELECT * FROM sales", rows="20260101T000000Z-0123abcd")
    assert "hours after the submit" in load(late, access).warnings[0]
    in_time = looked_at(asked("app", "SELECT a, y FROM sales"), access)
    assert not any("after the submit" in each for each in load(in_time, access).warnings)
    assert len(list(access.rows_dir.iterdir())) == 2
    prune_rows(access.rows_dir, keep_days=1)
    assert len(list(access.rows_dir.iterdir())) == 2
    prune_rows(access.rows_dir, keep_days=0)
    assert not list(access.rows_dir.iterdir())


def test_a_scoring_streams_the_answer(access):
    data = ScoredSqlData(source="sql", connection="app", query="SELECT a, b FROM sales")
    request = ScoreRequest(model_uri="models:/m/1", data=data)
    with rows_of_table(request, Wanted(("a",), ("b",), None), access) as found:
        slices = list(found.slices())
    assert (found.total, sum(len(each) for each in slices)) == (ROWS, ROWS)
    assert slices[0].kept.column_names == ["b"]


def test_mlflow_tells_answers_apart_by_their_digest(access):
    data = load(looked_at(asked("app", "SELECT * FROM sales"), access), access)
    dataset = dataset_input(data).dataset
    assert (dataset.name, dataset.digest) == ("app", data.digest[:36])
    assert json.loads(dataset.source) == {"uri": "app", "version": data.profile["sql"]["rows"]}


def test_nothing_shows_what_opens_a_database(with_postgres, server):
    file = with_postgres.connections_file
    wrong = server.uri().replace(postgres.PASSWORD, "hunter-%32")
    elsewhere = f"postgresql://reader:{postgres.PASSWORD}@127.0.0.1:1/postgres"
    file.write_text(f'[sql]\nwrong = "{wrong}"\naway = "{elsewhere}"\nok = "{server.uri()}"\n')
    said = [
        refusal(asked(name, query), with_postgres)
        for name, query in (("wrong", "SELECT 1"), ("away", "SELECT 1"), ("ok", "SELECT nope"))
    ]
    assert "password authentication failed" in said[0]
    assert "Connection refused" in said[1]
    assert not any(each in "".join(said) for each in ("hunter", postgres.PASSWORD))
    assert refusal(asked("nope", "SELECT 1"), with_postgres).endswith(
        "'nope' is not known to this service; its names are wrong, away, ok, files"
    )
    seen = load(
        looked_at(
            asked("ok", "SELECT g AS a, g % 2 AS y FROM generate_series(1, 60) g"), with_postgres
        ),
        with_postgres,
    )
    assert postgres.PASSWORD not in repr((seen.profile, seen.source, seen.warnings))


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ('[sql]\nfiles = "sqlite:///a.db"', "sql.files in .* has the name of what is there"),
        ('[sql]\na = "mysql://u:secret@h/d"', "sql.a in .* starts with neither"),
        ('[sql]\na = "postgresql://u:se@cret@h/d"', "no well-formed address; escape"),
        ('[sql]\na = "postgresql://u:se/cret@h/d"', "no well-formed address; escape"),
        ('[sql]\na = {uri = "secret"}', "is wrong at sql.a"),
        ("[sql\nsecret", "is not TOML"),
        ('[iceberg]\nlake = "secret"', "is wrong at iceberg.lake"),
    ],
)
def test_a_file_of_connections_that_is_wrong_keeps_the_service_from_starting(tmp_path, text, why):
    file = tmp_path / "connections.toml"
    file.write_text(text)
    with pytest.raises(ServiceError, match=why) as caught:
        read_connections(file)
    assert "cret" not in caught.value.detail
    with pytest.raises(ValidationError, match=why) as refused:
        Settings(connections_file=file)
    assert "cret" not in str(refused.value).replace("input_value", "")


def test_a_filter_belongs_into_the_query(access):
    with pytest.raises(ValidationError, match="say it in the query's WHERE"):
        SqlData.model_validate(
            asked("app", "SELECT 1").model_dump()
            | {"filter": [{"column": "a", "op": ">", "value": 1}]}
        )


@pytest.mark.parametrize("rows", ["all", "test"])
def test_a_look_at_a_scoring_asks_the_database_once(access, rows, monkeypatch):
    queries: list[str] = []
    really = kept.looked_at

    def noting(spec: SqlData, access: DataAccess) -> Any:
        queries.append(spec.query)
        return really(spec, access)

    monkeypatch.setattr(kept, "looked_at", noting)
    data = ScoredSqlData(source="sql", connection="app", query="SELECT * FROM sales", target="y")
    request = ScoreRequest(model_uri="models:/m/1", data=data, rows=rows, keep=["b"])
    model = About(("a",), Task.CLASSIFICATION, int)
    assert inspect_scored(request, model, access)
    assert queries == ["SELECT * FROM sales"]
    for changes, why in (({"keep": ["c"]}, "'c' is not a column"), ({}, "no column 'z'")):
        needed = About(("a",) if changes else ("a", "z"), Task.CLASSIFICATION, int)
        with pytest.raises(InvalidData, match=why):
            inspect_scored(request.model_copy(update=changes), needed, access)
