"""The line between a run's process and the service: it may break, and nobody else may use it."""

import asyncio
import signal

from launcher_lab import Event, InLab, Lab, until
from trainyard.contract import Phase
from trainyard.launcher.messages import (
    Hello,
    PhaseEntered,
    as_line,
)
from trainyard.rundir.folder import RunFolder


def test_a_line_that_broke_is_taken_up_again_and_nothing_is_told_twice(
    in_lab: InLab,
) -> None:
    async def test(lab: Lab) -> None:
        job, process = await lab.trains()
        for _ in range(3):
            before = lab.rounds(job)
            (connection,) = lab.launcher._lines._connections
            connection.close()
            await until(lambda before=before: lab.rounds(job) > before + 5, "more rounds", job)
        heard = [each.sequence for each in lab.heard[job.submission.run_id]]
        assert heard == sorted(set(heard))
        process.kill()
        assert await process.ended() == -signal.SIGKILL
        process.release()

    in_lab(test)


def test_a_run_whose_line_stays_broken_ends_itself_without_an_outcome(
    in_lab: InLab,
) -> None:
    async def test(lab: Lab) -> None:
        job, process = await lab.trains()
        lab.launcher._lines.close()
        async with asyncio.timeout(10):
            assert await process.ended() == -signal.SIGKILL
        process.release()
        assert RunFolder(job.folder).outcome() is None
        unreached = lab.job()  # and one that never got through
        process = await lab.launch(unreached)
        async with asyncio.timeout(10):
            assert await process.ended() == 69
        process.release()
        assert RunFolder(unreached.folder).outcome() is None
        assert "cannot be reached" in RunFolder(unreached.folder).log.read_text()
        await lab.launcher._lines.open()

    in_lab(test)


def test_nobody_speaks_for_a_run_without_its_secret_and_odd_lines_are_dropped(
    in_lab: InLab,
) -> None:
    async def test(lab: Lab) -> None:
        heard: list[Event] = []
        writers: list[asyncio.StreamWriter] = []
        seat = lab.launcher._lines.reserve("run", heard.append)
        path = lab.launcher._lines._path

        async def say(secret: str, *lines: bytes) -> asyncio.StreamReader:
            reader, writer = await asyncio.open_unix_connection(path)
            writer.write(as_line(Hello(run_id="run", secret=secret)) + b"".join(lines))
            writers.append(writer)
            return reader

        event = as_line(PhaseEntered(sequence=1, phase=Phase.TRAINING))
        stranger = await say("guessed", event)
        async with asyncio.timeout(5):
            assert await stranger.read() == b""
        assert heard == []
        later = as_line(PhaseEntered(sequence=2, phase=Phase.EVALUATING))
        odd = [b"\xff\n", b"{}\n", b"[" * 3_000_000 + b"\n"]
        own = await say(seat.secret, *odd, event, event, later, event)
        assert b"welcome" in await own.readline()
        await until(lambda: len(heard) == 2, "two events")
        assert [each.sequence for each in heard] == [1, 2]
        seat.leave()
        for writer in writers:
            writer.close()

    in_lab(test)
