"""What a service asks another for, apart from how it is asked: whoever passes it on loads no data frames."""

from trainyard.contract import DataKind, Name, Task, TrainRequest, Wire


class Question(Wire):
    """A model that is asked for its predictions of the test rows of a run."""

    request: TrainRequest
    """Of the run: its data and its split say which rows."""
    task: Task
    kind: DataKind
    """Of the run's data: some data is a table to one model, and images to another."""
    classes: list[str] | None = None
    """The run's classes, in whose order the probabilities come."""
    name: Name
    version: str
