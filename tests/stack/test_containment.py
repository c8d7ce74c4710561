"""What a container may do, and who reaches it: each rule of the Compose files, tried."""

import json
import os
import re
import shutil
import socket
import subprocess
from pathlib import Path

import httpx
import psutil
import pytest
from servers import ROOT, until
from stack_access import (
    AIRFLOW,
    STACK,
    TRAINERS,
    address,
    container,
    docker,
    inspected,
    setting,
)

OWN_IMAGES = ("mlflow", "console", *AIRFLOW, *TRAINERS)
MEGABYTES = {"MiB": 1.0, "GiB": 1024.0, "KiB": 1 / 1024, "B": 1 / 2**20}


def processes(name: str) -> list[list[str]]:
    """The user, id, parent and words of each process in the container, ids as the host has them."""
    _, *found = docker("top", container(name), "-eo", "uid,pid,ppid,args").splitlines()
    assert found
    return [each.split(maxsplit=3) for each in found]


@pytest.mark.parametrize("name", OWN_IMAGES)
def test_no_process_of_a_container_is_root(name: str) -> None:
    # What Docker has enter it, such as a health check, is root's for a moment, before it is the user's.
    until(
        lambda: not [each for each in processes(name) if each[0] == "0"],
        "no process to be root's",
        20,
        explain=lambda: str(processes(name)),
    )


@pytest.mark.parametrize("name", sorted({*STACK} - {*OWN_IMAGES}))
def test_of_what_a_container_started_no_process_is_root(name: str) -> None:
    # Docker runs the health checks of these two images as root; they are no children of the container's own process.
    own, found = str(inspected(name)["State"]["Pid"]), processes(name)
    assert own in {pid for _, pid, *_ in found}
    started = {own}
    for uid, pid, parent, words in sorted(found, key=lambda each: int(each[1])):
        if pid in started or parent in started:
            started.add(pid)
            assert uid != "0", words


@pytest.mark.parametrize("name", OWN_IMAGES)
def test_who_enters_a_container_is_no_root_user(name: str) -> None:
    assert docker("exec", container(name), "id", "-u") == "10001"


@pytest.mark.parametrize("name", STACK)
def test_the_root_file_system_is_read_only_for_root_too(name: str) -> None:
    done = entered(name, "touch", "/written", user="0")
    assert done.returncode != 0
    assert "Read-only file system" in done.stderr


@pytest.mark.parametrize("name", STACK)
def test_a_container_has_no_capability_and_gains_none(name: str) -> None:
    status = docker("exec", container(name), "cat", "/proc/1/status")
    assert re.search(r"CapEff:\s+0+$", status, re.MULTILINE)
    assert re.search(r"NoNewPrivs:\s+1$", status, re.MULTILINE)
    if name in OWN_IMAGES:
        assert re.search(r"CapBnd:\s+0+$", status, re.MULTILINE)


def test_the_data_is_read_only_for_root_too() -> None:
    for name in TRAINERS:
        assert "Read-only file system" in entered(name, "touch", "/data/written", user="0").stderr


def test_the_docker_socket_is_in_no_container_unless_asked_for() -> None:
    with_socket = {
        name
        for name in STACK
        if entered(name, "test", "-e", "/var/run/docker.sock").returncode == 0
    }
    assert with_socket == ({"airflow-worker"} if os.environ.get("DOCKER_SOCKET") else set())


def entered(name: str, *words: str, user: str = "") -> subprocess.CompletedProcess[str]:
    """What a command in the container came to."""
    chosen = ("--user", user) if user else ()
    return subprocess.run(
        ["docker", "exec", *chosen, container(name), *words],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )


def test_nothing_but_loopback_is_published() -> None:
    published = {}
    for name in STACK:
        for bindings in (inspected(name)["NetworkSettings"]["Ports"] or {}).values():
            for each in bindings or []:
                assert each["HostIp"] == "127.0.0.1", name
                published[name] = int(each["HostPort"])
    assert set(published) == {"mlflow", "airflow-api-server", "console", *TRAINERS}
    others = [own for own in own_addresses() if not own.startswith("127.")]
    assert others, "a machine without an address but loopback cannot show this"
    for port in published.values():
        assert connects("127.0.0.1", port)
        assert [own for own in others if connects(own, port)] == []


def own_addresses() -> list[str]:
    return [
        each.address
        for found in psutil.net_if_addrs().values()
        for each in found
        if each.family is socket.AF_INET
    ]


def connects(host: str, port: int) -> bool:
    try:
        socket.create_connection((host, port), timeout=3).close()
    except OSError:
        return False
    return True


def test_no_trainer_reaches_postgres_or_redis_or_the_login_of_airflow() -> None:
    for name in TRAINERS:
        for other in ("postgres", "redis", "airflow-api-server", "airflow-scheduler"):
            done = entered(name, "getent", "hosts", other)
            assert (done.returncode, done.stdout) == (2, "")
    assert entered("mlflow", "getent", "hosts", "postgres").returncode == 0
    assert entered("airflow-worker", "getent", "hosts", "airflow-api-server").returncode == 0


def test_no_admin_of_airflow_has_the_password_that_everybody_knows() -> None:
    assert len(setting("AIRFLOW_ADMIN_PASSWORD")) > 20


def got(url: str, headers: dict[str, str] | None = None) -> int:
    """The status of the answer."""
    return httpx.get(url, headers=headers, timeout=60).status_code


def test_a_trainer_answers_no_page_under_a_foreign_name_and_from_no_foreign_page(
    service: str,
) -> None:
    assert got(f"{address(service)}/docs") == 200
    for foreign in ({"Host": "evil.example"}, {"Origin": "http://evil.example"}):
        assert got(f"{address(service)}/docs", foreign) == 403


def test_a_trainer_asks_for_its_token(service: str, token: str) -> None:
    models = f"{address(service)}/models"
    assert got(models) == 401
    assert got(models, {"Authorization": f"Bearer {token}x"}) == 401
    assert got(models, {"Authorization": f"Bearer {token}"}) == 200
    assert httpx.post(f"{address(service)}/train", json={}, timeout=60).status_code == 401
    assert got(f"{address(service)}/healthz") == 200


def test_airflow_asks_who_calls() -> None:
    api = f"{address('airflow-api-server')}"
    assert got(f"{api}/api/v2/dags") == 401
    wrong = httpx.post(
        f"{api}/auth/token",
        json={"username": "admin", "password": "not " + setting("AIRFLOW_ADMIN_PASSWORD")},
        timeout=60,
    )
    assert wrong.status_code == 401


def test_mlflow_answers_no_page_under_a_foreign_name() -> None:
    assert got(f"{address('mlflow')}/health") == 200
    foreign = httpx.post(
        f"{address('mlflow')}/api/2.0/mlflow/experiments/search",
        json={"max_results": 1},
        headers={"Host": "evil.example"},
        timeout=60,
    )
    assert foreign.status_code == 403


def test_every_container_has_a_limit_and_stays_well_below_it() -> None:
    lines = docker(
        "stats", "--no-stream", "--format", "{{json .}}", *map(container, STACK)
    ).splitlines()
    found = {each["Name"]: each["MemUsage"] for each in map(json.loads, lines)}
    assert set(found) == {container(name) for name in STACK}
    whole = psutil.virtual_memory().total / 2**20
    for name, usage in found.items():
        used, limit = (megabytes(text) for text in usage.split(" / "))
        assert limit < whole * 0.9, f"{name} has no limit"
        assert used < limit * 0.8, f"{name} uses {used:.0f} of {limit:.0f} MiB"


def megabytes(text: str) -> float:
    number, unit = re.fullmatch(r"([\d.]+)([KMG]?i?B)", text).groups()
    return float(number) * MEGABYTES[unit]


@pytest.mark.parametrize("name", STACK)
def test_a_container_may_have_so_many_processes_and_no_more(name: str) -> None:
    variable = "TRAINER_PIDS" if name in TRAINERS else "PLATFORM_PIDS"
    assert inspected(name)["HostConfig"]["PidsLimit"] == int(setting(variable))


@pytest.mark.parametrize("name", STACK)
def test_no_secret_is_in_a_command_line(name: str) -> None:
    secrets = [setting("REDIS_PASSWORD"), setting("POSTGRES_PASSWORD"), setting("TRAINYARD_TOKEN")]
    lines = [words for *_, words in processes(name)]
    assert [line for line in lines if any(secret in line for secret in secrets)] == []


@pytest.mark.parametrize("file", ["docker-compose-mlops.yml", "docker-compose.trainers.yml"])
def test_without_an_env_file_compose_names_the_variable_and_what_to_run(
    file: str, tmp_path: Path
) -> None:
    shutil.copy(ROOT / file, tmp_path)
    done = subprocess.run(
        ["docker", "compose", "--file", file, "config"],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode != 0
    assert re.search(
        r"variable (POSTGRES_PASSWORD|TRAINYARD_TOKEN|AIRFLOW_\w+|REDIS_PASSWORD|MLFLOW_DB_PASSWORD) .*is not set; run make env",
        done.stderr,
    )
