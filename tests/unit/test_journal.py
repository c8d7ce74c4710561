"""A run's metrics on disk."""

from pathlib import Path

from trainyard.rundir.metric_journal import Journal, Measured


def test_what_an_earlier_process_measured_before_the_first_step_is_told_once(
    tmp_path: Path,
) -> None:
    file = tmp_path / "metrics.jsonl"
    first = Journal(file)
    rounds = [Measured(step, 1000 + step, {"train_log_loss": 1 / step}) for step in (1, 2, 3)]
    for each in rounds:
        first.write(each)
    second = Journal(file)
    assert second.before(3) == rounds[:2]
    assert second.before(4) == []


def test_a_step_that_was_trained_again_counts_as_it_was_last(tmp_path: Path) -> None:
    file = tmp_path / "metrics.jsonl"
    for at in (1, 2):
        Journal(file).write(Measured(7, at, {"train_log_loss": at}))
    assert Journal(file).before(8) == [Measured(7, 2, {"train_log_loss": 2})]


def test_a_torn_line_is_left_out_and_spoils_no_other(tmp_path: Path) -> None:
    file = tmp_path / "metrics.jsonl"
    Journal(file).write(Measured(1, 1, {}))
    with file.open("a") as torn:
        torn.write('[2, 17, {"train_l')
    Journal(file).write(Measured(2, 3, {}))
    assert Journal(file).before(9) == [Measured(1, 1, {}), Measured(2, 3, {})]
