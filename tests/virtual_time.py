"""An event loop in which nothing takes time: the clock jumps to the next timer, and threads' calls are made in order.

A test over it says "an hour later" and is there at once, and runs the same way each time.
"""

import asyncio
import selectors
from collections.abc import Callable, Coroutine
from concurrent.futures import Executor
from typing import Any, TypeVar

T = TypeVar("T")


class _NeverWaits(selectors.SelectSelector):
    """Instead of waiting for the next timer, moves the clock to it."""

    loop: "VirtualLoop"

    def select(self, timeout: float | None = None) -> Any:
        if timeout is None:
            message = "everything waits for something that never comes"
            raise RuntimeError(message)
        self.loop.now += max(0.0, timeout)
        return super().select(0)


class VirtualLoop(asyncio.SelectorEventLoop):
    """The loop. `delays` says how long a call in an executor takes before its work is done, and after."""

    def __init__(self, now: float = 0.0) -> None:
        self.now = now
        self.in_executor = ""
        """The name of the threads that the call at this moment is made for."""
        self.under_way: dict[int, Callable[[], None]] = {}
        """The work of calls that has not been done yet."""
        self.dead = False
        selector = _NeverWaits()
        selector.loop = self
        super().__init__(selector)

    def delays(self, threads: str) -> tuple[float, float]:  # noqa: ARG002 - may be replaced
        """Seconds until the work is done, and then until its answer is here."""
        return 0.0, 0.0

    def time(self) -> float:
        return self.now

    def run_in_executor(  # type: ignore[override]
        self, executor: Executor | None, func: Callable[..., T], *args: Any
    ) -> asyncio.Future[T]:
        """The work is done even where its caller was cancelled: a call that is on its way arrives."""
        if self.dead:
            raise asyncio.CancelledError
        if getattr(executor, "_shutdown", False):
            message = "cannot schedule new futures after shutdown"
            raise RuntimeError(message)
        threads = getattr(executor, "_thread_name_prefix", "")
        before, after = self.delays(threads)
        answer: asyncio.Future[T] = self.create_future()

        def work() -> None:
            self.under_way.pop(id(answer), None)
            self.in_executor = threads
            try:
                settle: Callable[[], None] = _settle(answer, func(*args))
            except Exception as error:  # noqa: BLE001 - it is the caller's
                settle = _fail(answer, error)
            finally:
                self.in_executor = ""
            self.call_later(after, settle)

        self.under_way[id(answer)] = work
        self.call_later(before, self._arrive, id(answer))
        return answer

    def _arrive(self, call: int) -> None:
        if work := self.under_way.get(call):
            work()

    def do(self, work: Coroutine[Any, Any, T]) -> T:
        """Run until this is done."""
        asyncio.set_event_loop(self)
        return self.run_until_complete(work)

    def later(self, seconds: float) -> None:
        """Let so much time pass."""
        self.do(asyncio.sleep(seconds))

    def turns(self, count: int) -> None:
        """Let everything that can go on at this moment take so many steps."""
        self.do(_turns(count))

    def bury(self) -> None:
        """End what is left of it, with no work being done any more."""
        self.dead = True
        self.under_way.clear()
        while tasks := asyncio.all_tasks(self):
            for task in tasks:
                task.cancel()
            self.do(_all_over(tasks))
        self.close()


def _settle(answer: asyncio.Future[T], result: T) -> Callable[[], None]:
    return lambda: None if answer.done() else answer.set_result(result)


def _fail(answer: asyncio.Future[Any], error: Exception) -> Callable[[], None]:
    return lambda: None if answer.done() else answer.set_exception(error)


async def _turns(count: int) -> None:
    for _ in range(count):
        await asyncio.sleep(0)


async def _all_over(tasks: set[asyncio.Task[Any]]) -> None:
    await asyncio.gather(*tasks, return_exceptions=True)


def in_no_time(work: Coroutine[Any, Any, T]) -> T:
    """What the coroutine gives, run on a loop of its own."""
    loop = VirtualLoop()
    try:
        return loop.do(work)
    finally:
        loop.bury()
        asyncio.set_event_loop(None)
