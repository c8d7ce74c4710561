"""How a service learns that the kernel ended a run for memory."""

from pathlib import Path

import pytest
from trainyard.supervisor import attempt as attempts

VERSION_2 = "low 0\nhigh 0\nmax 812\noom 4\noom_kill 3\noom_group_kill 0\n"
VERSION_1 = "oom_kill_disable 0\nunder_oom 0\noom_kill 2\n"


@pytest.mark.parametrize(
    ("texts", "count"),
    [
        ({"events": VERSION_2}, 3),
        ({"control": VERSION_1}, 2),
        ({"events": VERSION_2, "control": VERSION_1}, 3),
        ({"events": "low 0\n", "control": VERSION_1}, 2),
        ({"control": "oom_kill_disable 0\nunder_oom 0\n"}, 0),
        ({}, 0),
    ],
)
def test_kills_for_memory_are_counted_by_either_version_of_control_groups(
    texts: dict[str, str], count: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, text in texts.items():
        (tmp_path / name).write_text(text)
    monkeypatch.setattr(attempts, "CGROUP_EVENTS", (tmp_path / "events", tmp_path / "control"))
    assert attempts.oom_kills() == count
