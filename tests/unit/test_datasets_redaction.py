"""A signed address shows its signature to nobody: not in messages, not in the log, not in what is kept."""

import http.server
import logging
import threading

import numpy as np
import pytest
from trainyard.contract import FileData, ImageData, Split, Task
from trainyard.datasets import loading
from trainyard.datasets.access import DataAccess
from trainyard.datasets.sources.redaction import file_name, redacted, without_access
from trainyard.errors import InvalidData

SECRET = "hush"


@pytest.mark.parametrize(
    ("uri", "shown"),
    [
        ("tables/a.csv", "tables/a.csv"),
        ("odd?name#1.csv", "odd?name#1.csv"),
        ("s3://bucket/key.csv", "s3://bucket/key.csv"),
        ("https://host:8443/a/b.csv?X-Amz-Signature=hush", "https://host:8443/a/b.csv"),
        ("https://host/a.csv#hush", "https://host/a.csv"),
        ("https://host?hush", "https://host"),
        ("https://user:hush@host/a.csv", "https://host/a.csv"),
        ("https://hush@host/a@b.csv", "https://host/a@b.csv"),
        ("http://user:hush@[::1]:80/a.csv?hush", "http://[::1]:80/a.csv"),
        ("s3://key:hush@bucket/a.csv", "s3://bucket/a.csv"),
        ("https://user:hu/sh@host/a.csv", "https://…"),
        ("https://user:hu?sh@host/a.csv", "https://…"),
        ("https:/host/a.csv?hush", "https:/host/a.csv"),
        ("postgresql://user:hush@db:5432/name?password=hush", "postgresql://db:5432/name"),
        ("file:///etc/passwd", "file:///etc/passwd"),
    ],
)
def test_an_address_is_shown_without_query_user_and_password(uri, shown):
    assert redacted(uri) == shown
    assert SECRET not in redacted(uri)


@pytest.mark.parametrize(
    ("text", "kept"),
    [
        (
            "from https://b.example/t.csv?X-Amz-Date=1&X-Amz-Signature=abc123&x=1, see",
            "from https://b.example/t.csv?X-Amz-Date=1&X-Amz-Signature=…&x=1, see",
        ),
        ("https://a.example/?sig=a%2Bb&se=2", "https://a.example/?sig=…&se=2"),
        ("'https://a.example/?TOKEN=abc'", "'https://a.example/?TOKEN=…'"),
        ("token=abc is no address, nor is design=1", "token=abc is no address, nor is design=1"),
        ("https://a.example/?design=1&tokens=2", "https://a.example/?design=1&tokens=2"),
    ],
)
def test_what_gives_access_is_taken_out_of_any_text_and_nothing_else_is(text, kept):
    assert without_access(text) == kept


def test_a_data_set_is_called_by_the_last_part_of_its_address():
    assert file_name("a/b.csv") == "b.csv"
    assert file_name("parts/") == "parts"
    assert file_name("https://host/x.npz?signature=hush") == "x.npz"
    assert file_name("https://host") == "host"


class Files(http.server.BaseHTTPRequestHandler):
    """A table, an .npz, and for each kind of failure a page."""

    def do_GET(self):
        path = self.path.partition("?")[0]
        body = self.server.pages.get(path)
        status = {"/denied.csv": 403, "/away.csv": 302}.get(path, 200 if body else 404)
        self.send_response(status)
        if status == 302:
            self.send_header("Location", f"http://user:{SECRET}@elsewhere/x.csv?key={SECRET}")
        self.end_headers()
        self.wfile.write(body or b"")

    def log_message(self, *_):
        pass


@pytest.fixture
def site(tmp_path):
    pictures, labels = np.zeros((30, 4, 4), np.uint8), np.arange(30) % 2
    np.savez(tmp_path / "x.npz", x_train=pictures, y_train=labels, x_test=pictures, y_test=labels)
    table = "a,y\n" + "".join(f"{i},{i % 2}\n" for i in range(40))
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Files) as server:
        server.pages = {
            "/x.npz": (tmp_path / "x.npz").read_bytes(),
            "/good.csv": table.encode(),
            "/bad.csv": b"a,y\n1,2,3\n",
            "/bad.parquet": b"no parquet",
            "/bad.npz": b"no zip",
            "/page.txt": b"a,y\n",
            "/empty.csv": b" ",
        }
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()


@pytest.fixture
def access(tmp_path):
    return DataAccess(roots=(tmp_path,), data_dir=tmp_path, http_hosts=("127.0.0.1",))


@pytest.mark.parametrize(
    "address",
    [
        "{site}/bad.csv?key=hush",
        "{site}/empty.csv?key=hush",
        "{site}/bad.parquet?key=hush",
        "{site}/page.txt?key=hush",
        "{site}/none.csv?key=hush",
        "{site}/denied.csv?key=hush",
        "{site}/away.csv?key=hush",
        "http://127.0.0.1:1/x.csv?key=hush",
        "http://elsewhere/x.csv?key=hush",
        "http://user:hush@127.0.0.1/x.csv",
        "http://user:hu/sh@127.0.0.1/hush.csv",
        "http://[hush/x.csv?hush",
        "ftp://user:hush@host/x.csv?hush",
        "https:/host/x.csv?hush",
        "s3://bucket?hush",
        "s3://user:hush@bucket/x.csv",
    ],
)
def test_no_complaint_about_an_address_shows_its_secret(address, site, access):
    spec = FileData(source="file", uri=address.format(site=site), target="y")
    for look in (
        lambda: loading.inspect(
            spec, task=Task.CLASSIFICATION, kinds=("table",), access=access, split=Split()
        ),
        lambda: loading.load(spec, Split(), task=Task.CLASSIFICATION, access=access),
    ):
        with pytest.raises(InvalidData) as error:
            look()
        assert SECRET not in error.value.detail


def test_a_test_table_and_images_are_complained_about_without_their_secret(site, access):
    table = FileData(
        source="file",
        uri=f"{site}/good.csv?hush",
        target="y",
        test_uri=f"{site}/bad.csv?key=hush",
    )
    images = ImageData(source="images", uri=f"{site}/bad.npz?key=hush")
    for spec, kind in ((table, "table"), (images, "images")):
        with pytest.raises(InvalidData) as error:
            loading.inspect(
                spec, task=Task.CLASSIFICATION, kinds=(kind,), access=access, split=Split()
            )
        assert SECRET not in error.value.detail


def test_what_is_kept_of_images_from_a_signed_address_has_no_signature(site, access):
    data = loading.load(
        ImageData(source="images", uri=f"{site}/x.npz?key=hush"),
        Split(),
        task=Task.CLASSIFICATION,
        kinds=("images",),
        access=access,
    )
    assert (data.name, data.source) == ("x.npz", f"{site}/x.npz")
    assert SECRET not in repr(data.profile)


def test_the_log_shows_the_address_without_its_secret(site, access, caplog):
    caplog.set_level(logging.INFO)
    spec = FileData(source="file", uri=f"{site}/good.csv?key=hush", target="y")
    loading.load(spec, Split(), task=Task.CLASSIFICATION, access=access)
    assert f"{site}/good.csv" in caplog.text
    assert SECRET not in caplog.text
