"""What the tests of other hosts share: the namespaces, the head of the Ray cluster, and its MLflow.

They are one group to pytest-xdist (`tests/conftest.py`): of two clusters that start on one small machine, Ray gives up
nodes. What is shared ends with the last of these tests, and not with those that follow.
"""

from collections.abc import Iterator

import pytest
from hosts_cluster import Ground, ground, program_of
from hosts_lab import why_not

SERVICES = ("boosting", "pytorch", "tensorflow")


@pytest.fixture(scope="package")
def three_hosts(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Ground]:
    """Three hosts on which nothing runs yet, and a head, in the environment of any service that is there with Ray."""
    if reason := why_not():
        pytest.skip(f"no network namespaces here: {reason}")
    service = next((name for name in SERVICES if program_of(name).exists()), None)
    if service is None:
        pytest.skip("no Ray: make .venvs/boosting-ray/.ready")
    with ground(tmp_path_factory.mktemp("hosts"), service, "abc") as made:
        yield made
