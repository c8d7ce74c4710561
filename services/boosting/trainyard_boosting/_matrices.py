"""The rows of a table in memory as XGBoost trains on them; the trials of a search share them."""

from dataclasses import dataclass

import xgboost
from trainyard.trainer import Data
from trainyard.world import World

from trainyard_boosting._fitting import ClassWeight, sample_weights
from trainyard_boosting._tables import Table

ALONE = World()


@dataclass(frozen=True)
class Rows:
    """What decides how rows are binned: matrices that were made for the same are the same."""

    tree_method: str
    max_bin: int
    class_weight: ClassWeight


def table_of(data: Data) -> Table:
    """The training part, described; as it was when `data` was prepared, where it was."""
    return data.prepared.table if isinstance(data.prepared, Matrices) else Table.of(data)


@dataclass(frozen=True)
class Matrices:
    """The training rows, and the validation rows where there are some."""

    rows: Rows
    table: Table
    train: xgboost.DMatrix
    validation: xgboost.DMatrix | None

    @classmethod
    def of(
        cls, data: Data, table: Table, rows: Rows, *, threads: int, world: World = ALONE
    ) -> "Matrices":
        """Those that `data` brings along if they are made for these rows, or else new ones.

        Of several ranks each has its share of the training rows and all validation rows, so that the metrics of these
        are exact, whatever they are.

        The training rows are binned unless the method wants them as they are, as `XGBModel.fit` decides it. The
        validation rows are left as they are: a tree predicts the same from them, in half the time.
        """
        if isinstance(data.prepared, Matrices) and data.prepared.rows == rows:
            return data.prepared
        weight = sample_weights(data, rows.class_weight)
        settings = {"enable_categorical": rows.tree_method != "exact", "nthread": threads}
        about = {
            "data": table.encode(world.rows(data.frame)),
            "label": world.rows(data.train.y),
            "weight": None if weight is None else world.rows(weight),
        }
        binned = rows.tree_method in {"auto", "hist"}
        train: xgboost.DMatrix = (
            xgboost.QuantileDMatrix(**about, **settings, max_bin=rows.max_bin)
            if binned
            else xgboost.DMatrix(**about, **settings)
        )
        validation, part = None, data.validation
        if part is not None and len(part):
            x = table.encode(part.x)
            validation = xgboost.DMatrix(x, part.y, weight=part.weight, **settings)
        return cls(rows, table, train, validation)
