"""What may be wrong with CuPy, its GPU, or an array there; and what to do about it."""

from __future__ import annotations

import re
from typing import Any

from lazygrad.errors import BackendError, DeviceMemoryError, report
from lazygrad.graph.registry import here
from lazygrad.values.foreign import described

__all__ = [
    "another_current",
    "another_device",
    "builds",
    "full",
    "no_cupy",
    "no_gpu",
    "not_given",
    "old_driver",
    "several_builds",
]

ELF = b"\x7fELF"  # how a cubin begins; PTX is text
BUILDS = ["cupy", *[f"cupy-cuda{major}x" for major in range(11, 16)]]  # which are all imported as cupy


def builds() -> list[str]:
    """The builds of CuPy that are installed, with their versions."""
    import importlib.metadata  # here, because it takes longer than all of our files about GPUs

    found = [d for name in BUILDS for d in importlib.metadata.distributions(name=name)]
    return sorted({f"{d.name} {d.version}" for d in found})


def no_cupy(reason: ImportError) -> BackendError:
    """It cannot be imported."""
    return BackendError(
        report(
            "cannot use backend='cupy': CuPy is not installed",
            facts=[f"import cupy: {reason}"],
            cure='Install it for your driver: pip install "lazygrad[gpu-cuda12]" or "lazygrad[gpu-cuda13]".',
        )
    )


def several_builds(found: list[str]) -> BackendError:
    """They write over each other's files."""
    names = " ".join(one.split()[0] for one in found)
    return BackendError(
        report(
            "cannot use backend='cupy': several builds of CuPy are installed, over each other",
            facts=[f"installed:  {', '.join(found)}"],
            cure=f"Remove all, and install the one for your driver: pip uninstall {names}, then "
            'pip install "lazygrad[gpu-cuda12]" or "lazygrad[gpu-cuda13]".',
        )
    )


def no_gpu(reason: Exception) -> BackendError:
    """CuPy is there, and nothing that it could run on; or a driver that is older than its libraries."""
    text = f"{type(reason).__name__}: {reason}"
    what, cure = (
        "CuPy finds no GPU that works",
        "Look at `nvidia-smi`, and use backend='numpy' on a machine without a GPU.",
    )
    if "InsufficientDriver" in text:
        what, cure = (
            "the GPU's driver is too old for CuPy",
            "Update NVIDIA's driver, or install CuPy for an older CUDA.",
        )
    return BackendError(report(f"cannot use backend='cupy': {what}", facts=[text], cure=cure))


def old_driver(cupy: Any, image: bytes, reason: Exception) -> BackendError:
    """The driver does not take the code of kernels."""
    has = _cuda(cupy.cuda.runtime.driverGetVersion())
    found = None if image.startswith(ELF) else re.search(rb"^\.version (\d+)\.(\d+)", image, re.MULTILINE)
    if found is None:
        what, needed, code = "takes no such code", "a newer one", "a cubin"
    else:
        version = f"{found[1].decode()}.{found[2].decode()}"
        needed = f"one for CUDA {_cuda_of_ptx(int(found[1]), int(found[2]))} or later"
        what, code = "does not take the code of kernels", f"PTX {version}"
    return BackendError(
        report(
            f"the GPU's driver, for CUDA {has}, {what}: {needed} is needed",
            facts=[f"code:  {code}", f"why:   {type(reason).__name__}: {reason}"],
            cure="Update NVIDIA's driver. Until then steps run node by node, on the GPU all the same.",
        )
    )


def _cuda(version: int) -> str:
    """12040 -> 12.4."""
    return f"{version // 1000}.{version % 1000 // 10}"


def _cuda_of_ptx(major: int, minor: int) -> str:
    """The oldest CUDA that knows a version of PTX: 7.8 came with 11.8, 8.6 with 12.7 (*PTX ISA*, release notes)."""
    if major < 7:
        known = {(6, 0): "9.0", (6, 1): "9.1", (6, 2): "9.2", (6, 3): "10.0", (6, 4): "10.1", (6, 5): "10.2"}
        return known.get((major, minor), "9.0")
    return f"{major + 4}.{minor + ((major, minor) >= (8, 6) and major == 8)}"


def another_device(array: Any, own: int, its: int) -> BackendError:
    """An array lies in the memory of another GPU than the variables."""
    return BackendError(
        report(
            f"cannot use an array on GPU {its}: the variables are on GPU {own}",
            at=here(),
            facts=[f"array:  {described(array)}"],
            cure=f"Copy it there first: with cupy.cuda.Device({own}): x = cupy.array(x). Or make the environment "
            f"within `with cupy.cuda.Device({its}):`.",
        )
    )


def another_current(own: int, current: int) -> BackendError:
    """Another GPU is CuPy's current one than when the environment was made."""
    return BackendError(
        report(
            f"cannot run a step on GPU {current}: the variables are on GPU {own}",
            at=here(),
            cure=f"Run it within `with cupy.cuda.Device({own}):`. An environment stays on the GPU that was "
            "CuPy's current one when it was made.",
        )
    )


def not_given(array: Any, reason: Exception) -> BackendError:
    """Another library does not give its array."""
    return BackendError(
        report(
            "cannot take over an array that lies on a device",
            at=here(),
            facts=[f"array:  {described(array)}", f"why:    {type(reason).__name__}: {reason}"],
            cure="Give an array of real numbers on the GPU that CuPy uses, without a gradient (x.detach()), "
            "or one in main memory.",
        )
    )


def full(cupy: Any, what: str, needed: list[str], reason: BaseException) -> DeviceMemoryError:
    """There is not enough memory on the GPU."""
    try:
        free, total = cupy.cuda.Device().mem_info
        has = [f"GPU:     {total:,} bytes, of which {free:,} are free"]
    except Exception:  # a GPU that does not even say that
        has = []
    return DeviceMemoryError(
        report(
            f"{what}: the GPU's memory is full",
            facts=[*needed, *has, f"why:     {reason}"],
            cure="Nothing has changed. Take smaller batches, lg.checkpoint what a gradient reads, or free what else "
            "lies there: del arrays, then cupy.get_default_memory_pool().free_all_blocks().",
        )
    )
