"""Arrays of any backend, brought to NumPy."""

from __future__ import annotations

from typing import Any

from lazygrad.trees import leaves, rebuilt
from lazygrad.values.foreign import lent, on_device

__all__ = ["to_numpy"]


def to_numpy(tree: Any) -> Any:
    """What a step returned, or a variable's value, with NumPy's arrays in place of those that lie on a GPU.

    All else stays what it is: so a program that draws, or saves, what it has computed is the same on every backend. It
    waits until the GPU has computed them.

    Args:
        tree: an array, or tuples, lists and dicts of arrays and other things.
    """
    found = [leaf for _, leaf in leaves(tree)]
    if not any(on_device(leaf) for leaf in found):
        return tree
    return rebuilt(tree, [_on_host(leaf) if on_device(leaf) else leaf for leaf in found])


def _on_host(array: Any) -> Any:
    for name in ("get", "cpu"):  # CuPy's, and PyTorch's
        if hasattr(array, name):
            return lent(getattr(array, name)())
    return lent(array)
