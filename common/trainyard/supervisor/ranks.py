"""What became of a run that several ranks trained, told from how each ended.

When one dies the others lose their connection to it, and say that: a consequence, and not what happened. So of what
they left, in this order:

1. what rank 0 says, if the run finished, or for any reason but that it crashed;
2. what another says that is no crash, such as that its memory ran out;
3. what a signal did, a full disk, or the launcher for too much memory, to the first that ended so;
4. the host that was lost, or is not heard of any more, with a rank;
5. the host that another rank's did not reach;
6. the first crash, with the ranks that said nothing and had to be ended: one that stands still lets the others wait,
   and it is they who fail.
"""

from collections.abc import Callable, Mapping, Sequence

from trainyard.contract import Placement, Reason
from trainyard.launcher.protocol import RankEnd
from trainyard.rundir.folder import RunFolder
from trainyard.rundir.records import Outcome


def outcomes_of(folder: RunFolder) -> dict[int, Outcome]:
    """What each rank left that left anything."""
    folders = {0: folder, **folder.ranks}
    found = {rank: each.outcome() for rank, each in folders.items()}
    return {rank: outcome for rank, outcome in found.items() if outcome is not None}


def of_all_ranks(
    ends: Sequence[RankEnd],
    left: Mapping[int, Outcome],
    died: Callable[[RankEnd], Outcome],
    places: Sequence[Placement] = (),
) -> Outcome:
    """The run's outcome. `ends` in the order in which they came; `died` says what a rank's end without an outcome was.

    `places` says where each rank ran; none where that was here.
    """
    own = left.get(0)
    if own is not None and own.reason is not Reason.CRASHED:
        return own
    failed = [end for end in ends if end.failed] or list(ends)
    told = [(end, left[end.rank]) for end in ends if end.rank in left]
    unsaid = [(end, died(end)) for end in failed if end.rank not in left]
    typed = [each for each in told if each[1].reason is not Reason.CRASHED]
    killed = [each for each in unsaid if each[1].reason is not Reason.CRASHED]
    lost = [each for each in unsaid if each[0].lost_with]
    cut = [each for each in unsaid if each[0].cut_from]
    end, outcome = [*typed, *killed, *lost, *cut, *told, *unsaid][0]
    said = f"{_named(end, len(ends), places)}: {outcome.message}"
    if (end, outcome) in told and outcome.reason is Reason.CRASHED:
        silent = [_named(each, None, places) for each in ends if each.was_ended]
        said += f"; {' and '.join(silent)} said nothing, and had to be ended" if silent else ""
    return outcome.model_copy(update={"message": said})


def given_up_on(ends: Sequence[RankEnd], places: Sequence[Placement]) -> frozenset[str]:
    """Addresses of the hosts that were lost with a rank, and of both ends of each link that was cut between two."""
    lost = {places[end.rank].address for end in ends if end.lost_with or end.cut_from}
    return frozenset(lost.union(end.cut_from for end in ends if end.cut_from))


def _named(end: RankEnd, size: int | None, places: Sequence[Placement]) -> str:
    """The rank, of how many, and where it ran; the host that is lost with it is named by what is said of it."""
    of = f" of {size}" if size else ""
    place = places[end.rank] if places and not end.lost_with else None
    return f"rank {end.rank}{of}" + (f" on {place.host} ({place.address})" if place else "")
