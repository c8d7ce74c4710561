"""Reading a table of 20 columns as CSV, Parquet, Delta and Iceberg, beside plain pyarrow and pandas: time and memory.

`python bench/reading.py [MILLIONS]`, 1 million rows by default. Each reading is a process of its own in the boosting
service's environment, three of each, taken in turns.
"""

import json
import sys
from collections import defaultdict
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
from deltalake import write_deltalake
from pyarrow import csv
from pyiceberg.catalog import load_catalog

HERE = Path(__file__).resolve().parent
sys.path.insert(0, str(HERE.parent / "scripts"))

from programs import ROOT  # noqa: E402 - scripts/ is on the path only now
from report import figure, output_of, write  # noqa: E402
from tables import DATA, normal_table  # noqa: E402

PYTHON = ROOT / ".venvs/boosting/bin/python"
KINDS = ("csv", "parquet", "delta", "iceberg")
PAIRS = {"read": "pyarrow", "load": "pandas"}
"""Each of our ways, and the plain way beside it: to columns, and to the parts that a model is given."""
GOALS = {("csv", "read"): "<= 1.1x"}
TIMES = 3


def made(millions: float) -> Path:
    """A folder with the same table in each kind."""
    folder = DATA / f"reading-{millions:g}m"
    if (folder / "connections.toml").exists():
        return folder
    folder.mkdir(parents=True, exist_ok=True)
    table = pq.read_table(normal_table(millions))
    csv.write_csv(table, folder / "table.csv")
    pq.write_table(table, folder / "table.parquet")
    write_deltalake(folder / "delta", table)
    catalog = {
        "type": "sql",
        "uri": f"sqlite:///{folder}/catalog.db",
        "warehouse": f"file://{folder}/warehouse",
    }
    lake = load_catalog("bench", **catalog)
    lake.create_namespace("bench")
    lake.create_table("bench.normal", schema=table.schema).append(table)
    lines = [f'{name} = "{value}"' for name, value in catalog.items()]
    (folder / "connections.toml").write_text("\n".join(["[iceberg.bench]", *lines, ""]))
    return folder


def measured(kind: str, folder: Path) -> dict[str, Any]:
    """Seconds and MB of our ways beside the plain ones."""
    seconds, memory = defaultdict[str, list[float]](list), defaultdict[str, list[float]](list)
    for _ in range(TIMES):
        for way in (*PAIRS, *PAIRS.values()):
            program = [PYTHON, HERE / "read_once.py", way, kind, folder]
            found = json.loads(output_of(program))
            seconds[way].append(found["seconds"])
            memory[way].append(found["memory_mb"])
    return {
        f"{way}, beside {plain}": {
            **figure(seconds[way], seconds[plain], "s", goal=GOALS.get((kind, way), "")),
            "memory": figure(memory[way], memory[plain], "mb", goal=""),
        }
        for way, plain in PAIRS.items()
    }


def main() -> None:
    """Make the tables, measure, write."""
    millions = float((sys.argv[1:] or ["1"])[0])
    folder = made(millions)
    results: dict[str, Any] = {}
    for kind in KINDS:
        results[kind] = measured(kind, folder)
        print(f"{kind}: {json.dumps(results[kind])}", flush=True)
    write("reading", {"rows": int(millions * 1_000_000), **results})


if __name__ == "__main__":
    main()
