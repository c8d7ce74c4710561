"""The boosting service's runs on two hosts, which are containers: `docker-compose.workers.yml` beside the other files."""

from collections.abc import Callable

from servers import free_port, until
from stack_access import BESIDE, RUN_SECONDS, Project, command, docker, request_for
from trainyard.client import TrainyardClient, Unreachable
from trainyard.contract import Phase, Run
from trainyard.errors import RequestError

pytestmark = BESIDE

FILES = ("docker-compose-mlops.yml", "docker-compose.trainers.yml", "docker-compose.workers.yml")
JOINING_SECONDS = 300.0


def test_two_hosts_train_one_run_together_and_another_is_moved_from_one_that_is_killed(
    beside: Callable[..., Project], token: str
) -> None:
    command("make", "build/boosting", WORKERS="2")
    cluster, port = beside(*FILES), free_port()
    variables = {
        "BOOSTING_PORT": str(port),
        "MLFLOW_PORT": str(free_port()),
        "TRAINYARD_HOST_LEASE_SECONDS": "20",
        "TRAINYARD_SLOTS": "2",
        "WORKERS": "2",
    }
    started = ("up", "--detach", "--no-build", "mlflow", "ray-head", "boosting", "boosting-worker")
    cluster.compose("--profile", "workers", *started, **variables)
    with TrainyardClient(f"http://127.0.0.1:{port}", token=token) as client:
        until(
            lambda: _slots(client) == 4 and client.ready()["ready"],
            "two hosts to join, and MLflow to answer",
            JOINING_SECONDS,
            explain=lambda: _logs(cluster, variables),
        )
        together = client.submit(
            request_for("boosting", 20, resources={"workers": 2}), wait_seconds=60
        )
        together = client.wait(together.run_id, timeout_seconds=RUN_SECONDS)
        assert together.status == "FINISHED", (together.reason, together.message)
        assert {each.rank for each in together.placement} == {0, 1}
        assert set(_addresses(together)) == set(_hosts(cluster, variables))

        moved = client.submit(request_for("boosting", 10_000, max_attempts=5))
        until(lambda: client.get(moved.run_id).phase is Phase.TRAINING, "its training")
        [first] = _addresses(client.get(moved.run_id))
        docker("kill", _hosts(cluster, variables)[first])

        def elsewhere() -> bool:
            run = client.get(moved.run_id)
            assert not run.ended_at, (run.status, run.reason, run.message)
            trains = run.attempt >= 2 and run.phase is Phase.TRAINING
            return trains and first not in _addresses(run)

        until(elsewhere, "its second attempt, on the other host", JOINING_SECONDS)
        client.cancel(moved.run_id)
        ended = client.wait(moved.run_id, timeout_seconds=RUN_SECONDS)
        assert (ended.status, ended.reason) == ("KILLED", "cancelled")


def _logs(cluster: Project, variables: dict[str, str]) -> str:
    asked = ("logs", "--no-color", "--tail", "40", "ray-head", "boosting-worker", "boosting")
    states = cluster.compose("--profile", "*", "ps", "--all", **variables)
    return states + cluster.compose("--profile", "*", *asked, **variables)


def _slots(client: TrainyardClient) -> int:
    """Of all hosts together; 0 while nobody answers, or not yet."""
    try:
        return client.capacity().slots.total
    except (RequestError, Unreachable):
        return 0


def _addresses(run: Run) -> list[str]:
    return [each.address for each in run.placement]


def _hosts(cluster: Project, variables: dict[str, str]) -> dict[str, str]:
    """The container of each address that runs may be at."""
    asked = ("--profile", "*", "ps", "--quiet", "boosting-worker")
    containers = cluster.compose(*asked, **variables).split()
    address = "{{range .NetworkSettings.Networks}}{{.IPAddress}}{{end}}"
    return {docker("inspect", "--format", address, each): each for each in containers}
