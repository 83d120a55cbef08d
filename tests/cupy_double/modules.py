"""The double under CuPy's names: the modules ``cupy``, ``cupy.linalg``, ``cupyx`` and what lies in them."""

from __future__ import annotations

import functools
import sys
from types import ModuleType, SimpleNamespace
from typing import Any

import numpy as np
import scipy.special

from cupy_double import calls, launch, linalg, runtime
from cupy_double.array import functions as registered
from cupy_double.array import ndarray, unwrapped, wrapped
from cupy_double.facts import stored_facts
from cupy_double.ufuncs import Ufunc

__all__ = ["install", "modules"]

# What CuPy takes over from NumPy as it is.
SAME = (
    "bool_",
    "int8",
    "int16",
    "int32",
    "int64",
    "uint8",
    "uint16",
    "uint32",
    "uint64",
    "float16",
    "float32",
    "float64",
)
SAME += (
    "complex64",
    "complex128",
    "dtype",
    "finfo",
    "iinfo",
    "inf",
    "nan",
    "pi",
    "e",
    "newaxis",
    "integer",
    "floating",
)
SAME += ("inexact", "number", "generic", "issubdtype", "errstate", "broadcast_shapes", "isscalar", "can_cast")


def _result_type(*args: Any) -> Any:
    return np.result_type(*[a.dtype if isinstance(a, ndarray) else a for a in args])


def _polygamma(cupy: ModuleType, special: ModuleType) -> Any:
    """CuPy's own text, which cannot take a number for ``n``."""

    def polygamma(n: Any, x: Any) -> Any:
        n, x = cupy.broadcast_arrays(n, x)
        factor = (-1.0) ** (n + 1) * special.gamma(n + 1.0) * special.zeta(n + 1.0, x)
        return cupy.where(n == 0, special.digamma(x), factor)

    return polygamma


def _cupy(facts: dict[str, Any]) -> ModuleType:
    cupy = ModuleType("cupy", __doc__)
    cupy.__dict__.update({name: getattr(np, name) for name in SAME})
    for name, types in facts["ufuncs"].items():
        registered[name] = Ufunc(name, types, getattr(np, name))
    own = {function.__name__: function for function in calls.OWN}
    own["result_type"] = _result_type
    for name, parameters in facts["functions"].items():
        if name not in own and not hasattr(np, name):
            continue  # NumPy has done away with it
        made = own.get(name) or calls.over_numpy(name)
        registered[name] = made if name in SAME else calls.called_as(name, parameters, made)
    cupy.__dict__.update({name: f for name, f in registered.items() if name not in SAME})
    cupy.__dict__.update(ndarray=ndarray, ufunc=Ufunc, __version__=f"{facts['version']} (a double over NumPy)")
    cupy.cuda = SimpleNamespace(  # type: ignore[attr-defined]
        runtime=SimpleNamespace(
            getDeviceCount=lambda: 1,
            getDevice=lambda: runtime.settings.device,
            driverGetVersion=lambda: runtime.settings.driver,
            CUDARuntimeError=runtime.CUDARuntimeError,
        ),
        driver=SimpleNamespace(CUDADriverError=runtime.CUDADriverError),
        memory=SimpleNamespace(OutOfMemoryError=runtime.OutOfMemoryError),
        pinned_memory=SimpleNamespace(is_memory_pinned=runtime.is_memory_pinned),
        device=SimpleNamespace(get_cublas_handle=lambda: 1),
        cublas=runtime.cublas,
        Device=runtime.Device,
        Event=runtime.Event,
        Graph=runtime.Graph,
        Stream=runtime.Stream,
        get_current_stream=runtime.get_current_stream,
        function=SimpleNamespace(Module=launch.Module),
    )
    cupy._core = runtime.core  # type: ignore[attr-defined]
    tricks = np.lib.stride_tricks
    cupy.lib = SimpleNamespace(  # type: ignore[attr-defined]
        stride_tricks=SimpleNamespace(
            as_strided=lambda x, shape=None, strides=None: wrapped(tricks.as_strided(unwrapped(x), shape, strides)),
            sliding_window_view=lambda x, window_shape, axis=None, **_: wrapped(
                tricks.sliding_window_view(unwrapped(x), window_shape, axis)
            ),
        )
    )
    return cupy


@functools.cache
def modules() -> dict[str, ModuleType]:
    """The modules by name."""
    facts = stored_facts()
    cupy = _cupy(facts)
    algebra = ModuleType("cupy.linalg")
    for name, parameters in facts["linalg"].items():
        setattr(algebra, name, calls.called_as(f"linalg.{name}", parameters, linalg.over_numpy(name)))
    algebra.LinAlgError = np.linalg.LinAlgError  # type: ignore[attr-defined]
    special = ModuleType("cupyx.scipy.special")
    for name, types in facts["special"].items():
        if hasattr(scipy.special, name):
            setattr(special, name, Ufunc(name, types, getattr(scipy.special, name)))
    special.polygamma = _polygamma(cupy, special)  # type: ignore[attr-defined]
    triangular = ModuleType("cupyx.scipy.linalg")
    triangular.solve_triangular = linalg.solve_triangular  # type: ignore[attr-defined]
    triangular.lu = linalg.lu  # type: ignore[attr-defined]
    cupyx, beside = ModuleType("cupyx"), ModuleType("cupyx.scipy")
    cupyx.errstate = linalg.errstate  # type: ignore[attr-defined]
    cupyx.empty_pinned = runtime.empty_pinned  # type: ignore[attr-defined]
    beside.special, beside.linalg, cupyx.scipy = special, triangular, beside  # type: ignore[attr-defined]
    cupy.linalg = algebra  # type: ignore[attr-defined]
    from lazygrad.engine.cuda import making

    making.assembler = lambda: None  # type: ignore[assignment]  # the emulator reads PTX
    return {module.__name__: module for module in (cupy, algebra, cupyx, beside, special, triangular)}


def install() -> None:
    """Put the double in place of CuPy, for all that imports it from now on."""
    sys.modules.update(modules())
