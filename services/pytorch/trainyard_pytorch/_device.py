"""Where a network trains, in which precision, and what running out of memory there looks like."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, Literal

import torch
from trainyard.errors import GpuOutOfMemory, InvalidParams, OutOfMemory
from trainyard.networks.params import NetworkParams


@dataclass(frozen=True)
class Device:
    """The device, and whether matrix products and convolutions are done in bfloat16."""

    kind: Literal["cpu", "cuda"]
    bfloat16: bool

    @classmethod
    def chosen(cls, params: NetworkParams) -> "Device":
        """As the params ask. Raises `InvalidParams` for a GPU that is not there."""
        kind: Literal["cpu", "cuda"] = (
            "cuda" if params.device != "cpu" and torch.cuda.is_available() else "cpu"
        )
        if params.device == "cuda" and kind == "cpu":
            raise InvalidParams(
                "device is 'cuda', and this process sees no GPU; take 'auto' or 'cpu', or install torch with TORCH_BACKEND for one"
            )
        fast = torch.cuda.is_bf16_supported() if kind == "cuda" else _multiplies_bfloat16()
        return cls(
            kind,
            params.mixed_precision == "bfloat16" or (params.mixed_precision == "auto" and fast),
        )

    def autocast(self) -> Any:
        """A context in which the precision holds."""
        return torch.autocast(self.kind, torch.bfloat16, enabled=self.bfloat16)


@contextmanager
def out_of_memory_told() -> Iterator[None]:
    """Raise torch's and Python's ways to say that memory ran out as the run's own errors."""
    try:
        yield
    except torch.OutOfMemoryError as error:
        raise GpuOutOfMemory(f"The GPU ran out of memory: {_first_line(error)}") from error
    except MemoryError as error:
        raise OutOfMemory from error
    except RuntimeError as error:
        # torch has a type for its GPU's memory only; of the processor's this name is all there is.
        if "DefaultCPUAllocator" in str(error):
            raise OutOfMemory(
                f"The run needed more memory than there is: {_first_line(error)}"
            ) from error
        raise


def _multiplies_bfloat16() -> bool:
    """Without these instructions bfloat16 is emulated, and slower than float32."""
    found = torch.cpu.get_capabilities()
    return bool(found.get("avx512_bf16") or found.get("amx_bf16"))


def _first_line(error: BaseException) -> str:
    return str(error).partition("\n")[0]
