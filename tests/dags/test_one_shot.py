"""The one-shot DAG takes the container's run from a file, as JSON, whatever the container printed."""

import io
import json
import os
import pickle
import subprocess
import tarfile
from pathlib import Path

from airflow_lab import DAGS
from servers import ROOT

PYTHON = ROOT / ".venvs/airflow/bin/python"
PROGRAM = """
import json, sys
from types import SimpleNamespace

sys.path.insert(0, sys.argv[1])
from docker_one_shot_dag import train

def get_archive(container, path):
    assert train.command[:3] == ["run", "--output", path]
    archive = open(sys.argv[2], "rb").read()
    return [archive], {"name": path.rpartition("/")[2], "size": 1}

train.container = {"Id": "c"}
vars(train)["hook"] = SimpleNamespace(api_client=SimpleNamespace(get_archive=get_archive))
assert train.retrieve_output
print(json.dumps(train._attempt_to_retrieve_result()))
"""
"""Docker's engine is the only part that is not the real one."""


def fetched(content: bytes, folder: Path) -> subprocess.CompletedProcess[str]:
    """What the DAG's task reads out of the archive that Docker gives of its file."""
    archive = folder / "archive.tar"
    with tarfile.open(archive, "w") as tar:
        member = tarfile.TarInfo("run.json")
        member.size = len(content)
        tar.addfile(member, io.BytesIO(content))
    return subprocess.run(
        [PYTHON, "-c", PROGRAM, DAGS, archive],
        env={**os.environ, "AIRFLOW_HOME": str(folder)},
        capture_output=True,
        text=True,
        timeout=400,
        check=False,
    )


def test_the_run_comes_out_of_the_containers_file(tmp_path: Path) -> None:
    run = {"run_id": "r", "metrics": {"accuracy": 0.5}}
    done = fetched(json.dumps(run).encode(), tmp_path)
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout.splitlines()[-1]) == run


def test_a_pickle_is_refused(tmp_path: Path) -> None:
    done = fetched(pickle.dumps({"run_id": "r"}), tmp_path)
    assert done.returncode != 0
    assert "json" in done.stderr
