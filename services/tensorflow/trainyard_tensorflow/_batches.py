"""Rows in memory or in a file, taken a batch at a time by slicing a permutation; no worker, of rows in memory no Python a row or a batch."""

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy.typing as npt
import tensorflow as tf
from trainyard.mapped_rows import RowsInFile
from trainyard.networks.fitness import steps_of
from trainyard.world import World

SHIFT = 2
"""Pixels that augmentation shifts by, at most, in each direction."""
EVALUATED_AT_ONCE = 2048
APART = 1_000_003
"""Between the seeds of two ranks."""
ALONE = World()


@dataclass(frozen=True)
class Rows:
    """Rows of one part: images as bytes of (n, height, width, channels) or table rows as floats of (n, width)."""

    x: npt.NDArray[Any] | RowsInFile
    y: npt.NDArray[Any]
    weight: npt.NDArray[Any]

    def __len__(self) -> int:
        return len(self.y)

    def steps(self, batch_size: int) -> int:
        """Batches of an epoch."""
        return steps_of(len(self), batch_size)

    def shuffled(
        self,
        batch_size: int,
        *,
        seed: int,
        epoch: tf.Variable,
        augment: bool,
        world: World = ALONE,
    ) -> tf.data.Dataset:
        """All rows once, in `steps` batches whose sizes differ by one at most, in an order drawn from the seed and `epoch`.

        `epoch`, int64 of (), is read when an iteration begins. One of several ranks has its share of each batch, with
        weights by which the mean over ranks of their mean losses is the mean over the batch.
        """
        count, steps = len(self), self.steps(batch_size)
        gathered, y, weight = self._gathering(), *self._targets()

        def batches(_: Any) -> Any:
            order = tf.random.experimental.stateless_shuffle(
                tf.range(count, dtype=tf.int64), tf.stack([tf.constant(seed, tf.int64), epoch])
            )
            return tf.data.Dataset.range(steps).map(
                lambda step: (step, order[step * count // steps : (step + 1) * count // steps])
            )

        def rows(step: Any, batch: Any) -> Any:
            chosen = batch if world.alone else batch[world.rank :: world.size]
            some = gathered(chosen)
            if augment:
                some = shifted(some, tf.stack([seed + epoch + world.rank * APART, step]))
            weights = tf.gather(weight, chosen)
            if not world.alone:
                share = tf.cast(tf.size(chosen) * world.size, tf.float32)
                weights *= share / tf.reduce_sum(tf.gather(weight, batch))
            return some, tf.gather(y, chosen), weights

        every = tf.data.Dataset.range(1).flat_map(batches).map(rows).prefetch(2)
        return _quiet(every.apply(tf.data.experimental.assert_cardinality(steps)))

    def in_order(self) -> tf.data.Dataset:
        """All rows as they are, in large batches."""
        gathered, y, weight = self._gathering(), *self._targets()

        def rows(chosen: Any) -> Any:
            return gathered(chosen), tf.gather(y, chosen), tf.gather(weight, chosen)

        return _quiet(tf.data.Dataset.range(len(self)).batch(EVALUATED_AT_ONCE).map(rows))

    def _gathering(self) -> Callable[[Any], Any]:
        """What takes rows of `x` by their positions, int64 of (n,)."""
        if isinstance(self.x, RowsInFile):
            return partial(_from_file, self.x)
        with tf.device("CPU:0"):
            x = tf.convert_to_tensor(self.x)
        return partial(tf.gather, x)

    def _targets(self) -> tuple[Any, Any]:
        with tf.device("CPU:0"):
            return tf.convert_to_tensor(self.y), tf.convert_to_tensor(self.weight)


def _from_file(x: RowsInFile, chosen: Any) -> Any:
    some = tf.numpy_function(x.__getitem__, [chosen], tf.float32, stateful=False)
    return tf.ensure_shape(some, (None, *x.shape[1:]))


def shifted(images: Any, seed: Any) -> Any:
    """Each image of (n, height, width, channels) moved by up to `SHIFT` pixels of its own, with zeros coming in.

    `seed`: int64 of (2,). Keras's random layers would do it in floats, by interpolation; this is one gathering.
    """
    shape = tf.shape(images)
    count, height, width = shape[0], shape[1], shape[2]
    padded = tf.pad(images, [[0, 0], [SHIFT, SHIFT], [SHIFT, SHIFT], [0, 0]])
    moved = tf.random.stateless_uniform((2, count, 1), seed, 0, 2 * SHIFT + 1, tf.int32)
    rows = tf.broadcast_to((moved[0] + tf.range(height))[:, :, tf.newaxis], (count, height, width))
    columns = tf.broadcast_to(
        (moved[1] + tf.range(width))[:, tf.newaxis, :], (count, height, width)
    )
    return tf.gather_nd(padded, tf.stack([rows, columns], axis=-1), batch_dims=1)


def _quiet(dataset: tf.data.Dataset) -> tf.data.Dataset:
    """Without threads beside those that train."""
    options = tf.data.Options()
    options.autotune.enabled = False
    options.threading.private_threadpool_size = 1
    return dataset.with_options(options)
