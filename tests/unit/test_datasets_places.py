"""Where data may come from: paths below the roots, S3, and allowed hosts; and what there is."""

import dataclasses
import gzip
import http.server
import os
import socket
import subprocess
import sys
import threading
import time
from pathlib import Path

import boto3
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import trainyard.datasets.sources.s3
from moto.server import ThreadedMotoServer
from trainyard.contract import FileData, Split, Task
from trainyard.datasets import loading
from trainyard.datasets.access import DataAccess
from trainyard.datasets.listing import listing
from trainyard.datasets.sources.addresses import locate
from trainyard.errors import InvalidData

GOOD = "a,y\n" + "".join(f"{i},{i % 2}\n" for i in range(40))


def load(uri: str, access: DataAccess, **fields):
    spec = FileData(source="file", uri=uri, target="y", **fields)
    loading.inspect(spec, task=Task.CLASSIFICATION, kinds=("table",), access=access, split=Split())
    return loading.load(spec, Split(), task=Task.CLASSIFICATION, access=access)


def refused(uri: str, access: DataAccess, pointer="/data/uri", **fields) -> str:
    """The complaint, the same at submit and in the run."""
    spec = FileData(source="file", uri=uri, target="y", **fields)
    with pytest.raises(InvalidData) as submitted:
        loading.inspect(
            spec, task=Task.CLASSIFICATION, kinds=("table",), access=access, split=Split()
        )
    with pytest.raises(InvalidData) as in_the_run:
        loading.load(spec, Split(), task=Task.CLASSIFICATION, access=access)
    assert submitted.value.pointer == in_the_run.value.pointer == pointer
    return submitted.value.detail


@pytest.fixture
def outside(tmp_path: Path) -> Path:
    (tmp_path / "outside").mkdir()
    (tmp_path / "outside" / "secret.csv").write_text(GOOD)
    return tmp_path / "outside"


@pytest.fixture
def root(tmp_path: Path) -> Path:
    folder = tmp_path / "root"
    (folder / "sub").mkdir(parents=True)
    (folder / "sub" / "good.csv").write_text(GOOD)
    return folder


@pytest.fixture
def access(root: Path) -> DataAccess:
    return DataAccess(roots=(root,), data_dir=root)


def test_a_path_below_any_of_the_roots_is_found(root, tmp_path):
    (tmp_path / "first").mkdir()
    access = DataAccess(roots=(tmp_path / "first", root), data_dir=root)
    assert load("sub/good.csv", access).name == "good.csv"
    assert load(str(root / "sub" / "good.csv"), access).profile["rows"] == 40


def test_a_link_that_stays_below_the_root_is_followed(root, access):
    (root / "link.csv").symlink_to(root / "sub" / "good.csv")
    assert load("link.csv", access).profile["rows"] == 40


@pytest.mark.parametrize(
    "uri",
    [
        "../outside/secret.csv",
        "sub/../../outside/secret.csv",
        "/etc/passwd",
        "../outside/nothing.csv",
    ],
)
def test_a_path_that_leaves_the_roots_is_refused(uri, access, outside):
    assert "outside the data roots" in refused(uri, access)


def test_a_path_through_a_symlink_is_refused(root, access, outside):
    (root / "file.csv").symlink_to(outside / "secret.csv")
    (root / "folder").symlink_to(outside)
    assert "outside the data roots" in refused("file.csv", access)
    assert "outside the data roots" in refused("folder/secret.csv", access)


def test_a_link_out_of_a_partitioned_folder_is_refused(root, access, outside):
    pq.write_table(pa.table({"a": [1], "y": [0]}), outside / "part.parquet")
    (root / "table").mkdir()
    (root / "table" / "part.parquet").symlink_to(outside / "part.parquet")
    assert "points outside" in refused("table", access)


@pytest.mark.parametrize("uri", ["a\0b.csv", "x" * 300 + ".csv", "loop.csv"])
def test_a_path_that_no_file_can_have_is_refused(uri, root, access):
    (root / "loop.csv").symlink_to(root / "loop.csv")
    assert refused(uri, access)


def test_a_special_file_is_refused_without_being_opened(root, access):
    os.mkfifo(root / "pipe.csv")
    assert "neither a file nor a folder" in refused("pipe.csv", access)


def test_a_missing_file_is_refused_with_the_nearest_name(access):
    assert "did you mean 'good.csv'?" in refused("sub/goood.csv", access)


def test_a_path_is_refused_where_there_are_no_roots(tmp_path):
    assert "TRAINYARD_DATA_ROOTS" in refused("good.csv", DataAccess(roots=(), data_dir=tmp_path))


def test_a_missing_test_table_is_pointed_at(access):
    assert "does not exist" in refused(
        "sub/good.csv", access, "/data/test_uri", test_uri="none.csv"
    )


@pytest.mark.parametrize(
    "uri",
    [
        "file:///etc/passwd",
        "ftp://host/x.csv",
        "gs://bucket/x.csv",
        "s3://bucket",
        "s3://bucket/../x.csv",
    ],
)
def test_other_addresses_are_refused(uri, access):
    assert repr(uri) in refused(uri, access)


@pytest.fixture(scope="module")
def s3():
    server = ThreadedMotoServer(ip_address="127.0.0.1", port=0)
    server.start()
    host, port = server.get_host_and_port()
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("AWS_ACCESS_KEY_ID", "key")
        patch.setenv("AWS_SECRET_ACCESS_KEY", "secret")
        patch.setenv("AWS_DEFAULT_REGION", "us-east-1")
        endpoint = f"http://{host}:{port}"
        client = boto3.client("s3", endpoint_url=endpoint)
        client.create_bucket(Bucket="bucket")
        client.put_object(Bucket="bucket", Key="tables/good.csv", Body=GOOD.encode())
        parquet = pa.BufferOutputStream()
        pq.write_table(pa.table({"a": range(20), "y": [i % 2 for i in range(20)]}), parquet)
        for part in ("k=one", "k=two"):
            client.put_object(
                Bucket="bucket",
                Key=f"parts/{part}/data.parquet",
                Body=parquet.getvalue().to_pybytes(),
            )
        yield DataAccess(roots=(), data_dir=Path(), s3_endpoint=endpoint)
    server.stop()


def test_a_table_is_read_from_s3(s3):
    data = load("s3://bucket/tables/good.csv", s3)
    assert (data.name, data.profile["rows"]) == ("good.csv", 40)


def test_a_partitioned_folder_is_read_from_s3(s3):
    assert load("s3://bucket/parts", s3).profile["columns"] == {"a": "int64", "k": "category"}


def test_a_missing_object_and_a_missing_bucket_are_refused(s3):
    assert "does not exist" in refused("s3://bucket/none.csv", s3)
    assert refused("s3://nowhere/none.csv", s3)


def test_a_bucket_off_the_list_is_refused_before_anything_is_asked_of_it(s3):
    access = dataclasses.replace(s3, s3_buckets=("other", "second"))
    assert (
        "the bucket 'bucket' is not allowed; TRAINYARD_S3_BUCKETS allows other, second"
        in refused("s3://bucket/tables/good.csv", access)
    )
    unreachable = dataclasses.replace(access, s3_endpoint="http://127.0.0.1:1")
    assert "is not allowed" in refused("s3://bucket/tables/good.csv", unreachable)
    access = dataclasses.replace(s3, s3_buckets=("other", "bucket"))
    assert load("s3://bucket/tables/good.csv", access).name == "good.csv"


def test_of_a_large_prefix_a_look_at_submit_lists_a_part(s3, monkeypatch):
    monkeypatch.setattr(trainyard.datasets.sources.s3, "LISTED_AT_SUBMIT", 2)
    monkeypatch.setattr(trainyard.datasets.sources.s3, "FILES_AT_SUBMIT", 1)
    some, every = (locate("s3://bucket/parts", s3, all_files=each) for each in (False, True))
    assert (some.files, some.all_files) == (("k=one/data.parquet",), False)
    assert (len(every.files), every.all_files) == (2, True)
    assert load("s3://bucket/parts", s3).profile["rows"] == 40


def test_a_prefix_with_too_many_objects_is_refused_in_the_run(s3, monkeypatch):
    monkeypatch.setattr(trainyard.datasets.sources.s3, "MOST_ENTRIES", 1)
    with pytest.raises(InvalidData, match="holds 2 objects, and at most 1 are read"):
        locate("s3://bucket/parts", s3, all_files=True)


@pytest.fixture
def silent():
    """The port of a server that takes connections and never answers."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        yield listener.getsockname()[1]


@pytest.mark.parametrize("uri", ["s3://bucket/x.csv", "http://127.0.0.1:{port}/x.csv"])
def test_a_remote_that_never_answers_is_refused_once_patience_ends(
    uri, silent, tmp_path, monkeypatch
):
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "key")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "secret")
    access = DataAccess(
        roots=(),
        data_dir=tmp_path,
        http_hosts=("127.0.0.1",),
        s3_endpoint=f"http://127.0.0.1:{silent}",
    )
    started = time.monotonic()
    with pytest.raises(InvalidData) as error:
        locate(uri.format(port=silent), access, patience_seconds=1.0).head(10)
    assert error.value.pointer == "/data/uri"
    assert time.monotonic() - started < 4


def test_a_server_that_drips_its_answer_is_given_no_more_time_than_one_that_is_silent(tmp_path):
    over = threading.Event()

    def drip(listener: socket.socket) -> None:
        connection, _ = listener.accept()
        with connection:
            connection.sendall(b"HTTP/1.1 200 OK\r\nX-Slow: ")
            while not over.wait(0.1):
                try:
                    connection.sendall(b"x")
                except OSError:
                    return

    with socket.create_server(("127.0.0.1", 0)) as listener:
        thread = threading.Thread(target=drip, args=(listener,))
        thread.start()
        access = DataAccess(roots=(), data_dir=tmp_path, http_hosts=("127.0.0.1",))
        uri = f"http://127.0.0.1:{listener.getsockname()[1]}/x.csv"
        started = time.monotonic()
        with pytest.raises(InvalidData, match="did not answer in time"):
            locate(uri, access, patience_seconds=1.0).head(10)
        assert time.monotonic() - started < 4
        over.set()
        thread.join(10)


class Pages(http.server.BaseHTTPRequestHandler):
    """Serves GOOD, an endless table, and redirects."""

    def do_GET(self):
        path = self.path.partition("?")[0]
        if path.startswith("/to/"):
            self.send_response(302)
            self.send_header(
                "Location",
                {
                    "good": "/good.csv",
                    "elsewhere": f"http://localhost:{self.server.server_port}/good.csv",
                    "file": "file:///etc/passwd",
                    "login": f"http://user:word@127.0.0.1:{self.server.server_port}/good.csv",
                }[path.removeprefix("/to/").removesuffix(".csv")],
            )
            self.end_headers()
        elif path == "/good.csv":
            self.answer(GOOD.encode())
        elif path == "/loop.csv":
            self.send_response(302)
            self.send_header("Location", "/loop.csv")
            self.end_headers()
        elif path == "/packed.csv":
            self.send_response(200)
            self.send_header("Content-Encoding", "gzip")
            self.end_headers()
            self.wfile.write(gzip.compress(GOOD.encode()))
        elif path == "/bad.parquet":
            self.answer(b"no parquet")
        elif path == "/endless.csv":
            self.answer(b"a,y\n")
            try:
                while True:
                    self.wfile.write(b"1,0\n2,1\n" * 1000)
            except OSError:
                self.server.hung_up.set()
        else:
            self.send_error(404)

    def answer(self, body: bytes):
        self.send_response(200)
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_):
        pass


@pytest.fixture(scope="module")
def web():
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Pages) as server:
        server.hung_up = threading.Event()
        thread = threading.Thread(target=server.serve_forever, daemon=True)
        thread.start()
        yield server
        server.shutdown()


@pytest.fixture
def page(web):
    return f"http://127.0.0.1:{web.server_port}"


@pytest.fixture
def web_access(tmp_path):
    return DataAccess(roots=(), data_dir=tmp_path, http_hosts=("127.0.0.1",))


def test_a_table_is_read_from_an_allowed_host(page, web_access):
    data = load(f"{page}/good.csv?signature=secret", web_access)
    assert data.profile["rows"] == 40
    assert data.source == f"{page}/good.csv"


def test_an_allowed_host_may_be_named_with_its_port(page, web, tmp_path):
    access = DataAccess(roots=(), data_dir=tmp_path, http_hosts=(f"127.0.0.1:{web.server_port}",))
    assert load(f"{page}/good.csv", access).name == "good.csv"


def test_hosts_that_are_not_allowed_are_refused(page, web, web_access, tmp_path):
    assert "is not allowed; allowed are 127.0.0.1" in refused(
        f"http://localhost:{web.server_port}/good.csv", web_access
    )
    assert "is not allowed" in refused(
        f"http://127.0.0.1@localhost:{web.server_port}/good.csv", web_access
    )
    assert "must not hold a user" in refused(
        f"http://user:word@127.0.0.1:{web.server_port}/good.csv", web_access
    )
    assert "TRAINYARD_HTTP_HOSTS" in refused(
        f"{page}/good.csv", DataAccess(roots=(), data_dir=tmp_path)
    )


def test_a_redirect_is_followed_to_an_allowed_host_and_to_no_other(page, web_access):
    assert load(f"{page}/to/good.csv", web_access).profile["rows"] == 40
    assert "redirects to" in refused(f"{page}/to/elsewhere.csv", web_access)
    assert "redirects to" in refused(f"{page}/to/file.csv", web_access)
    assert "redirects to" in refused(f"{page}/to/login.csv", web_access)
    assert "redirects" in refused(f"{page}/loop.csv", web_access)


def test_an_answer_is_taken_as_it_comes_and_not_unpacked_on_the_way(page, web_access):
    head, complete = locate(f"{page}/packed.csv", web_access).head(1 << 20)
    assert head.startswith(b"\x1f\x8b")
    assert complete
    assert load(f"{page}/packed.csv", web_access).profile["rows"] == 40


def test_no_proxy_and_no_password_file_is_taken_from_the_environment(
    page, web_access, tmp_path, monkeypatch
):
    monkeypatch.setenv("http_proxy", "http://127.0.0.1:1")
    monkeypatch.setenv("HTTP_PROXY", "http://127.0.0.1:1")
    assert load(f"{page}/good.csv", web_access).profile["rows"] == 40


def test_a_missing_page_and_a_wrong_file_are_refused(page, web_access):
    assert "does not exist" in refused(f"{page}/none.csv", web_access)
    assert "Parquet" in refused(f"{page}/bad.parquet", web_access)
    assert "cannot be read" in refused("http://127.0.0.1:1/x.csv", web_access)


def test_inspecting_takes_no_more_than_the_head_of_a_page(page, web, web_access):
    spec = FileData(source="file", uri=f"{page}/endless.csv", target="y")
    loading.inspect(
        spec, task=Task.CLASSIFICATION, kinds=("table",), access=web_access, split=Split()
    )
    assert web.hung_up.wait(10)


def test_the_listing_names_what_can_be_asked_for(root, access, outside):
    (root / "link.csv").symlink_to(outside / "secret.csv")
    (root / "notes.txt").write_text("no data")
    (root / "parts" / "k=1").mkdir(parents=True)
    pq.write_table(
        pa.table({"a": range(40), "y": [i % 2 for i in range(40)]}),
        root / "parts" / "k=1" / "p.parquet",
    )
    found = listing(access)
    assert [each.name for each in found if each.source == "builtin"] == [
        "breast_cancer",
        "wine",
        "iris",
        "digits",
        "diabetes",
        "mnist",
        "fashion_mnist",
    ]
    files = [each for each in found if each.source == "file"]
    assert [each.name for each in files] == ["parts", "sub/good.csv"]
    assert files[1].size_bytes == len(GOOD)
    assert all(load(each.name, access).profile["rows"] == 40 for each in files)


def test_importing_starts_no_thread_and_loads_no_file_system():
    program = (
        "import os, sys, pandas, pyarrow, pyarrow.compute; before = len(os.listdir('/proc/self/task'))\n"
        "import trainyard.datasets; assert len(os.listdir('/proc/self/task')) == before\n"
        "assert not {'sklearn.datasets', 'aiohttp', 'pyarrow._s3fs', 'pooch'} & set(sys.modules)\n"
    )
    subprocess.run([sys.executable, "-c", program], check=True)
