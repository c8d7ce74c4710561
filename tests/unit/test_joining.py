"""What a host needs to join a cluster, and what it hands on to Ray."""

import json
from pathlib import Path

import pytest
from pydantic import ValidationError
from trainyard.errors import ServiceError
from trainyard.host.cluster import heading, joining, own_address, resource_of
from trainyard.host.joining import anchored, join
from trainyard.service import Service
from trainyard.settings import Engine, Settings
from trainyard.supervisor.from_settings import launcher_of


def test_a_host_offers_its_slots_under_the_services_name() -> None:
    command = joining("10.0.0.1:6379", "10.0.0.2", {resource_of("boosting"): 2}, cpus=4)
    given = dict(part.split("=", 1) for part in command if "=" in part)
    assert json.loads(given["--resources"]) == {"trainyard:boosting": 2}
    assert given["--address"] == "10.0.0.1:6379"
    assert given["--node-ip-address"] == "10.0.0.2"
    assert "--disable-usage-stats" in command


def test_a_head_has_no_dashboard_starts_no_hosts_and_runs_nothing() -> None:
    wanted = {"--include-dashboard=false", "--no-monitor", "--num-cpus=0", "--disable-usage-stats"}
    assert wanted <= {*heading("10.0.0.1", 6379)}
    asked = ["--autoscaling-config=a.yaml"]
    assert {*heading("10.0.0.1", 6379, asked)} & {"--no-monitor", *asked} == {*asked}


def test_a_hosts_address_is_where_its_way_to_the_head_begins_or_as_it_is_named() -> None:
    assert own_address("127.0.0.1:6379", "") == "127.0.0.1"
    assert own_address("127.0.0.1:6379", "10.0.0.2") == "10.0.0.2"


@pytest.mark.parametrize("head", ["nowhere", "10.0.0.1", "10.0.0.1:port", "no.such.host.test:1"])
def test_a_head_that_there_is_no_way_to_is_said_with_what_it_should_be(head: str) -> None:
    with pytest.raises(ServiceError, match="host:port"):
        own_address(head, "")


def test_folders_are_handed_on_by_names_that_hold_anywhere(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    given = anchored(Settings(work_dir=Path("work"), data_roots=(Path("a"), Path("b"))))
    assert given["TRAINYARD_WORK_DIR"] == str(tmp_path / "work")
    assert given["TRAINYARD_DATA_ROOTS"] == f"{tmp_path / 'a'}:{tmp_path / 'b'}"
    assert "TRAINYARD_MODELS_PATH" not in given


def test_joining_without_ray_says_what_to_do() -> None:
    with pytest.raises(ServiceError, match="ENGINE=ray"):
        join(Settings(ray_address="10.0.0.1:6379"), "boosting", [])


def test_an_engine_without_the_address_of_its_cluster_is_refused() -> None:
    with pytest.raises(ValidationError, match="RAY_ADDRESS is not set"):
        Settings(engine=Engine.RAY)
    assert Settings.model_validate({"engine": ""}).engine is Engine.LOCAL


def test_an_engine_whose_services_do_not_know_each_other_is_refused(tmp_path: Path) -> None:
    settings = Settings(engine=Engine.RAY, ray_address="head:6379", work_dir=tmp_path)
    with pytest.raises(ServiceError, match="TRAINYARD_SERVICES"):
        launcher_of(Service("svc", "pkg", 1), settings, on_offers=lambda *_: None)
