"""Where a network trains, in which precision, and what running out of memory there looks like."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from importlib.metadata import distributions
from pathlib import Path

import tensorflow as tf
from trainyard.errors import GpuOutOfMemory, InvalidParams, OutOfMemory
from trainyard.networks.params import NetworkParams

INSTALLED = next(
    (name for name in ("tensorflow", "tensorflow-cpu") if any(distributions(name=name))),
    "tensorflow",
)
"""The distribution that TensorFlow came in."""


@dataclass(frozen=True)
class Device:
    """The device as TensorFlow names it, and Keras's policy for the types that layers compute in."""

    name: str
    policy: str

    @classmethod
    def chosen(cls, params: NetworkParams, threads: int) -> "Device":
        """As the params ask; the first thing a run asks of TensorFlow. Raises `InvalidParams` for a GPU that is not there."""
        tf.config.threading.set_intra_op_parallelism_threads(threads)
        tf.config.threading.set_inter_op_parallelism_threads(threads)
        gpus = tf.config.list_physical_devices("GPU") if params.device != "cpu" else []
        if params.device == "cuda" and not gpus:
            raise InvalidParams(
                "device is 'cuda', and this process sees no GPU; take 'auto' or 'cpu', or install tensorflow[and-cuda]"
            )
        for gpu in gpus:
            tf.config.experimental.set_memory_growth(gpu, True)
        fast = _gpu_multiplies_bfloat16(gpus[0]) if gpus else _multiplies_bfloat16()
        half = params.mixed_precision == "bfloat16" or (params.mixed_precision == "auto" and fast)
        return cls("GPU:0" if gpus else "CPU:0", "mixed_bfloat16" if half else "float32")


@contextmanager
def out_of_memory_told(device: Device) -> Iterator[None]:
    """Raise TensorFlow's and Python's ways to say that memory ran out as the run's own errors."""
    try:
        yield
    except tf.errors.ResourceExhaustedError as error:
        said = error.message.partition("\n")[0]
        if device.name.startswith("GPU"):
            raise GpuOutOfMemory(f"The GPU ran out of memory: {said}") from error
        raise OutOfMemory(f"The run needed more memory than there is: {said}") from error
    except MemoryError as error:
        raise OutOfMemory from error


def _multiplies_bfloat16() -> bool:
    """Without these instructions bfloat16 is emulated, and slower than float32."""
    try:
        flags = set(
            Path("/proc/cpuinfo").read_text().partition("\nflags")[2].partition("\n")[0].split()
        )
    except OSError:
        return False
    return bool(flags & {"avx512_bf16", "amx_bf16"})


def _gpu_multiplies_bfloat16(gpu: object) -> bool:
    capability = tf.config.experimental.get_device_details(gpu).get("compute_capability", (0, 0))
    return bool(capability >= (8, 0))
