"""The lines of one rank of several in the run's log."""

import io

from trainyard.worker.rank_log import RankLog


def test_each_line_begins_with_the_rank_however_it_was_written() -> None:
    raw = io.BytesIO()
    log = RankLog(io.TextIOWrapper(raw), 3)
    assert log.write("one") == 3
    log.write(" line\nand\n\nan")
    log.write("other\n")
    log.write("")
    log.write("ends\udcff without")
    log.flush()
    assert raw.getvalue().decode() == (
        "[rank 3] one line\n[rank 3] and\n[rank 3] \n[rank 3] another\n[rank 3] ends\\udcff without"
    )
