"""A run of the tests with ``backend="cupy"``, on the double or a GPU: every environment that does not name its backend.

``LAZYGRAD_TEST_BACKEND=double`` asks for it, ``LAZYGRAD_TEST_BACKEND=cupy`` where there is a GPU, and ``conftest.py``
for this. The seam is what is here: two defaults, and the doors through which results leave, behind which tests compare
them with NumPy's. What lazygrad itself asks for stays on the device.
"""

from __future__ import annotations

import functools
import os
import sys
from collections.abc import Callable
from typing import Any

import cupy_double

__all__ = ["asked", "force", "on_host"]


_kinds: tuple[type, ...] = (cupy_double.ndarray,)  # arrays on a device


def asked() -> bool:
    """Whether this run of the tests is to be on CuPy or its double."""
    said = os.environ.get("LAZYGRAD_TEST_BACKEND", "numpy")
    if said not in ("numpy", "double", "cupy"):
        raise ValueError(f"LAZYGRAD_TEST_BACKEND is 'numpy', 'double' or 'cupy', not {said!r}")
    return said != "numpy"


def on_host(tree: Any) -> Any:
    """A result, of any nesting, with NumPy's arrays in place of CuPy's."""
    from lazygrad.trees import leaves, rebuilt

    found = [leaf for _, leaf in leaves(tree)]
    if not any(isinstance(leaf, _kinds) for leaf in found):
        return tree
    return rebuilt(tree, [leaf.get() if isinstance(leaf, _kinds) else leaf for leaf in found])


def _bringing(method: Callable[..., Any]) -> Callable[..., Any]:
    @functools.wraps(method)
    def brought(*args: Any, **kwargs: Any) -> Any:
        found = method(*args, **kwargs)
        asking = sys._getframe(1).f_globals.get("__name__", "")
        within = asking.startswith("lazygrad.") and asking != "lazygrad.testing"  # which compares, as tests do
        return found if within else on_host(found)

    # Messages name the first line outside of lazygrad, which shall be the test's and not the one here.
    brought.__code__ = brought.__code__.replace(co_filename=method.__code__.co_filename)
    return brought


def force() -> None:
    """Let environments compute on CuPy; if it is asked for, put the double in its place."""
    if os.environ["LAZYGRAD_TEST_BACKEND"] == "double":
        cupy_double.install()
        os.environ.setdefault("LAZYGRAD_NATIVE", "off")  # kernels would run on the emulator, which takes its time
    else:
        import cupy

        global _kinds
        _kinds += (cupy.ndarray,)
    from lazygrad.environment import VariableEnvironment
    from lazygrad.graph.tensor import Tensor
    from lazygrad.step.compiled import Compiled
    from lazygrad.step.evaluator import Evaluator
    from lazygrad.store.variables import Namespace, Variable

    for function in (VariableEnvironment.__init__, VariableEnvironment.load.__func__):  # type: ignore[attr-defined]
        function.__defaults__ = ("cupy", *function.__defaults__[1:])
    for owner, name in (
        (VariableEnvironment, "run"),
        (VariableEnvironment, "__getitem__"),
        (Compiled, "__call__"),
        (Evaluator, "run"),
        (Namespace, "__getitem__"),
        (Tensor, "eval"),
    ):
        setattr(owner, name, _bringing(getattr(owner, name)))
    Variable.value = property(_bringing(Variable.value.fget))  # type: ignore[assignment, attr-defined]
