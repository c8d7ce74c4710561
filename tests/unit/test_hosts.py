"""Which hosts a service believes are there, and the leases that they hold."""

import asyncio
from collections.abc import Awaitable, Callable
from pathlib import Path

import pytest
from fakes import job_of
from hosts_in_memory import HostInMemory, Lab, with_hosts
from trainyard.launcher.host_messages import Beat, Done, Open, Start
from trainyard.launcher.hosts import FORGET_SECONDS

LEASE_SECONDS = 60.0
ID = "node:a:0001"
InLab = Callable[[Callable[[Lab], Awaitable[None]]], None]


@pytest.fixture
def in_lab(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> InLab:
    """Does a test in virtual time."""
    return lambda test: with_hosts(tmp_path, monkeypatch, test)


async def joined(lab: Lab, *nodes: str) -> list[HostInMemory]:
    """Hosts of these nodes, which the service has heard of."""
    made = [lab.host(node) for node in nodes]
    await asyncio.sleep(0.1)
    lab.wire.join(*made)
    await asyncio.sleep(1)
    return made


def test_a_host_that_is_silent_for_long_and_never_left_is_complained_about_and_used_again(
    in_lab: InLab,
) -> None:
    """The bridge does not tell of it again, as nothing has changed for Ray."""

    async def test(lab: Lab) -> None:
        service = lab.service(lease_seconds=LEASE_SECONDS)
        (host,) = await joined(lab, "a")
        assert lab.offers.keys() == {"a"}
        host.hears.clear()
        for _ in range(2):
            await asyncio.sleep(FORGET_SECONDS)
            assert (lab.offers.keys(), lab.others.keys()) == (set(), {"a"})
            (why,) = service.complaints().values()
            assert "does not answer" in why
        host.hears.set()
        await asyncio.sleep(10)
        assert lab.offers.keys() == {"a"}
        assert not service.complaints()

    in_lab(test)


def test_a_host_that_left_and_came_back_is_asked_and_told_of_as_the_node_that_it_is_now(
    in_lab: InLab,
) -> None:
    async def test(lab: Lab) -> None:
        service = lab.service(lease_seconds=LEASE_SECONDS)
        (before,) = await joined(lab, "a")
        lab.wire.join()
        await asyncio.sleep(60)
        assert (lab.offers, lab.others, service.complaints()) == ({}, {}, {}), "it may never return"
        lab.wire.asked.clear()
        (now,) = await joined(lab, "b")
        await asyncio.sleep(60)
        assert lab.offers.keys() == {"b"}
        assert not service.complaints()
        assert {node for node, _ in lab.wire.asked} == {"b"}
        assert service.name("a") == service.name("b"), "its runs' ends name it"
        await asyncio.sleep(FORGET_SECONDS + LEASE_SECONDS * 2)
        assert service.name("a") == "of node a"
        assert before.node != now.node

    in_lab(test)


def test_an_answer_that_comes_after_its_host_has_left_is_no_offer(in_lab: InLab) -> None:
    async def test(lab: Lab) -> None:
        lab.service(lease_seconds=LEASE_SECONDS)
        (host,) = await joined(lab, "a")
        host.hears.clear()
        await asyncio.sleep(5)  # a beat is under way
        lab.wire.join()
        host.hears.set()
        await asyncio.sleep(60)
        assert not lab.offers

    in_lab(test)


def test_a_lease_of_which_hardly_anything_is_left_goes_on_once_the_service_is_back(
    in_lab: InLab,
) -> None:
    """Its first beat gives no more of it, and the second came too late."""

    async def test(lab: Lab) -> None:
        host = lab.host("a")
        carry_out = host.runs.carry_out
        await carry_out(Beat(owner="me", lease_seconds=LEASE_SECONDS))
        job = job_of(process_id=ID, placement=(host.place,))
        assert await carry_out(Open(process_id=ID, submission=job.submission)) == Done()
        assert await carry_out(Start(process_id=ID, job=job)) == Done()
        await asyncio.sleep(LEASE_SECONDS - 3)
        lab.service(lease_seconds=LEASE_SECONDS, earlier_lease_seconds=LEASE_SECONDS)
        await asyncio.sleep(0.1)
        lab.wire.join(host)
        await asyncio.sleep(LEASE_SECONDS * 3)
        (process,) = host.launcher.machine.processes
        assert process.runs

    in_lab(test)
