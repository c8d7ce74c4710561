"""What is kept of a trial that ended: a file in the run's folder, from which MLflow is told."""

import time
from pathlib import Path
from typing import Any

from pydantic import BaseModel, Field

from trainyard.rundir.metric_journal import Measured


class TrialRecord(BaseModel):
    """One trial."""

    number: int
    params: dict[str, Any]
    """Those of the space alone."""
    end: str = "lost"
    """completed, pruned, failed, stopped, or lost."""
    why: str = ""
    value: float | None = None
    metrics: dict[str, float] = Field(default_factory=dict)
    """What the trained model reached."""
    rounds: list[Measured] = Field(default_factory=list)
    total: int = 0
    unit: str = "rounds"
    began: int = 0
    ended: int = 0
    """Milliseconds since 1970."""
    rank: int = 0
    """The rank of the run that trained it."""

    @property
    def seconds(self) -> float:
        """How long it took."""
        return max(0, self.ended - self.began) / 1000

    @property
    def in_words(self) -> str:
        """How it ended, for people."""
        done = self.rounds[-1].step if self.rounds else 0
        match self.end:
            case "pruned":
                return f"pruned after {done} of {self.total} {self.unit}"
            case "failed":
                return f"failed: {self.why}"
            case "stopped":
                return "stopped: the search was over"
            case "lost":
                return "lost: its process was ended from outside; its params were tried again"
        return self.end

    def write(self, folder: Path) -> None:
        """Keep it. Raises OSError."""
        draft = folder / f"{self.number}.tmp"
        draft.write_text(self.model_dump_json())
        draft.replace(folder / f"{self.number}.json")

    @classmethod
    def read(cls, folder: Path, number: int) -> "TrialRecord | None":
        """What is kept of the trial; None for nothing that can be read."""
        try:
            return cls.model_validate_json((folder / f"{number}.json").read_bytes())
        except (OSError, ValueError):
            return None


def now() -> int:
    """Milliseconds since 1970."""
    return int(time.time() * 1000)
