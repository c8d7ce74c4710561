"""How a service learns that the kernel ended a run for memory."""

from pathlib import Path

import pytest
from trainyard import control_groups

VERSION_2 = "low 0\nhigh 0\nmax 812\noom 4\noom_kill 3\noom_group_kill 0\n"
VERSION_1 = "oom_kill_disable 0\nunder_oom 0\noom_kill 2\n"


@pytest.mark.parametrize(
    ("texts", "count"),
    [
        ({"events": VERSION_2}, 3),
        ({"control": VERSION_1}, 2),
        ({"events": VERSION_2, "control": VERSION_1}, 3),
        ({"control": "oom_kill_disable 0\nunder_oom 0\n"}, 0),
        ({}, 0),
    ],
)
def test_kills_for_memory_are_counted_by_either_version_of_control_groups(
    texts: dict[str, str], count: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    own, memory = tmp_path / "system/trainer", tmp_path / "memory"
    for folder in (own, memory):
        folder.mkdir(parents=True)
    groups = tmp_path / "groups"
    groups.write_text("4:cpu,memory:/\n0::/system/trainer\n")
    monkeypatch.setattr(control_groups, "OWN", groups)
    monkeypatch.setattr(control_groups, "VERSION_2", tmp_path)
    monkeypatch.setattr(control_groups, "VERSION_1", memory)
    (tmp_path / "memory.events").write_text("oom_kill 7\n" if "events" in texts else "")
    for name, text in texts.items():
        {"events": own / "memory.events", "control": memory / "memory.oom_control"}[
            name
        ].write_text(text)
    assert control_groups.oom_kills() == count
