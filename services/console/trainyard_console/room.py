"""What each service has of slots, processors, GPUs and memory, and how much of it is taken."""

from trainyard.contract import Amount

from trainyard_console.frame import Page
from trainyard_console.tables import Table
from trainyard_console.watch import Watch

COLUMNS = ("Service", "Slots", "Queue", "CPUs", "GPUs", "Memory")


class Room:
    """A row for each service that has answered."""

    def __init__(self, page: Page) -> None:
        self._page = page
        self._table = Table("room at the services", COLUMNS)

    def show(self) -> None:
        """As it stands now."""
        watches = self._page.session.watches.values()
        self._table.show(row for each in watches if (row := _row(each)))


def _row(watch: Watch) -> tuple[str, ...]:
    """Nothing of a service that has never answered; without what only its capacity tells, where that has not come."""
    state, there = watch.state, watch.capacity
    if state is None:
        return ()
    slots = f"{len(state.running)} of {state.slots} busy"
    queue = f"{len(state.waiting)} of {state.queue_limit} taken"
    if there is None:
        return watch.name, slots, queue, "", "", ""
    amounts = (_taken(there.cpus), _taken(there.gpus), _taken(there.memory_mb, " MB"))
    return watch.name, slots, queue, *amounts


def _taken(amount: Amount, unit: str = "") -> str:
    if not amount.total:
        return "none"
    waited = f", {amount.waited_for:,} waited for" if amount.waited_for else ""
    return f"{amount.used:,} of {amount.total:,}{unit}{waited}"
