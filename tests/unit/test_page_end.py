"""Pages of runs: while others are submitted and some leave the filter, none is on two pages and none is left out."""

from collections.abc import Sequence

import pytest
from hypothesis import given
from hypothesis import strategies as st
from mlflow.entities import Run, RunData, RunInfo
from mlflow.store.entities.paged_list import PagedList
from trainyard.tracking.page_end import PageEnd


class Found:
    """What MLflow has, and gives as `search_runs` does: the newest first, those of one millisecond in the order of their ids."""

    def __init__(self, times: Sequence[int]) -> None:
        self.times = {f"r{number}": time for number, time in enumerate(times)}

    def __call__(self, condition: str, *, limit: int) -> PagedList[Run]:
        last = int(condition.rpartition(" ")[2]) if condition else 10**9
        fitting = [(-time, run_id) for run_id, time in self.times.items() if time <= last]
        page = [_run(run_id, -time) for time, run_id in sorted(fitting)[:limit]]
        return PagedList(page, token="more" if len(fitting) >= limit else None)


def _run(run_id: str, start_time: int) -> Run:
    info = RunInfo(run_id, "0", "u", "RUNNING", start_time, None, "active")
    return Run(info, RunData())


@given(
    st.lists(st.integers(0, 5), max_size=12),
    st.integers(1, 4),
    st.lists(st.sampled_from(["new", "gone"]), max_size=8),
)
def test_each_run_that_stays_is_on_one_page(
    times: list[int], limit: int, meanwhile: list[str]
) -> None:
    found, end, given_out = Found(times), PageEnd(), []
    stays = set(found.times)
    changes = iter(meanwhile)
    while end is not None:
        page, end = (
            PageEnd.read(str(end)).next_page(found, limit)
            if given_out
            else end.next_page(found, limit)
        )
        assert len(page) <= limit
        given_out += [each.info.run_id for each in page]
        change = next(changes, None)
        if change == "new":
            found.times[f"new{len(found.times)}"] = 6
        elif change == "gone" and given_out:
            found.times.pop(given_out[-1], None)
    assert len(given_out) == len(set(given_out))
    assert set(given_out) == stays
    ordered = [times[int(run_id[1:])] for run_id in given_out]
    assert ordered == sorted(ordered, reverse=True)


def test_what_is_no_page_s_end_is_refused() -> None:
    with pytest.raises(ValueError, match="invalid literal"):
        PageEnd.read("eyJvZmZzZXQiOiA1MH0=")
