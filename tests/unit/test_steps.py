"""What a run did from when to when."""

from datetime import UTC, datetime, timedelta

from trainyard.contract import Phase, RunStatus, Transition, steps, without_notes

BEGAN = datetime(2026, 11, 28, tzinfo=UTC)
TOLD = [
    (0, RunStatus.SCHEDULED, None),
    (3, RunStatus.RUNNING, Phase.STARTING),
    (4, RunStatus.RUNNING, Phase.TRAINING),
    (5, RunStatus.RUNNING, Phase.TRAINING),
    (9, RunStatus.SCHEDULED, None),
    (10, RunStatus.RUNNING, Phase.STARTING),
]
TRANSITIONS = [
    Transition(status=status, phase=phase, at=BEGAN + timedelta(seconds=seconds))
    for seconds, status, phase in TOLD
]


def test_each_step_lasts_until_the_next_and_the_last_until_now():
    now = BEGAN + timedelta(seconds=12)
    assert [step.seconds(now) for step in steps(TRANSITIONS)] == [3, 1, 1, 4, 1, 2]
    assert steps(TRANSITIONS)[-1].seconds() is None
    assert steps([]) == []


def test_notes_within_a_phase_do_not_divide_it_and_a_second_attempt_does():
    found = steps(without_notes(TRANSITIONS))
    assert [(step.began.phase, step.seconds()) for step in found] == [
        (None, 3),
        (Phase.STARTING, 1),
        (Phase.TRAINING, 5),
        (None, 1),
        (Phase.STARTING, None),
    ]
