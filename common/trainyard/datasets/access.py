"""Where data may come from and predictions may go, and how much memory a run has, as the settings say."""

from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class DataAccess:
    """Where data may come from, and where predictions may go; each as in `trainyard.settings.Settings`."""

    roots: tuple[Path, ...]
    data_dir: Path
    http_hosts: tuple[str, ...] = ()
    s3_endpoint: str | None = None
    s3_buckets: tuple[str, ...] = ()
    """Empty: any bucket that the service's keys can read."""
    output_roots: tuple[Path, ...] = ()
    output_buckets: tuple[str, ...] = ()
    """Where predictions may be written. Empty: nowhere."""
    connections_file: Path | None = None
    """Names databases and catalogs; what opens them is read there when they are asked."""
    rows_dir: Path | None = None
    """Where answers to queries are kept, for whoever reads them again. None: nowhere."""
    query_seconds: float = 600.0
    """How long a query may take in a run."""
    memory_mb: int | None = None
    """What a run's data may take, so that a table that takes more is not read whole. None: as much as there is."""
    workers: int = 1
    """How many processes train together, each on its own share of the rows."""
    judged: bool = False
    """Whether a champion is asked for the test rows too, in another process of the run's."""
