"""Which services there are, who decides, and what opens the calls between them."""

import pytest
from pydantic import ValidationError
from trainyard.errors import ServiceError
from trainyard.peers.services import Peers, peer_secret
from trainyard.service import Service
from trainyard.settings import Settings
from trainyard.supervisor.once import of_its_own
from trainyard.supervisor.own_machine import peers_of

THREE = "boosting=http://b:8001, tensorflow=http://t:8002,pytorch=http://p:8003"


def settings(monkeypatch: pytest.MonkeyPatch, services: str) -> Settings:
    monkeypatch.setenv("TRAINYARD_SERVICES", services)
    return Settings()


def test_the_first_service_of_the_list_decides_for_all(monkeypatch):
    known = settings(monkeypatch, THREE)
    deciders = {name: peers_of(known, name).decider for name in ("boosting", "pytorch")}
    assert deciders == {"boosting": None, "pytorch": "boosting"}
    assert Peers("alone").decider is None


def test_the_service_that_trained_a_model_is_asked_first_and_this_one_never(monkeypatch):
    peers = peers_of(settings(monkeypatch, THREE), "boosting")
    assert peers.others() == ["tensorflow", "pytorch"]
    assert peers.others(first="pytorch") == ["pytorch", "tensorflow"]
    assert peers.others(first="boosting") == ["tensorflow", "pytorch"]


@pytest.mark.parametrize("services", ["boosting", "boosting=b:8001", "=http://b:8001", "a=ftp://b"])
def test_a_pair_without_a_name_or_an_address_is_refused_with_an_example(monkeypatch, services):
    with pytest.raises(ValidationError, match="name=http://host:port"):
        settings(monkeypatch, services)


def test_a_service_that_is_not_in_its_own_list_does_not_start(monkeypatch):
    with pytest.raises(ServiceError, match="not this service, which is 'lightgbm'"):
        peers_of(settings(monkeypatch, THREE), "lightgbm")


@pytest.mark.parametrize("services, decider", [(THREE, "boosting"), ("", None)])
def test_a_run_without_a_service_lets_the_first_service_decide(
    monkeypatch, tmp_path, services, decider
):
    own = settings(monkeypatch, services).model_copy(update={"work_dir": tmp_path})
    with of_its_own(Service("boosting", "trainyard_boosting", 8001), own) as once:
        (once.work_dir / "runs").mkdir(parents=True)
        assert peers_of(once, once.instance).decider == decider


def test_the_secret_between_services_does_not_tell_the_token(monkeypatch):
    secret = peer_secret("the token")
    assert secret == peer_secret("the token")
    assert secret != peer_secret("the tokem")
    assert "token" not in str(secret)
    assert peer_secret(None) is None
