"""Which GPUs there are: named, of this process's environment, or told by the driver."""

import os

import pytest
from trainyard.contract import Resources
from trainyard.errors import ServiceError
from trainyard.hardware import cores_there, gpus_there, interface_of
from trainyard.settings import Settings
from trainyard.supervisor.from_settings import environment_of
from trainyard.supervisor.own_machine import there
from trainyard.supervisor.room import Allotment


@pytest.fixture(autouse=True)
def _of_no_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("CUDA_VISIBLE_DEVICES", raising=False)
    for name in [name for name in os.environ if name.startswith("TRAINYARD_")]:
        monkeypatch.delenv(name)


@pytest.mark.parametrize(
    ("named", "visible", "found"),
    [
        ("0,GPU-b", None, ("0", "GPU-b")),
        ("0,GPU-b", "5", ("0", "GPU-b")),
        ("none", "0,1", ()),
        ("", "2,MIG-1", ("2", "MIG-1")),
        ("", "", ()),
        ("", "-1", ()),
        ("", "3,-1,4", ("3",)),
    ],
)
def test_gpus_are_those_that_are_named_or_else_those_that_this_process_sees(
    named: str, visible: str | None, found: tuple[str, ...], monkeypatch: pytest.MonkeyPatch
) -> None:
    if visible is not None:
        monkeypatch.setenv("CUDA_VISIBLE_DEVICES", visible)
    assert gpus_there(Settings(gpus=named).gpus) == found


def test_without_a_driver_there_are_no_gpus() -> None:
    if os.path.exists("/dev/nvidiactl"):  # noqa: PTH110 - a device
        pytest.skip("this machine has a GPU")
    assert gpus_there(()) == ()
    assert Settings().runs_at_once == 1


def test_slots_follow_the_gpus_unless_they_are_set() -> None:
    assert Settings(gpus="0,1,2").runs_at_once == 3
    assert Settings(gpus="0,1,2", slots=2).runs_at_once == 2


@pytest.mark.parametrize(("slots", "each"), [(0, 1), (2, 1), (4, None)])
def test_a_run_has_one_gpu_where_there_is_one_for_each_slot(slots: int, each: int | None) -> None:
    settings = Settings(gpus="0,1", slots=slots, threads=8)
    assert there(settings).need(None).gpus == each
    assert there(settings).need(Resources(gpus=2)).gpus == 2


def test_settings_say_what_a_run_has_that_asks_for_nothing() -> None:
    found = there(Settings(threads=4, slots=2, run_cpus=1, run_memory_mb=300, gpus="0", run_gpus=1))
    need = found.need(None)
    assert (need.cpus, need.own_cores, need.gpus, need.memory_mb) == (1, True, 1, 300)
    assert found.need(Resources(memory_mb=100)).memory_mb == 100
    assert found.cores == cores_there()
    assert Settings(run_memory_mb=300).data_access.memory_mb == 300


@pytest.mark.parametrize(
    ("settings", "said"),
    [
        (
            {"run_cpus": 5, "threads": 4},
            "TRAINYARD_RUN_CPUS: 5 CPUs asked for, and there are 4",
        ),
        ({"run_gpus": 1, "gpus": "none"}, "TRAINYARD_RUN_GPUS: 1 GPU asked for"),
        ({"run_memory_mb": 1 << 40}, "TRAINYARD_RUN_MEMORY_MB"),
    ],
)
def test_a_service_does_not_start_that_would_give_each_run_more_than_there_is(
    settings: dict[str, object], said: str
) -> None:
    with pytest.raises(ServiceError, match=said):
        there(Settings(**settings))


@pytest.mark.parametrize(
    ("gpus", "told"), [(None, None), ((), "-1"), (("0",), "0"), (("1", "GPU-b"), "1,GPU-b")]
)
def test_a_run_sees_its_own_gpus_or_none_or_what_the_service_sees(
    gpus: tuple[str, ...] | None, told: str | None
) -> None:
    assert environment_of(Allotment(2, gpus=gpus)).get("CUDA_VISIBLE_DEVICES") == told
    assert environment_of(Allotment(2))["OMP_NUM_THREADS"] == "2"


def test_the_interface_of_an_address_is_named() -> None:
    assert interface_of("127.0.0.1") == "lo"
    assert interface_of("203.0.113.7") is None
