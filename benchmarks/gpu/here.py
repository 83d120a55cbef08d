"""The GPU that is here, or the double of CuPy in its place."""

from __future__ import annotations

import importlib.metadata
import platform
import sys
from typing import Any

from benchmarks.process import ROOT

__all__ = ["NoGPU", "cupy_here", "described", "on_host", "used", "wait"]

PACKAGES = ("cupy-cuda12x", "cupy-cuda13x", "nvidia-cuda-nvcc-cu12", "nvidia-cuda-nvcc", "llvmlite", "numpy")
PACKAGES += ("torch", "jax", "optax")


class NoGPU(Exception):
    """There is none that CuPy can use; says why."""


def cupy_here(double: bool) -> Any:
    """CuPy, on a GPU that computes; or the double.

    Raises:
        NoGPU: CuPy is not installed, or its GPU does not compute.
    """
    sys.path[:0] = [str(ROOT / "tests")]
    if double:
        import cupy_double

        cupy_double.install()
    try:
        import cupy

        assert int(cupy.arange(3).sum()) == 3
    except Exception as reason:
        raise NoGPU(f"{type(reason).__name__}: {str(reason).splitlines()[0] if str(reason) else ''}") from None
    return cupy


def described(cupy: Any, double: bool) -> dict[str, str]:
    """What it is, and what is installed."""
    found = {"Python": platform.python_version(), "system": platform.platform(terse=True), "CuPy": cupy.__version__}
    if double:
        found["device"] = "the double of CuPy over NumPy: no GPU"
    else:
        device, runtime = cupy.cuda.Device(), cupy.cuda.runtime
        properties = runtime.getDeviceProperties(device.id)
        found["device"] = properties["name"].decode()
        found["architecture"] = f"sm_{device.compute_capability}"
        found["memory"] = f"{properties['totalGlobalMem'] / 2**30:.0f} GiB"
        found["driver"] = str(runtime.driverGetVersion())
        found["CUDA"] = str(runtime.runtimeGetVersion())
    for package in PACKAGES:
        try:
            found[package] = importlib.metadata.version(package)
        except importlib.metadata.PackageNotFoundError:
            continue
    return found


def wait(cupy: Any) -> None:
    """Until the GPU has done everything."""
    cupy.cuda.get_current_stream().synchronize()


def on_host(array: Any) -> Any:
    """An array as NumPy's."""
    return array.get() if hasattr(array, "get") else array


def used(cupy: Any) -> int:
    """Bytes that lie on the GPU."""
    if hasattr(cupy, "get_default_memory_pool"):
        return int(cupy.get_default_memory_pool().used_bytes())
    from cupy_double.array import memory

    return sum(array.nbytes for array in list(memory.values()))
