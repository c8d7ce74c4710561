"""Imports while the garbage collector is at rest."""

import gc

import pytest
from trainyard.uncollected import uncollected


def test_the_collector_rests_meanwhile_and_works_again_also_after_an_import_that_fails() -> None:
    with uncollected():
        assert not gc.isenabled()
    assert gc.isenabled()
    with pytest.raises(ImportError), uncollected():
        raise ImportError
    assert gc.isenabled()


def test_a_collector_that_was_at_rest_stays_so() -> None:
    with uncollected():
        with uncollected():
            pass
        assert not gc.isenabled()


def test_what_was_imported_is_not_looked_through_later() -> None:
    with uncollected():
        imported: list[list[int]] = [[]]
    assert not any(each is imported for each in gc.get_objects())
