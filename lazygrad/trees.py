"""Nested tuples, lists and dicts: take the leaves out, put others in."""

from __future__ import annotations

import copy
from collections.abc import Callable, Sequence
from typing import Any

__all__ = ["leaves", "rebuilt", "structure"]


def leaves(tree: Any, path: str = "") -> list[tuple[str, Any]]:
    """Every leaf with its path as the user would write it: ``batch['x'][0]``."""
    if isinstance(tree, dict):
        return [leaf for key, item in tree.items() for leaf in leaves(item, f"{path}[{key!r}]")]
    if isinstance(tree, (tuple, list)):
        return [leaf for i, item in enumerate(tree) for leaf in leaves(item, f"{path}[{i}]")]
    return [(path, tree)]


def structure(tree: Any) -> Any:
    """A hashable description of the nesting alone; ``None`` for a leaf."""
    if isinstance(tree, dict):
        return (type(tree), *((key, structure(item)) for key, item in tree.items()))
    if isinstance(tree, (tuple, list)):
        return (type(tree), *map(structure, tree))
    return None


def rebuilt(tree: Any, new: Sequence[Any]) -> Any:
    """The same structure with other leaves, in the order of :func:`leaves`."""
    rest = iter(new)
    return _rebuilt(tree, lambda: next(rest))


def _rebuilt(tree: Any, take: Callable[[], Any]) -> Any:
    if isinstance(tree, dict):
        new = {key: _rebuilt(item, take) for key, item in tree.items()}
        if type(tree) is dict:
            return new
        same = copy.copy(tree)  # an OrderedDict or a defaultdict stays one
        same.update(new)
        return same
    if isinstance(tree, tuple) and hasattr(tree, "_fields"):
        return type(tree)(*[_rebuilt(item, take) for item in tree])
    if isinstance(tree, (tuple, list)):
        return type(tree)([_rebuilt(item, take) for item in tree])
    return take()
