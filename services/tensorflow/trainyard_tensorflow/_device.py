"""Where a network trains, in which precision, and how TensorFlow says what went wrong there."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from importlib.metadata import distributions
from pathlib import Path

import tensorflow as tf
from trainyard.errors import GpuOutOfMemory, InvalidParams, OutOfMemory, RunError
from trainyard.networks.params import NetworkParams

INSTALLED = next(
    (name for name in ("tensorflow", "tensorflow-cpu") if any(distributions(name=name))),
    "tensorflow",
)
"""The distribution that TensorFlow came in."""
WHERE_IT_WAS = ("Graph execution error:", "Detected at node", 'File "', "<stack traces", "[[{{node")
"""What lines of TensorFlow's messages begin with that say no more than where in the code something was."""


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
def errors_told(device: Device) -> Iterator[None]:
    """Raise what TensorFlow raises as the run's own errors, in words; and that memory ran out, as it or Python says it."""
    try:
        yield
    except tf.errors.ResourceExhaustedError as error:
        said = _what_happened(error.message)
        if device.name.startswith("GPU"):
            raise GpuOutOfMemory(f"The GPU ran out of memory: {said}") from error
        raise OutOfMemory(f"The run needed more memory than there is: {said}") from error
    except tf.errors.OpError as error:
        raise RunError(f"{type(error).__name__}: {_what_happened(error.message)}") from error
    except MemoryError as error:
        raise OutOfMemory from error


def _what_happened(message: str) -> str:
    """TensorFlow's message in one line, without the code that made the graph, which comes first and is in the log."""
    lines = [line.strip() for line in message.splitlines()]
    return " ".join(line for line in lines if line and not line.startswith(WHERE_IT_WAS))


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
