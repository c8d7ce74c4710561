"""CSV as it is: whatever the delimiter, encoding, quotes and preamble, the table is that of the plain file."""

import bz2
import re
from pathlib import Path

import pyarrow as pa
import pytest
from pydantic import ValidationError
from trainyard.contract import FileData, Promote, Split, Task, TrainRequest
from trainyard.datasets.access import DataAccess
from trainyard.datasets.loading import inspect, load
from trainyard.datasets.tables.dialects.dialect import Dialect
from trainyard.datasets.tables.dialects.encodings import encoding_of
from trainyard.datasets.tables.dialects.finding import dialect_of
from trainyard.errors import InvalidData

WORDS = ["grün", "blau", "weiß", "rot"]
ROWS = [(i * 0.37 % 3 - 1.5, i % 50, WORDS[i % 4], i % 2) for i in range(80)]


def written(  # noqa: PLR0913 - each a way to write a CSV
    delimiter=",", point=".", header="a,b,c,y", before="", end="\n", *, after=""
):
    rows = [
        delimiter.join((f"{a:.3f}".replace(".", point), str(b), c, str(y))) + after
        for a, b, c, y in ROWS
    ]
    return before + end.join([header.replace(",", delimiter) + after, *rows]) + end


def packed_by_arrow(text, codec):
    sink = pa.BufferOutputStream()
    with pa.CompressedOutputStream(sink, codec) as stream:
        stream.write(text.encode())
    return sink.getvalue().to_pybytes()


PLAIN = written()
CASES = {
    "semicolons": (written(";"), {"delimiter": ";"}),
    "decimal commas": (written(";", ","), {"delimiter": ";", "decimal": ","}),
    "tabs": (written("\t", ","), {"delimiter": "\t", "decimal": ","}),
    "pipes": (written("|"), {"delimiter": "|"}),
    "windows": (written(";", end="\r\n").encode("cp1252"), {"encoding": "cp1252"}),
    "utf-8 with a mark": (PLAIN.encode("utf-8-sig"), {"encoding": "utf-8"}),
    "utf-16": (written("\t").encode("utf-16"), {"encoding": "utf-16", "delimiter": "\t"}),
    "utf-16 without a mark": (PLAIN.encode("utf-16-le"), {"encoding": "utf-16-le"}),
    "carets": (written("^"), {"delimiter": "^"}),
    "Hive's delimiter": (written("\x01"), {"delimiter": "\x01"}),
    "comments": (written(before="# made by a tool, 1.2\n# today\n"), {"skip_rows": 2}),
    "a title": (written(before="Umsatz 2024\n\n"), {"skip_rows": 2}),
    "titles in a sheet": (
        written(";", before="Umsatz;;;\nvom;2.1.2024;;\n;;;\n"),
        {"skip_rows": 3},
    ),
    "single quotes": (re.sub("(grün|blau|weiß|rot)", r"'\1'", PLAIN), {"quote": "'"}),
    "what Excel writes first": (written(";", before="sep=;\n"), {"skip_rows": 1}),
    "commas at the end": (written(after=","), {"skip_rows": 0}),
    "commas at the end of rows": (written(after=",").replace("y,\n", "y\n", 1), {"skip_rows": 0}),
    "gzip's like, bzip2": (bz2.compress(PLAIN.encode()), {"delimiter": ","}),
    "zstd": (packed_by_arrow(PLAIN, "zstd"), {"delimiter": ","}),
}


@pytest.fixture
def root(tmp_path):
    (tmp_path / "plain.csv").write_text(PLAIN)
    return tmp_path


def loaded(root: Path, name="t.csv", **fields):
    spec = FileData(source="file", uri=name, target="y", **fields)
    access = DataAccess(roots=(root,), data_dir=root)
    task = Task.CLASSIFICATION
    inspect(spec, task=task, kinds=("table",), access=access, split=Split())
    return load(spec, Split(), task=task, access=access)


def write(root, content, name="t.csv"):
    (root / name).write_bytes(content if isinstance(content, bytes) else content.encode())


@pytest.mark.parametrize("case", CASES)
def test_a_table_is_the_same_however_its_csv_is_written(root, case):
    content, said = CASES[case]
    write(root, content)
    data = loaded(root)
    assert data.digest == loaded(root, "plain.csv").digest
    assert said.items() <= data.profile["csv"].items()


def test_utf_16_of_ascii_alone_is_no_utf_8(root):
    text = "a,y\n" + "".join(f"{row / 7:.3f},{row % 2}\n" for row in range(40))
    write(root, text.encode("utf-16-le"))
    assert loaded(root).profile["csv"]["encoding"] == "utf-16-le"


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ('{"a": 1, "y": 0}\n{"a": 2, "y": 1}\n', "is JSON; save the table as CSV or Parquet"),
        ("a   y\n1   0\n2   1\n", "say in data.csv.delimiter what stands between values"),
        ("0.5,1,0\n1.5,2,1\n", "where no line has names, set data.csv.header to false"),
    ],
)
def test_what_is_no_csv_with_a_header_is_refused_with_what_to_do(root, text, said):
    write(root, text)
    with pytest.raises(InvalidData, match=re.escape(said)):
        loaded(root)


def test_a_column_of_times_alone_is_not_cut_at_its_colons():
    text = "start\n" + "".join(f"{row % 24:02}:{row % 60:02}\n" for row in range(50))
    assert dialect_of(text, Dialect(), frozenset()).delimiter == ","


def test_what_was_found_is_a_warning_unless_the_request_says_it(root):
    write(root, written(";", ","))
    found = [each for each in loaded(root).warnings if "not plain CSV" in each]
    assert found == [
        "'t.csv' is not plain CSV, and is read with the delimiter ';', decimal commas; set data.csv to have it read otherwise"
    ]
    stated = loaded(root, csv={"delimiter": ";", "decimal": ","})
    assert not any("not plain CSV" in each for each in stated.warnings)
    assert not any("not plain CSV" in each for each in loaded(root, "plain.csv").warnings)


def test_a_logged_model_is_told_of_decimal_commas_in_the_file(root):
    write(root, written(";", ","))
    assert loaded(root).notations["a"]["decimal"] == ","


def test_quotes_that_a_backslash_escapes_are_part_of_the_text(root):
    rows = "".join(f'"he said \\"hi\\", then {i % 3}",{i},{i % 2}\n' for i in range(60))
    write(root, "note,a,y\n" + rows)
    data = loaded(root)
    assert set(data.train.x["note"].cat.categories) == {f'he said "hi", then {i}' for i in range(3)}
    assert data.profile["csv"]["escape"] == "\\"


def test_the_names_of_rows_that_r_writes_are_an_index(root):
    rows = "".join(f'"{i + 1}",{i * 0.5},{i % 2}\n' for i in range(60))
    write(root, '"a","y"\n' + rows)
    data = loaded(root)
    assert list(data.train.x.columns) == ["a"]
    assert "Unnamed: 0" in data.profile["left_out"]


def test_a_delimiter_within_a_value_makes_no_index_of_the_first_column(root):
    rows = "".join(f'{i * 0.37};{{"a": "b;c"}};{i % 2}\n' for i in range(60))
    write(root, "v;json;y\n" + rows)
    with pytest.raises(InvalidData, match="as many values in each row as in the header"):
        loaded(root)


def test_an_unquoted_decimal_comma_shifts_no_column_without_a_word(root):
    rows = [f"{i * 7 % 60},{i % 5},{i * 0.37:.2f},{i % 2}" for i in range(60)]
    write(root, "a,b,y\n" + "\n".join(rows))
    with pytest.raises(InvalidData, match="as many values in each row as in the header"):
        loaded(root)
    write(root, "a,b,y\n" + "\n".join(f"{i}{row[row.index(',') :]}" for i, row in enumerate(rows)))
    assert "the first value of each row as its name, since the header" in loaded(root).warnings[0]


def test_a_last_column_without_a_name_makes_no_title_of_the_header():
    rows = "".join(f"{WORDS[i % 4]},{WORDS[i % 3]},{WORDS[i % 2]}\n" for i in range(60))
    assert dialect_of("a,b,\n" + rows, Dialect(), frozenset()).skip_rows == 0


def test_without_a_header_columns_are_called_by_their_positions(root):
    write(root, PLAIN.split("\n", 1)[1])
    spec = FileData(source="file", uri="t.csv", target="3", csv={"header": False})
    access = DataAccess(roots=(root,), data_dir=root)
    data = load(spec, Split(), task=Task.CLASSIFICATION, access=access)
    assert list(data.train.x.columns) == ["0", "1", "2"]


def test_a_value_in_a_column_without_a_name_is_refused_rather_than_lost(root):
    rows = written(after=",").split("\n", 1)[1]
    write(root, f"a,b,c,y,\n{rows}1.0,2,rot,1,lost\n")
    assert "Unnamed: 4" in loaded(root).profile["columns"]
    write(root, f"a,b,c,y,\n{rows * 1400}1.0,2,rot,1,lost\n")
    with pytest.raises(InvalidData, match="lost"):
        loaded(root)


@pytest.mark.parametrize(
    ("words", "encoding"),
    [
        (["café", "garçon", "vert"], "cp1252"),
        (["10 €", "“so”", "a … b"], "cp1252"),
        (["красный", "зелёный", "Москва"], "cp1251"),
        (["Москва", "Казань", "Омск"], "cp1251"),
        (["Москва", "Казань", "Омск"], "koi8-r"),
        (["红色", "绿色", "北京"], "gb18030"),
        (["東京", "大阪", "名古屋"], "shift_jis"),
        (["Αθήνα", "Πάτρα", "Βόλος"], "cp1253"),
        (["서울", "부산", "대구시"], "euc_kr"),
        (["красный", "зелёный", "Москва"], "cp866"),
        (["шалаш", "город", "улица"], "koi8-r"),
        (["שלום", "ירושלים", "תל אביב"], "cp1255"),
        (["القاهرة", "بغداد", "دمشق"], "cp1256"),
        (["Şişli", "ağaç", "İzmir"], "cp1254"),
        (["Łódź", "duży", "słowo"], "cp1250"),
        (["červený", "žlutý", "Třebíč"], "cp1250"),
        (["Björk", "borð", "stór"], "cp1252"),
        (["pas à pas", "Crème", "Søren"], "cp1252"),
        (["voilà", "à", "a à b"], "cp1252"),
    ],
)
def test_texts_are_read_in_the_encoding_that_they_are_in(words, encoding):
    text = "a,c,y\n" + "".join(f"{i},{words[i % 3]},{i % 2}\n" for i in range(300))
    found = encoding_of(text.encode(encoding))
    assert text.encode(encoding).decode(found) == text


def test_an_encoding_that_letters_tell_is_said_with_a_word_in_it(root):
    text = "a;c;y\n" + "".join(
        f"{i / 7:.3f};{['żółty', 'mały'][i % 2]};{i % 2}\n" for i in range(60)
    )
    write(root, text.encode("cp1250"))
    (said,) = (each for each in loaded(root).warnings if "encoding" in each)
    assert "the encoding cp1250, in which its first text beyond ASCII is 'żółty'" in said
    write(root, text.encode("utf-16"))
    assert "beyond ASCII" not in "".join(loaded(root).warnings)


@pytest.mark.parametrize(
    ("delimiter", "line"),
    [
        (",", "2024-01-02 10:11:12,http://x.org/a?b=1|c;d,{i}"),
        (",", "O'Brien,it's,{i}"),
        (",", '"one\ntwo, three; x",{i},z'),
        (",", 'a;b;c,"{{""k"": [1, 2]}}",{i}'),
        (";", "02.01.2024;1.000,50;Müller, Hans {i}"),
        ("\t", "the cat, sat; then\t{i}\tit is"),
    ],
)
def test_values_with_other_delimiters_in_them_mislead_nobody(delimiter, line):
    header = delimiter.join("abc")
    text = header + "\n" + "".join(line.format(i=i) + "\n" for i in range(100))
    found = dialect_of(text, Dialect(), frozenset())
    assert (found.delimiter, found.quote, found.skip_rows) == (delimiter, '"', 0)


@pytest.mark.parametrize(
    ("field", "value", "complaint"),
    [
        ("delimiter", ";;", "one ASCII character"),
        ("delimiter", "\n", "one ASCII character"),
        ("encoding", "utf-99", "no encoding of text"),
        ("encoding", "hex", "no encoding of text"),
        ("quote", ";", "signs of their own"),
        ("skip_rows", -1, "greater than or equal to 0"),
    ],
)
def test_options_that_cannot_be_are_refused(field, value, complaint):
    with pytest.raises(ValidationError, match=complaint):
        FileData(source="file", uri="t.csv", target="y", csv={"delimiter": ";", field: value})


NAMED = {"model": "m", "data": {"source": "builtin", "name": "iris"}}


@pytest.mark.parametrize("name", ["team/churn", "Prévision été", "销售", "lr=0.1, depth [3]"])
def test_experiments_and_runs_are_named_as_people_name_them(name):
    run_name = "scheduled__2024-01-01T00:00:00+00:00"
    request = TrainRequest(
        **NAMED, experiment=name, run_name=run_name, tags={"clé": "x", "a:b": "y"}
    )
    assert (request.experiment, request.run_name) == (name, run_name)


@pytest.mark.parametrize("sign", ["/", ":", ".", "%", "?", '"', "'"])
def test_a_registered_model_is_refused_in_words(sign):
    with pytest.raises(ValidationError, match="name of a registered model has none of") as refused:
        TrainRequest(**NAMED, register={"name": f"a{sign}b"})
    assert "pattern" not in str(refused.value)


def test_an_alias_leaves_room_for_the_tags_that_it_is_a_part_of():
    """Of which MLflow keeps 250 letters: the longest is `trainyard.previous.` and the alias."""
    Promote(metric="test_r2", alias="a" * 200)
    with pytest.raises(ValidationError, match="at most 200"):
        Promote(metric="test_r2", alias="a" * 232)


@pytest.mark.parametrize(
    ("field", "value"),
    [("experiment", " "), ("run_name", "a\nb"), ("tags", {"a*": ""}), ("tags", {"a//b": ""})],
)
def test_names_that_mlflow_cannot_keep_are_refused_in_words(field, value):
    with pytest.raises(ValidationError) as refused:
        TrainRequest(**{**NAMED, field: value})
    assert "pattern" not in str(refused.value)


@pytest.mark.parametrize(
    ("more", "fields", "is_told"),
    [
        ("", {}, True),
        ("", {"csv": {"decimal": "."}}, False),
        ("0.5", {}, False),
        ("0,5", {}, False),
    ],
)
def test_points_that_may_be_of_thousands_are_told_of(root, more, fields, is_told):
    lines = [f"{row + 1}.{row * 37 % 900 + 100};{more};{row % 2}" for row in range(60)]
    write(root, "\n".join(["price;more;y", *lines]))
    told = [each for each in loaded(root, **fields).warnings if "where thousands are meant" in each]
    assert bool(told) is is_told
    if is_told:
        data = loaded(root, csv={"decimal": ","})
        assert data.frame["price"].min() > 1_000
