"""A log that becomes too long keeps its beginning and its end."""

from pathlib import Path

from trainyard.worker.log_limit import END_BYTES, cut

MB = 2**20


def test_a_log_within_its_limit_stays_as_it_is(tmp_path: Path) -> None:
    log = tmp_path / "training.log"
    log.write_bytes(b"x" * MB)
    cut(log, 1)
    assert log.read_bytes() == b"x" * MB


def test_a_log_that_is_too_long_keeps_its_beginning_and_goes_on_after_a_line_that_says_so(
    tmp_path: Path,
) -> None:
    log = tmp_path / "training.log"
    with log.open("a", buffering=1) as run:
        run.write("began\n" + "x" * MB + "\nnewest\n")
        cut(log, 1)
        run.write("ended\n")
        beginning, _, end = log.read_text().partition("\n[training.log had more than 1 MB")
        assert beginning.startswith("began\n")
        assert len(beginning) == MB // 2
        assert end.endswith("x\nnewest\nended\n")
        run.write("y" * MB)
        cut(log, 1)
        assert log.stat().st_size < MB // 2 + END_BYTES + 200
        assert "y" not in log.read_text().partition("[training.log")[0]
