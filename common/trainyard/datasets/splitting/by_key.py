"""The rules that divide rows by a column's values, each by its word in `split.by`."""

from typing import Any

from trainyard.contract import Split
from trainyard.datasets.splitting import by_column, by_group, by_time
from trainyard.datasets.splitting.key import Key
from trainyard.datasets.splitting.parts import Partition

DIVIDED = {"time": by_time.divided, "group": by_group.divided, "column": by_column.divided}
PROFILE = {"time": by_time.profile, "group": by_group.profile, "column": by_column.profile}


def divided(key: Key, split: Split) -> Partition:
    """The rows of each part; `test` is None where it is a table of its own. Raises `InvalidData`."""
    return DIVIDED[split.by](key, split)


def profile(key: Key, split: Split, partition: Partition) -> dict[str, Any]:
    """How rows were divided, as JSON: the rule, the column, and the times, groups or rows of each part."""
    return {"by": split.by, "column": key.column, **PROFILE[split.by](key, partition)}
