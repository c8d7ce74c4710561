"""How a run's process says why it failed, whatever it was."""

import errno
import os
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from trainyard.contract import Reason
from trainyard.datasets.outputs import _writable
from trainyard.datasets.sources.location import readable
from trainyard.datasets.tables.on_disk import disk_full_told
from trainyard.errors import DiskFull, InvalidData
from trainyard.rundir.folder import RunFolder
from trainyard.supervisor.decision import ended_by
from trainyard.worker.child import _fail

NO_NAME = os.fsdecode(b"part-\xff.parquet")
"""Of a file that is not named in UTF-8."""


def test_a_reason_that_names_what_no_json_can_hold_is_told(tmp_path: Path):
    """It ended as `crashed` ("ended without an outcome, exit code 70")."""
    folder = RunFolder(tmp_path)
    assert _fail(folder, InvalidData(f"{NO_NAME} cannot be read")) == 0
    outcome = folder.outcome()
    assert outcome
    assert (outcome.reason, outcome.message) == (
        Reason.INVALID_DATA,
        "part-\\udcff.parquet cannot be read",
    )


def test_so_is_what_the_service_itself_met(tmp_path: Path):
    folder = RunFolder(tmp_path)
    folder.write_outcome(ended_by(Reason.CRASHED, f"no such file: {NO_NAME}"))
    outcome = folder.outcome()
    assert outcome
    assert outcome.message == "no such file: part-\\udcff.parquet"


@pytest.mark.parametrize("number", [errno.ENOSPC, errno.EDQUOT])
@pytest.mark.parametrize(
    "place",
    [disk_full_told, partial(readable, "a.csv", "/data/uri"), partial(_writable, "a.parquet")],
)
def test_a_quota_that_is_used_up_is_a_full_disk_wherever_it_is_met(place: Any, number: int):
    with pytest.raises(DiskFull), place():
        raise OSError(number, os.strerror(number))
