"""A request is looked at in a process of its own: whatever a model does there costs that process alone."""

import asyncio

from launcher_lab import InLab, Lab
from trainyard.contract import ModelInfo


def test_a_check_names_what_is_wrong_and_no_trouble_ends_the_fork_server(
    in_lab: InLab,
) -> None:
    async def test(lab: Lab) -> None:
        server = lab.fork_server().pid
        assert set(lab.launcher.models) >= {"ticking", "harsh", "xgboost_classifier"}
        assert isinstance(lab.launcher.models["harsh"], ModelInfo)
        assert "SystemExit" in str(lab.launcher.broken)
        assert "trainyard_models.unsaid.unsaid" in lab.launcher.broken

        async def wrong(trouble: str) -> list[tuple[str, str]]:
            lab.launcher._check_seconds = 2.0 if trouble in {"hang", "spin"} else 30.0
            request = lab.request("harsh", params={"trouble": trouble})
            return [
                (each.pointer, each.detail)
                for each in (await lab.launcher.check(request, lab.access)).errors
            ]

        assert await wrong("") == []
        assert [pointer for pointer, _ in await wrong("bad")] == ["/params/trouble"]
        for trouble, said in {
            "raise": "ZeroDivisionError: banana",
            "exit": "SystemExit: 3",
            "leave": "exit code 3",
            "segfault": "SIGSEGV",
            "memory": "1024 MB",
            "hang": "longer than 2 s",
            "spin": "longer than 2 s",
        }.items():
            ((pointer, detail),) = await wrong(trouble)
            assert pointer == "/params"
            assert said in detail
        lab.launcher._check_seconds = 30.0
        both = lab.request(
            "harsh",
            params={"trouble": 3},
            data={"source": "file", "uri": "nowhere.csv", "target": "y"},
        )
        found = await lab.launcher.check(both, lab.access)
        assert [each.pointer for each in found.errors] == ["/params/trouble", "/data/uri"]
        (unknown,) = (await lab.launcher.check(lab.request("banana"), lab.access)).errors
        assert unknown.pointer == "/model"
        assert lab.fork_server().pid == server

    in_lab(test)


def test_requests_that_hang_do_not_keep_others_waiting_for_ever(in_lab: InLab) -> None:
    async def test(lab: Lab) -> None:
        hanging = lab.request("harsh", params={"trouble": "hang"})
        stuck = [asyncio.create_task(lab.launcher.check(hanging, lab.access)) for _ in range(6)]
        await asyncio.sleep(0)  # each is asked for, with its second
        lab.launcher._check_seconds = 30.0
        assert (await lab.launcher.check(lab.request("harsh"), lab.access)).errors == ()
        assert all(each.errors for each in await asyncio.gather(*stuck))

    in_lab(test, check_seconds=1.0)
