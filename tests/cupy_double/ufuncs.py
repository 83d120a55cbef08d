"""CuPy's ufuncs: the loops of the real wheel, and the arithmetic that is CuPy's own."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from cupy_double.array import cast, ndarray, unwrapped

__all__ = ["Ufunc"]


def _power(a: Any, b: Any) -> Any:
    """CuPy has an answer to negative powers of whole numbers: 0, or a sign."""
    if a.dtype.kind not in "iu":
        return np.power(a, b)
    odd = np.where(b % 2 == 1, a, 1)
    return np.where(b < 0, np.where(a == 1, 1, np.where(a == -1, odd, 0)), np.power(a, np.maximum(b, 0)))


def _floor_divide(a: Any, b: Any) -> Any:
    return np.floor(np.divide(a, b)) if a.dtype.kind == "f" else np.floor_divide(a, b)


def _remainder(a: Any, b: Any) -> Any:
    return a - _floor_divide(a, b) * b if a.dtype.kind == "f" else np.remainder(a, b)


OWN: dict[str, Callable[..., Any]] = {"power": _power, "floor_divide": _floor_divide, "remainder": _remainder}
OWN |= {"pow": _power, "mod": _remainder}


class Ufunc:
    """A ufunc over ``compute``, a function of NumPy's arrays, in the loops ``types``, such as ``"ff->f dd->d"``."""

    def __init__(self, name: str, types: str, compute: Callable[..., Any]) -> None:
        self.__name__ = self.name = name
        self.types = types.split()
        self.nin = len(self.types[0].split("->")[0])
        self._compute = OWN.get(name, compute)

    def __call__(self, *args: Any, out: Any = None, dtype: Any = None, casting: str = "same_kind") -> Any:
        if len(args) == self.nin + 1 and out is None:
            *args, out = args  # type: ignore[assignment]
        if len(args) != self.nin:
            raise TypeError(f"Wrong number of arguments for {self.name!r}")
        given = [unwrapped(a) for a in args]
        strong = [a.dtype for a in given if hasattr(a, "dtype")]
        if strong:  # Python's numbers take the dtype of the arrays
            weak = np.result_type(*strong, *[a for a in given if not hasattr(a, "dtype")])
            arrays = [np.asarray(a) if hasattr(a, "dtype") else np.asarray(a, weak) for a in given]
        else:
            arrays = [np.asarray(a) for a in given]
        inputs, results = self._loop([a.dtype for a in arrays], dtype)
        with np.errstate(all="ignore"):
            y = self._compute(*[cast(a, c) for a, c in zip(arrays, inputs, strict=True)])
        parts = y if isinstance(y, tuple) else (y,)
        made = tuple(ndarray(np.asarray(part).astype(c, copy=False)) for part, c in zip(parts, results, strict=True))
        if out is None:
            return made if isinstance(y, tuple) else made[0]
        target = out[0] if isinstance(out, tuple) else out
        if not isinstance(target, ndarray):
            raise TypeError("return arrays must be of ArrayType")
        target._a[...] = made[0]._a
        return target

    def _loop(self, dtypes: list[Any], dtype: Any) -> tuple[str, str]:
        """The first loop to which all operands can be cast without loss, or that of a dtype asked for."""
        for types in self.types:
            inputs, results = types.split("->")
            if dtype is not None:
                if np.dtype(results[0]) == np.dtype(dtype):
                    return inputs, results
            elif all(np.can_cast(d, np.dtype(c)) for d, c in zip(dtypes, inputs, strict=True)):
                return inputs, results
        named = ", ".join(map(str, dtypes))
        raise TypeError(f"Wrong type ({named}) of arguments for cupy_{self.name}")

    def at(self, a: ndarray, indices: Any, b: Any = None) -> None:
        """At places named twice, twice; only as CUDA's atomic functions can."""
        method = {"add": a.scatter_add, "maximum": a.scatter_max, "minimum": a.scatter_min}.get(self.name)
        if method is None:
            raise NotImplementedError(f"`{self.name}.at` is not supported yet")
        method(indices, b)
