"""Nested tuples, lists and dicts: take the leaves out, put others in."""

from __future__ import annotations

import copy
from collections.abc import Callable, Sequence
from typing import Any

from lazygrad.errors import SpecError, report
from lazygrad.graph.registry import here

__all__ = ["aligned", "leaves", "rebuilt", "structure"]


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


def aligned(tree: Any, given: Any) -> list[Any]:
    """What is given for each leaf of ``tree``, nested as it is; dicts are matched by their keys.

    For a single leaf there may be a list of one. What is nested otherwise is taken in its own order.

    Raises:
        SpecError: a dict has other keys.
    """
    if isinstance(tree, dict) and isinstance(given, dict):
        if tree.keys() != given.keys():
            facts = [f"keys:   {', '.join(map(repr, tree))}", f"given:  {', '.join(map(repr, given))}"]
            cure = "Give one for each, under the same keys."
            raise SpecError(report("two dicts that belong together have other keys", at=here(), facts=facts, cure=cure))
        return [leaf for key, part in tree.items() for leaf in _aligned(part, given[key])]
    if isinstance(given, (tuple, list)):
        if isinstance(tree, (tuple, list)) and len(tree) == len(given):
            return [leaf for part, own in zip(tree, given, strict=True) for leaf in _aligned(part, own)]
        return list(given)
    return [leaf for _, leaf in leaves(given)]


def _aligned(tree: Any, given: Any) -> list[Any]:
    return aligned(tree, given) if isinstance(tree, (tuple, list, dict)) else [given]


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
