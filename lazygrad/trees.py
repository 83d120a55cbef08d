"""Nested tuples, lists and dicts: take the leaves out, put others in."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

__all__ = ["leaves", "rebuilt"]


def leaves(tree: Any, path: str = "") -> list[tuple[str, Any]]:
    """Every leaf with its path as the user would write it: ``batch['x'][0]``."""
    if isinstance(tree, dict):
        return [leaf for key, item in tree.items() for leaf in leaves(item, f"{path}[{key!r}]")]
    if isinstance(tree, (tuple, list)):
        return [leaf for i, item in enumerate(tree) for leaf in leaves(item, f"{path}[{i}]")]
    return [(path, tree)]


def rebuilt(tree: Any, new: Sequence[Any]) -> Any:
    """The same structure with other leaves, in the order of :func:`leaves`."""
    rest = iter(new)
    return _rebuilt(tree, lambda: next(rest))


def _rebuilt(tree: Any, take: Callable[[], Any]) -> Any:
    if isinstance(tree, dict):
        return {key: _rebuilt(item, take) for key, item in tree.items()}
    if isinstance(tree, tuple) and hasattr(tree, "_fields"):
        return type(tree)(*[_rebuilt(item, take) for item in tree])
    if isinstance(tree, (tuple, list)):
        return type(tree)([_rebuilt(item, take) for item in tree])
    return take()
