"""A run of the tests with ``backend="cupy"`` on the double: every environment that does not name its backend.

``LAZYGRAD_TEST_BACKEND=double`` asks for it, and ``conftest.py`` for this. The seam is what is here: two defaults, and
the doors through which results leave, behind which tests compare them with NumPy's.
"""

from __future__ import annotations

import functools
import os
from collections.abc import Callable
from typing import Any

import cupy_double

__all__ = ["asked", "force", "on_host"]


def asked() -> bool:
    """Whether this run of the tests is to be on the double."""
    said = os.environ.get("LAZYGRAD_TEST_BACKEND", "numpy")
    if said not in ("numpy", "double"):
        raise ValueError(f"LAZYGRAD_TEST_BACKEND is 'numpy' or 'double', not {said!r}")
    return said == "double"


def on_host(x: Any) -> Any:
    """A result with NumPy's arrays in place of the double's."""
    if isinstance(x, cupy_double.ndarray):
        return x.get()
    if isinstance(x, dict):
        return {key: on_host(value) for key, value in x.items()}
    if isinstance(x, tuple) and hasattr(x, "_fields"):
        return type(x)(*map(on_host, x))
    return type(x)(map(on_host, x)) if type(x) in (tuple, list) else x


def _bringing(method: Callable[..., Any]) -> Callable[..., Any]:
    @functools.wraps(method)
    def brought(*args: Any, **kwargs: Any) -> Any:
        return on_host(method(*args, **kwargs))

    return brought


def force() -> None:
    """Put the double in place of CuPy, and let environments compute on it."""
    cupy_double.install()
    from lazygrad.compiled import Compiled
    from lazygrad.environment import VariableEnvironment
    from lazygrad.evaluator import Evaluator

    for function in (VariableEnvironment.__init__, VariableEnvironment.load.__func__):  # type: ignore[attr-defined]
        function.__defaults__ = ("cupy", *function.__defaults__[1:])
    for owner, name in (
        (VariableEnvironment, "run"),
        (VariableEnvironment, "__getitem__"),
        (Compiled, "__call__"),
        (Evaluator, "run"),
    ):
        setattr(owner, name, _bringing(getattr(owner, name)))
