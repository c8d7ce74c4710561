"""A network that several ranks train together, each with variables of its own, by TensorFlow's collective reduce.

Keras's `fit` does not work under `MultiWorkerMirroredStrategy` (keras#20585). What that strategy is used for here is to
start TensorFlow's collective runtime; the network is made outside of it. Each rank takes its share of each batch, an
optimizer averages the gradients, and norms' running statistics are averaged before they are used.
"""

import json
import os
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import keras
import tensorflow as tf
from trainyard.world import World

GROUP = 1
GRADIENTS, NORMS, TRAINED, VALIDATED = range(1, 5)
"""Each place where ranks reduce has a number of its own."""
NO_PROXY_OF_GRPC, NO_PROXY = "no_grpc_proxy", "no_proxy"
"""What gRPC looks at, which TensorFlow's collectives go by: the second where the first is not set."""


@dataclass(frozen=True)
class Ranks:
    """What one of several does with the others; with none, nothing is changed."""

    world: World
    strategy: Any = field(default=None, repr=False)
    """Held while ranks reduce: the collective runtime goes with it."""

    @classmethod
    def of(cls, world: World) -> "Ranks":
        """The ranks, who can reach each other; the first that a process asks of TensorFlow but for its settings."""
        if world.alone:
            return cls(world)
        addresses = world.addresses()
        _reach_without_a_proxy(addresses)
        os.environ["TF_CONFIG"] = json.dumps(
            {
                "cluster": {"worker": addresses},
                "task": {"type": "worker", "index": world.rank},
            }
        )
        options = tf.distribute.experimental.CommunicationOptions(
            timeout_seconds=world.timeout_seconds
        )
        strategy = tf.distribute.MultiWorkerMirroredStrategy(communication_options=options)
        del os.environ[
            "TF_CONFIG"
        ]  # nothing else that this process makes or starts is one of several
        return cls(world, strategy)

    def averaging(self, optimizer: keras.Optimizer) -> keras.Optimizer:
        """The optimizer, which takes the mean of all ranks' gradients."""
        if self.world.alone:
            return optimizer
        apply = optimizer.apply

        def averaged(grads: Sequence[Any], trainable_variables: Any = None) -> Any:
            return apply(self._reduced(grads, GRADIENTS, "Div"), trainable_variables)

        optimizer.apply = averaged
        return optimizer

    def average_norms(self, network: keras.Sequential) -> None:
        """Make the running means and variances of norms those of all ranks."""
        norms = [
            layer for layer in network.layers if isinstance(layer, keras.layers.BatchNormalization)
        ]
        kept = [each for norm in norms for each in (norm.moving_mean, norm.moving_variance)]
        if kept and not self.world.alone:
            self._assign(kept, NORMS, "Div")

    def add_up(self, network: keras.Sequential, place: int) -> dict[str, float]:
        """Keras's metrics of all ranks' rows, once each has added up its own."""
        measured = [each for each in network.metrics if each.variables]
        self._assign([kept for each in measured for kept in each.variables], place, "Id")
        found: dict[str, float] = {}
        for metric in measured:
            inner = getattr(metric, "metrics", None)
            for each in inner or [metric]:
                found[each.name] = float(each.result())
        return found

    def _assign(self, variables: Sequence[Any], place: int, last: str) -> None:
        for variable, value in zip(variables, self._reduced(variables, place, last), strict=True):
            variable.assign(value)

    def _reduced(self, values: Sequence[Any], place: int, last: str) -> list[Any]:
        """The sums over all ranks, or the means where the last operation is `Div`: as one vector, in one go."""
        tensors = [tf.convert_to_tensor(value) for value in values]
        flat = tf.concat([tf.reshape(tf.cast(each, tf.float32), [-1]) for each in tensors], 0)
        total = _reduce(flat, self.world.size, place, last, self.world.timeout_seconds)
        parts = tf.split(total, [each.shape.num_elements() for each in tensors])
        return [
            tf.cast(tf.reshape(part, each.shape), each.dtype)
            for part, each in zip(parts, tensors, strict=True)
        ]


def _reach_without_a_proxy(addresses: Sequence[str]) -> None:
    """Have gRPC go to the ranks by itself: by way of a proxy that is there for other things it would wait for ever."""
    hosts = {each.rpartition(":")[0] for each in addresses}
    named = os.environ.get(NO_PROXY_OF_GRPC) or os.environ.get(NO_PROXY) or ""
    os.environ[NO_PROXY_OF_GRPC] = ",".join([*sorted(hosts), *filter(None, [named])])


@tf.function(reduce_retracing=False)  # type: ignore[untyped-decorator,unused-ignore] # not typed
def _reduce(flat: Any, size: int, place: int, last: str, seconds: float) -> Any:
    return tf.raw_ops.CollectiveReduceV2(
        input=flat,
        group_size=size,
        group_key=GROUP,
        instance_key=place,
        ordering_token=[],
        merge_op="Add",
        final_op=last,
        timeout_seconds=seconds,
    )
