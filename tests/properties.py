"""How property tests try: with the same examples each time, or by chance and with many more."""

from hypothesis import HealthCheck, settings

REPEATABLE, BY_CHANCE = "repeatable", "by-chance"
USUAL_EXAMPLES = 100
TIMES_BY_CHANCE = 10


def register() -> None:
    """Make both profiles known, and the repeatable one that of who names none (`--hypothesis-profile`)."""
    common = settings(
        database=None,
        deadline=None,
        print_blob=True,
        # The examples of one property may share a folder: each writes over what the one before has written.
        suppress_health_check=[HealthCheck.function_scoped_fixture],
    )
    settings.register_profile(REPEATABLE, common, derandomize=True, max_examples=USUAL_EXAMPLES)
    settings.register_profile(
        BY_CHANCE, common, derandomize=False, max_examples=TIMES_BY_CHANCE * USUAL_EXAMPLES
    )
    settings.load_profile(REPEATABLE)


def examples(usual: int) -> int:
    """So many examples in the repeatable profile, and as many times more in another as its other properties have."""
    return usual * settings.default.max_examples // USUAL_EXAMPLES


def by_chance() -> bool:
    """Whether each run is to try something else."""
    return settings.get_current_profile_name() == BY_CHANCE
