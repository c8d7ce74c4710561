"""What became of a run that several ranks trained, told from how each ended; and a gang that is one process."""

import asyncio
from datetime import UTC, datetime

import pytest
from trainyard.contract import Phase, Placement, Reason, RunStatus
from trainyard.errors import RanksDiffer
from trainyard.launcher.gang import Board, Gang
from trainyard.launcher.messages import Gather, Gathered, PhaseEntered
from trainyard.launcher.protocol import RankEnd, Used
from trainyard.rundir.records import Outcome
from trainyard.supervisor.decision import ended_by
from trainyard.supervisor.ranks import given_up_on, of_all_ranks
from trainyard.world import World

pytestmark = pytest.mark.anyio
FINISHED = Outcome(status=RunStatus.FINISHED, ended_at=datetime.now(UTC))
RESET = ended_by(Reason.CRASHED, "connection reset")
NO_ROOM = ended_by(Reason.OUT_OF_MEMORY, "no room")
WRONG = ended_by(Reason.INVALID_DATA, "no rows")


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


def died(end: RankEnd) -> Outcome:
    if end.code is not None and end.code < 0:
        return ended_by(Reason.KILLED_BY_SIGNAL, "by a signal")
    return ended_by(Reason.CRASHED, "without a word")


@pytest.mark.parametrize(
    ("ends", "left", "reason", "message"),
    [
        pytest.param(
            [RankEnd(1, 0, trained=True), RankEnd(0, 0, trained=True)],
            {0: FINISHED},
            None,
            None,
            id="finished",
        ),
        pytest.param(
            [RankEnd(1, -9), RankEnd(0, 0)],
            {0: RESET},
            "killed_by_signal",
            "rank 1 of 2: by a signal",
            id="a killed rank, and not the connection that rank 0 lost",
        ),
        pytest.param(
            [RankEnd(0, 0), RankEnd(1, 0)],
            {0: RESET, 1: NO_ROOM},
            "out_of_memory",
            "rank 1 of 2: no room",
            id="a reason, whoever was first",
        ),
        pytest.param(
            [RankEnd(0, 0), RankEnd(1, 0)],
            {0: WRONG, 1: NO_ROOM},
            "invalid_data",
            "no rows",
            id="rank 0 speaks for the run",
        ),
        pytest.param(
            [RankEnd(0, -9), RankEnd(1, 0)],
            {1: RESET},
            "killed_by_signal",
            "rank 0 of 2: by a signal",
            id="rank 0 killed",
        ),
        pytest.param(
            [RankEnd(1, 3), RankEnd(0, -9, was_ended=True)],
            {},
            "crashed",
            "rank 1 of 2: without a word",
            id="one that was ended for another's sake is no cause",
        ),
        pytest.param(
            [RankEnd(2, 0), RankEnd(1, 0), RankEnd(0, 0)],
            {2: RESET, 1: RESET, 0: RESET},
            "crashed",
            "rank 2 of 3: connection reset",
            id="the first crash",
        ),
        pytest.param(
            [RankEnd(2, 0), RankEnd(0, 0), RankEnd(1, -9, was_ended=True)],
            {2: RESET, 0: RESET},
            "crashed",
            "rank 2 of 3: connection reset; rank 1 said nothing, and had to be ended",
            id="one that stands still is named beside who waited for it",
        ),
    ],
)
def test_the_cause_is_told_and_not_its_consequences(
    ends: list[RankEnd], left: dict[int, Outcome], reason: str | None, message: str | None
) -> None:
    found = of_all_ranks(ends, left, died)
    assert (found.reason, found.message) == (reason, message)


def test_the_host_is_named() -> None:
    places = [Placement(host=name, address="10.0.0.1", node=name) for name in ("a", "b")]
    killed = of_all_ranks([RankEnd(1, -9), RankEnd(0, 0)], {0: RESET}, died, places)
    assert killed.message == "rank 1 of 2 on b (10.0.0.1): by a signal"
    still = of_all_ranks([RankEnd(0, 0), RankEnd(1, -9, was_ended=True)], {0: RESET}, died, places)
    assert "; rank 1 on b (10.0.0.1) said nothing, and had to be ended" in str(still.message)
    lost = [RankEnd(0, 0), RankEnd(1, None, lost_with="b")]
    found = of_all_ranks(
        lost, {0: RESET}, lambda end: ended_by(Reason.CRASHED, f"{end.lost_with} lost"), places
    )
    assert found.message == "rank 1 of 2: b lost", "and not the connection that rank 0 lost"


def test_hosts_that_were_lost_or_cut_off_are_known_by_their_addresses() -> None:
    places = [Placement(host=name, address=f"10.0.0.{name}", node=name) for name in "123"]
    reset = RankEnd(0, 0)
    assert given_up_on([reset, RankEnd(1, -9)], places) == set()
    assert given_up_on([reset, RankEnd(1, None, lost_with="2")], places) == {"10.0.0.2"}
    cut = RankEnd(2, -9, cut_from="10.0.0.1")
    assert given_up_on([reset, cut], places) == {"10.0.0.1", "10.0.0.3"}
    assert given_up_on([RankEnd(0, -9)], ()) == set(), "on the service's own host"


class Member:
    """A rank's process that ends when the test says so."""

    def __init__(self, rank: int) -> None:
        self.id = f"fork:{rank}:1"
        self.ends: asyncio.Future[int | None] = asyncio.get_running_loop().create_future()
        self.used = Used(cpu_seconds=1.0, peak_memory_mb=10)
        self.ranks = ()
        self.missed: str | None = None
        self.lost_with: str | None = None
        self.cut_from: str | None = None
        self.for_memory = False
        self.stops = self.kills = self.releases = self.leaves = 0

    async def ended(self) -> int | None:
        return await self.ends

    def end(self, code: int | None) -> None:
        if not self.ends.done():
            self.ends.set_result(code)

    def ask_to_stop(self) -> None:
        self.stops += 1

    def kill(self) -> None:
        self.kills += 1
        self.end(-9)

    def release(self) -> None:
        self.releases += 1

    def let_go(self) -> None:
        self.leaves += 1


def gang_of(size: int, *, last_words_seconds: float = 0.01) -> tuple[Gang, list[Member]]:
    gang, members = Gang(last_words_seconds=last_words_seconds), [Member(r) for r in range(size)]
    for member in members:
        gang.join(member)
    return gang, members


def trained(gang: Gang, rank: int) -> None:
    gang.hears(rank, lambda _: None)(PhaseEntered(sequence=1, phase=Phase.EVALUATING))


async def test_a_rank_that_fails_ends_the_others_once_they_had_their_time() -> None:
    gang, members = gang_of(3)
    members[2].for_memory = True
    members[2].end(-11)
    assert await asyncio.wait_for(gang.ended(), 10) == -9
    assert gang.ranks[0] == RankEnd(2, -11, for_memory=True)
    assert {end.rank for end in gang.ranks if end.was_ended} == {0, 1}
    assert gang.used == Used(cpu_seconds=3.0, peak_memory_mb=30)
    assert gang.id == "fork:0:1+fork:1:1+fork:2:1"


async def test_what_the_others_say_in_their_time_is_theirs() -> None:
    gang, members = gang_of(2, last_words_seconds=1000)
    members[0].end(0)
    over = asyncio.create_task(gang.ended())
    await asyncio.sleep(0)
    members[1].end(0)
    assert await asyncio.wait_for(over, 10) == 0
    assert [end.was_ended for end in gang.ranks] == [False, False]
    assert not any(member.kills for member in members)


async def test_a_rank_that_has_trained_may_leave_and_rank_0_goes_on() -> None:
    gang, members = gang_of(2, last_words_seconds=0)
    trained(gang, 1)
    members[1].end(None)  # its fork server has died
    over = asyncio.create_task(gang.ended())
    done, _ = await asyncio.wait({over}, timeout=0.05)
    assert not done
    assert not members[0].kills
    trained(gang, 0)
    members[0].end(0)
    assert await asyncio.wait_for(over, 10) == 0
    assert not any(end.failed for end in gang.ranks)


async def test_when_rank_0_has_left_as_asked_the_others_are_ended_and_not_before() -> None:
    gang, members = gang_of(2, last_words_seconds=0)
    gang.ask_to_stop()
    assert [member.stops for member in members] == [1, 0]
    members[1].end(70)  # it lost its connection
    over = asyncio.create_task(gang.ended())
    done, _ = await asyncio.wait({over}, timeout=0.05)
    assert not done
    members[0].end(75)
    assert await asyncio.wait_for(over, 10) == 75


async def test_a_rank_whose_host_is_not_heard_of_ends_the_others_and_is_not_waited_for() -> None:
    gang, members = gang_of(3, last_words_seconds=1000)
    members[1].kill = lambda: None  # type: ignore[method-assign]
    members[1].missed = "b (10.0.0.2)"
    assert await asyncio.wait_for(gang.ended(), 10) == -9
    lost = next(end for end in gang.ranks if end.rank == 1)
    assert (lost.code, lost.lost_with, lost.failed) == (None, "b (10.0.0.2)", True)
    assert all(end.was_ended for end in gang.ranks if end.rank != 1)


async def test_a_rank_that_its_host_ended_as_it_did_not_reach_another_is_the_cause() -> None:
    gang, members = gang_of(2)
    members[0].cut_from = "10.0.0.2"
    members[0].end(-9)
    await asyncio.wait_for(gang.ended(), 10)
    first, second = gang.ranks
    assert (first.rank, first.cut_from, first.failed) == (0, "10.0.0.2", True)
    assert second.was_ended
    found = of_all_ranks(
        gang.ranks, {1: RESET}, lambda end: ended_by(Reason.CRASHED, f"not {end.cut_from}")
    )
    assert found.message == "rank 0 of 2: not 10.0.0.2"


async def test_rank_0_is_waited_for_until_it_is_gone_for_certain() -> None:
    gang, members = gang_of(2)
    members[0].kill = lambda: None  # type: ignore[method-assign]
    members[0].missed = "a (10.0.0.1)"
    over = asyncio.create_task(gang.ended())
    await asyncio.wait_for(asyncio.shield(members[1].ends), 10)
    assert members[1].kills == 1
    assert not over.done()
    members[0].lost_with = "a (10.0.0.1)"
    members[0].end(None)
    assert await asyncio.wait_for(over, 10) is None
    assert [end.rank for end in gang.ranks if end.failed] == [0]


async def test_a_rank_that_has_trained_may_be_lost() -> None:
    gang, members = gang_of(2)
    trained(gang, 1)
    members[1].missed = "b (10.0.0.2)"
    over = asyncio.create_task(gang.ended())
    trained(gang, 0)
    members[0].end(0)
    assert await asyncio.wait_for(over, 10) == 0
    assert not any(end.failed for end in gang.ranks)


async def test_a_gang_that_is_let_go_is_left_to_a_later_service() -> None:
    gang, members = gang_of(2)
    gang.let_go()
    assert [(member.kills, member.leaves) for member in members] == [(0, 1), (0, 1)]


async def test_a_gang_is_released_and_killed_as_one() -> None:
    gang, members = gang_of(2)
    gang.kill()
    gang.release()
    assert [(member.kills, member.releases) for member in members] == [(1, 1), (1, 1)]


def test_only_rank_0_is_heard() -> None:
    heard: list[object] = []
    gang, event = Gang(), PhaseEntered(sequence=1, phase=Phase.TRAINING)
    gang.hears(1, heard.append)(event)
    gang.hears(0, heard.append)(event)
    assert heard == [event]


def test_all_are_told_once_all_have_given_and_one_that_asks_again_is_told_again() -> None:
    board, said = Board(2), list[tuple[int, Gathered]]()
    for rank in range(2):
        board.seat(rank, lambda answer, rank=rank: said.append((rank, answer)))  # type: ignore[misc]
    board.take(1, Gather(key="a", value="y"))
    board.take(1, Gather(key="a", value="y"))
    board.take(0, Gather(key="b", value="z"))
    assert not said
    board.take(0, Gather(key="a", value="x"))
    answer = Gathered(key="a", values=("x", "y"))
    assert said == [(0, answer), (1, answer)]
    board.take(1, Gather(key="a", value="y"))
    assert (1, answer) in said[2:]


def test_ranks_that_do_not_have_the_same_are_named() -> None:
    world = World(rank=0, size=3, exchange=lambda _, mine: [mine, "other", mine])
    with pytest.raises(
        RanksDiffer, match="the table is another one in rank 1 than in rank 0, of 3"
    ):
        world.agree("the table", 1, b"2")


def test_each_row_is_that_of_one_rank() -> None:
    shares = [World(rank=rank, size=3).rows(list(range(8))) for rank in range(3)]
    assert shares == [[0, 3, 6], [1, 4, 7], [2, 5]]
    assert World().rows("all") == "all"
