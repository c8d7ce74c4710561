"""Which hosts are told to have kept ranks from being started together."""

import asyncio
from typing import Any, cast

import pytest
from trainyard.errors import HostLost, LaunchRefused, Unavailable
from trainyard.launcher.messages import Job
from trainyard.launcher.remote_gang import TOGETHER_SECONDS, begin_all
from trainyard.launcher.remote_process import RemoteProcess
from virtual_time import in_no_time


class Member:
    """A rank whose host starts it, or does what the test says, after so many seconds."""

    def __init__(self, error: Exception | None = None, seconds: float = 1.0) -> None:
        self._error, self._seconds = error, seconds

    async def begin(self, job: Job) -> None:  # noqa: ARG002
        await asyncio.sleep(self._seconds)
        if self._error:
            raise self._error


def begin(*members: Member) -> None:
    in_no_time(
        begin_all(cast("list[RemoteProcess]", members), cast("list[Job]", [None] * len(members)))
    )


def test_all_that_start_are_a_gang() -> None:
    begin(Member(), Member(seconds=TOGETHER_SECONDS - 1))


@pytest.mark.parametrize(
    ("members", "ranks", "said"),
    [
        ([Member(), Member(Unavailable("full")), Member(seconds=9)], (1,), "full"),
        ([Member(), Member(), Member(HostLost("gone"))], (2,), "gone"),
        ([Member(Unavailable("full"), 3), Member(Unavailable("cold"))], (0, 1), "full"),
        ([Member(), Member(seconds=1e9), Member()], (1,), "not all hosts started their ranks"),
    ],
    ids=["full", "lost", "rank 0 is waited for", "late"],
)
def test_the_ranks_are_told_that_were_not_started(
    members: list[Any], ranks: tuple[int, ...], said: str
) -> None:
    with pytest.raises(HostLost, match=said) as caught:
        begin(*members)
    assert caught.value.ranks == ranks


def test_what_will_never_start_is_refused_whatever_else_went_wrong() -> None:
    with pytest.raises(LaunchRefused):
        begin(Member(Unavailable("full")), Member(LaunchRefused("no such model")))
