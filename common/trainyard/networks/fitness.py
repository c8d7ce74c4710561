"""Whether params and rows go together: what a network of either framework asks before it is built."""

from trainyard.errors import InvalidParams
from trainyard.networks.params import CnnParams, MlpParams, NetworkParams


def steps_of(rows: int, batch_size: int) -> int:
    """Batches of at most `batch_size` in an epoch; one more rather than one of a single row, on which a norm would fail."""
    steps = -(-rows // batch_size)
    return steps if rows // steps > 1 else max(1, rows // 2)


def check_batch(params: NetworkParams, *, normed: bool) -> None:
    """Raise `InvalidParams` for batches of one row where a norm needs two."""
    if normed and params.batch_size == 1:
        raise InvalidParams(
            "batch_size is 1, and a batch norm needs 2 rows or more; take a larger one"
            + (", or batch_norm false" if isinstance(params, MlpParams) else "")
        )


def check_shares(params: NetworkParams, batch_size: int, *, rows: int, ranks: int) -> None:
    """Raise `InvalidParams` for batches of which a rank would have fewer than two rows, as a norm needs."""
    least = min(rows, batch_size) // 2
    if ranks > 1 and least < 2 * ranks:
        raise InvalidParams(
            f"batch_size is {params.batch_size}, of which each of {ranks} workers has a share of two rows or more; "
            f"take {4 * ranks} or more, or fewer workers"
        )


def check_patience(params: NetworkParams, *, validated: bool) -> None:
    """Raise `InvalidParams` for early stopping without validation rows."""
    if params.early_stopping_patience and not validated:
        raise InvalidParams(
            f"early_stopping_patience is {params.early_stopping_patience}, and there are no validation rows to watch; "
            "set split.validation_size above 0, or leave it out"
        )


def check_room(params: CnnParams, *, height: int, width: int) -> None:
    """Raise `InvalidParams` for images too small for the stages, each of which halves both sides."""
    side = min(height, width)
    for room in range(len(params.conv_channels)):
        if side < 2:
            raise InvalidParams(
                f"conv_channels has {len(params.conv_channels)} stages, each of which halves the image, "
                f"and images of {height} x {width} pixels have room for {room}"
            )
        side //= 2
